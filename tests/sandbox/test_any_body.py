"""Whatever a client sends, a service answers it or refuses it; the sandbox itself never fails."""

from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pal_components.sandbox.assertions import TYPE

GRAPH = "https://localhost:8443/graph"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GUID = "aaaaaaaa-1111-4222-8333-444444444444"

_plain = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4) | st.just(GUID)
_values = st.recursive(
    _plain, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
)


def _bodies(*names: str) -> st.SearchStrategy[Any]:
    """Objects with some of these properties, whose values are anything."""
    return _values | st.dictionaries(st.sampled_from(names), _values)


@pytest.fixture
def application(azure: Any) -> Any:
    """An application to change."""
    return azure.principal()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_body_is_answered(azure: Any, application: Any, data: st.DataObject) -> None:
    """Every call that takes a body, with properties it knows and values of every kind."""
    item = f"/graph/v1.0/applications/{application.application_id}"
    principal = f"/graph/v1.0/servicePrincipals/{application.object_id}"
    dates = {"startDateTime": _values, "endDateTime": _values, "displayName": _values}
    keys = st.lists(
        st.fixed_dictionaries(
            {"type": st.just("AsymmetricX509Cert") | _values, "usage": st.just("Verify") | _values},
            optional={"key": _values, "keyId": _values, "endDateTime": _values},
        ),
        max_size=2,
    )
    method, path, body = data.draw(
        st.one_of(
            st.tuples(
                st.just("PATCH"),
                st.sampled_from([item, principal]),
                _bodies("displayName", "tags", "web", "api", "notes", "accountEnabled", "passwordCredentials", "id")
                | st.fixed_dictionaries({"keyCredentials": keys | _values}),
            ),
            st.tuples(
                st.just("POST"),
                st.sampled_from(["/graph/v1.0/applications", "/graph/v1.0/servicePrincipals"]),
                _bodies("displayName", "appId", "owners@odata.bind", "signInAudience", "identifierUris", "web"),
            ),
            st.tuples(
                st.just("POST"),
                st.just(f"{item}/addPassword"),
                st.fixed_dictionaries({"passwordCredential": _values | st.fixed_dictionaries({}, optional=dates)}),
            ),
            st.tuples(st.just("POST"), st.just(f"{item}/removePassword"), _bodies("keyId")),
            st.tuples(st.just("POST"), st.just(f"{item}/owners/$ref"), _bodies("@odata.id")),
            st.tuples(
                st.just("POST"),
                st.just(f"{item}/federatedIdentityCredentials"),
                _bodies("name", "issuer", "subject", "audiences", "description"),
            ),
            st.tuples(
                st.just("PUT"),
                st.just(f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments/{GUID}"),
                _values
                | st.fixed_dictionaries(
                    {"properties": _bodies("roleDefinitionId", "principalId", "principalType", "condition")}
                ),
            ),
        )
    )
    resource = GRAPH if path.startswith("/graph") else "https://management.azure.com"
    answer = azure.arm(method, path, azure.token(resource=resource), json=body)
    assert answer.status_code < 500, (method, path, body)
    read = azure.call("GET", item, azure.token(resource=GRAPH))
    assert read.status_code == 200


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_assertion_is_answered(azure: Any, application: Any, data: st.DataObject) -> None:
    """Tokens with claims and headers of every kind, and what is no token at all."""
    own = st.just(application.app_id)
    names = dict.fromkeys(("iss", "sub", "aud", "exp", "nbf", "iat", "jti"), own | _values)
    texts = st.text(max_size=60) | st.just("A" * 27 + "=")
    headers = data.draw(st.fixed_dictionaries({}, optional={"x5t": texts, "x5t#S256": texts, "kid": texts}))
    claims = data.draw(st.fixed_dictionaries({}, optional=names))
    try:
        token = jwt.encode(claims, "k" * 32, algorithm="HS256", headers=headers)
    except (TypeError, ValueError):
        token = data.draw(st.text(min_size=1, max_size=20))
    form = {
        "client_id": application.app_id,
        "client_assertion": token,
        "client_assertion_type": TYPE,
        "grant_type": "client_credentials",
        "scope": "https://management.azure.com/.default",
    }
    assert azure.token_answer("contoso.onmicrosoft.com", **form).status_code in (400, 401)
