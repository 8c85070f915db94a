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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_body_about_people_and_delegations_is_answered(azure: Any, application: Any, data: st.DataObject) -> None:
    """Users, invitations, groups and registrations, with bodies that are nearly right."""
    graph = azure.token(resource=GRAPH)
    known = azure.show()
    user, group = ((known[what] or [{"objectId": GUID}])[0]["objectId"] for what in ("users", "groups"))
    references = st.just(f"{GRAPH}/v1.0/directoryObjects/{application.object_id}") | _values
    people = {
        **dict.fromkeys(("displayName", "mailNickname"), st.just("ada") | _values),
        "userPrincipalName": st.just("ada@contoso.onmicrosoft.com") | _values,
        "accountEnabled": st.just(True) | _values,
        "passwordProfile": st.just({"password": "sandbox"}) | _values,
        "otherMails": _values,
        "employeeOrgData": _values,
    }
    groups = {
        **dict.fromkeys(("displayName", "mailNickname"), st.just("team") | _values),
        **dict.fromkeys(("mailEnabled", "groupTypes", "description"), st.just(False) | _values),
        "securityEnabled": st.just(True) | _values,
        **dict.fromkeys(("owners@odata.bind", "members@odata.bind"), st.lists(references, max_size=2) | _values),
    }
    roles = st.just("acdd72a7-3385-48ef-bd42-f606fba81ae7") | st.just("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9") | _values
    policies = _values | st.fixed_dictionaries(
        {"multiFactorAuthProvider": st.just("Azure")},
        optional={"maximumActivationDuration": _values, "managedByTenantApprovers": _values},
    )
    authorizations = _values | st.lists(
        st.fixed_dictionaries(
            {"principalId": st.just(GUID) | _values, "roleDefinitionId": roles},
            optional={"delegatedRoleDefinitionIds": _values, "justInTimeAccessPolicy": policies},
        ),
        max_size=2,
    )
    definitions = st.fixed_dictionaries(
        {"managedByTenantId": st.just(GUID) | _values, "authorizations": authorizations},
        optional={"eligibleAuthorizations": authorizations, "description": _values},
    )
    invitations = {
        "invitedUserEmailAddress": st.just("eve@northwind.example") | _values,
        "inviteRedirectUrl": st.just("https://portal.azure.com/") | _values,
    }
    provider = f"{SUBSCRIPTION}/providers/Microsoft.ManagedServices"
    method, path, body = data.draw(
        st.one_of(
            st.tuples(st.just("POST"), st.just("/graph/v1.0/users"), st.fixed_dictionaries(people) | _values),
            st.tuples(
                st.just("PATCH"), st.just(f"/graph/v1.0/users/{user}"), st.fixed_dictionaries({}, optional=people)
            ),
            st.tuples(
                st.just("POST"),
                st.just("/graph/v1.0/invitations"),
                st.fixed_dictionaries(
                    invitations, optional={"invitedUserType": _values, "invitedUserDisplayName": _values}
                ),
            ),
            st.tuples(st.just("POST"), st.just("/graph/beta/groups"), st.fixed_dictionaries({}, optional=groups)),
            st.tuples(
                st.just("PATCH"), st.just(f"/graph/beta/groups/{group}"), st.fixed_dictionaries({}, optional=groups)
            ),
            st.tuples(
                st.just("POST"),
                st.sampled_from([f"/graph/beta/groups/{group}/{what}/$ref" for what in ("owners", "members")]),
                st.fixed_dictionaries({"@odata.id": references}) | _values,
            ),
            st.tuples(
                st.just("PUT"),
                st.just(f"{provider}/registrationDefinitions/{GUID}"),
                st.fixed_dictionaries({"properties": definitions | _values}) | _values,
            ),
            st.tuples(
                st.just("PUT"),
                st.just(f"{provider}/registrationAssignments/{GUID}"),
                st.fixed_dictionaries({"properties": _bodies("registrationDefinitionId")}) | _values,
            ),
        )
    )
    token = graph if path.startswith("/graph") else azure.token()
    answer = azure.arm(method, path, token, json=body, params={"api-version": "2022-10-01"})
    assert answer.status_code < 500, (method, path, body)
    for path in ("/graph/v1.0/users", "/graph/beta/groups", f"{provider}/registrationDefinitions"):
        token = graph if path.startswith("/graph") else azure.token()
        assert azure.arm("GET", path, token, params={"api-version": "2022-10-01"}).status_code == 200


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
