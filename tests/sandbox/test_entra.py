"""Sign-in: metadata, discovery, tokens, and every refusal that can occur."""

from typing import Any

import jwt
import pytest

URL = "https://localhost:8443"
ARM = "https://management.azure.com"
GRAPH = f"{URL}/graph"
HOME = "99999999-9999-4999-8999-999999999999"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
NOBODY = "00000000-1111-4222-8333-444444444444"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
SECRET = "sandbox-deployer-secret"
GOOD = {
    "client_id": DEPLOYER,
    "client_secret": SECRET,
    "grant_type": "client_credentials",
    "scope": f"{ARM}/.default",
}


def test_the_metadata_document_names_every_endpoint(azure: Any) -> None:
    """The providers find sign-in, Graph and ARM in the document of 2022-09-01."""
    answer = azure.call("GET", "/metadata/endpoints?api-version=2022-09-01")
    assert answer.status_code == 200
    document = answer.json()
    assert document["name"] == "PalSandbox"
    assert document["resourceManager"] == f"{URL}/"
    assert document["microsoftGraphResourceId"] == f"{URL}/graph/"
    assert document["authentication"]["loginEndpoint"] == URL
    assert document["authentication"]["audiences"] == [
        "https://management.core.windows.net/",
        "https://management.azure.com/",
    ]


def test_another_version_of_the_metadata_is_refused(azure: Any) -> None:
    """Nobody gets a document in a shape that was not asked for."""
    assert azure.call("GET", "/metadata/endpoints?api-version=2019-05-01").status_code == 400


@pytest.mark.parametrize("name", [CONTOSO, CONTOSO.upper(), "contoso.onmicrosoft.com"])
def test_a_tenant_is_found_by_guid_and_by_domain(azure: Any, name: str) -> None:
    """Discovery always answers with the tenant's GUID."""
    document = azure.call("GET", f"/{name}/v2.0/.well-known/openid-configuration").json()
    assert document["token_endpoint"] == f"{URL}/{CONTOSO}/oauth2/v2.0/token"
    assert document["issuer"] == f"{URL}/{CONTOSO}/v2.0"
    assert document["jwks_uri"] == f"{URL}/{CONTOSO}/discovery/v2.0/keys"


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", "discovery/v2.0/keys"])
def test_discovery_of_an_unknown_tenant_is_refused(azure: Any, path: str) -> None:
    """A tenant that is not there is AADSTS90002 with the OAuth error invalid_tenant."""
    answer = azure.call("GET", f"/{NOBODY}/{path}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_tenant"
    assert answer.json()["error_codes"] == [90002]


@pytest.mark.parametrize(
    ("resource", "roles"),
    [
        (ARM, None),
        (f"{ARM}/", None),
        ("https://management.core.windows.net/", None),
        (
            GRAPH,
            [
                *("Application.Read.All", "Application.ReadWrite.OwnedBy"),
                *("Group.ReadWrite.All", "User.Invite.All", "User.ReadWrite.All"),
            ],
        ),
    ],
)
def test_a_token_is_a_signed_jwt_for_what_was_asked(azure: Any, resource: str, roles: list[str] | None) -> None:
    """The published key verifies it, the audience is the resource word for word, and it lives 3599 seconds."""
    answer = azure.token_answer(CONTOSO, **{**GOOD, "scope": f"{resource}/.default"})
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3599
    token = answer.json()["access_token"]
    keys = azure.call("GET", f"/{CONTOSO}/discovery/v2.0/keys").json()["keys"]
    key = next(key for key in keys if key["kid"] == jwt.get_unverified_header(token)["kid"])
    claims = jwt.decode(
        token,
        jwt.PyJWK(key).key,
        algorithms=["RS256"],
        options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
    )
    assert claims["aud"] == resource
    assert claims["exp"] - claims["iat"] == 3599
    assert claims["nbf"] == claims["iat"] == int(azure.now.timestamp())
    assert (claims["tid"], claims["appid"], claims["oid"]) == (CONTOSO, DEPLOYER, azure.deployer(CONTOSO))
    assert claims["sub"] == claims["oid"]
    assert claims["iss"] == f"{URL}/{CONTOSO}/"
    assert claims["idtyp"] == "app"
    assert claims.get("roles") == roles


def test_the_first_version_of_the_token_endpoint_takes_a_resource(azure: Any) -> None:
    """Older clients send `resource` and read numbers as text."""
    form = {key: value for key, value in GOOD.items() if key != "scope"}
    answer = azure.call("POST", f"/{CONTOSO}/oauth2/token", data={**form, "resource": f"{ARM}/"})
    assert answer.status_code == 200
    assert answer.json()["resource"] == f"{ARM}/"
    assert answer.json()["expires_on"] == str(int(azure.now.timestamp()) + 3599)


def test_one_application_signs_in_to_every_tenant_that_has_its_principal(azure: Any) -> None:
    """The same application is another object in each tenant."""
    subjects = {
        jwt.decode(azure.token(tenant), options={"verify_signature": False})["oid"]
        for tenant in (HOME, CONTOSO, FABRIKAM)
    }
    assert subjects == {azure.deployer(tenant) for tenant in (HOME, CONTOSO, FABRIKAM)}
    assert len(subjects) == 3


@pytest.mark.parametrize(
    ("tenant", "changes", "status", "error", "code"),
    [
        (CONTOSO, {"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        (CONTOSO, {"client_secret": ""}, 401, "invalid_client", 7000216),
        (CONTOSO, {"client_secret": "", "client_assertion": "x"}, 400, "invalid_request", 900144),
        (CONTOSO, {"client_id": NOBODY}, 400, "unauthorized_client", 700016),
        (CONTOSO, {"client_id": ""}, 400, "invalid_request", 900144),
        (CONTOSO, {"scope": ""}, 400, "invalid_request", 900144),
        (CONTOSO, {"scope": ARM}, 400, "invalid_scope", 1002012),
        (CONTOSO, {"scope": "https://vault.azure.net/.default"}, 400, "invalid_resource", 500011),
        (CONTOSO, {"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        (NOBODY, {}, 400, "invalid_request", 90002),
        ("nobody.onmicrosoft.com", {}, 400, "invalid_request", 90002),
    ],
)
def test_a_refusal_has_entras_form(
    azure: Any, tenant: str, changes: dict[str, str], status: int, error: str, code: int
) -> None:
    """Status, OAuth error and AADSTS code are those of Entra, and the secret is not in the text."""
    answer = azure.token_answer(tenant, **{**GOOD, **changes})
    assert answer.status_code == status
    body = answer.json()
    assert body["error"] == error
    assert body["error_codes"] == [code]
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    for part in ("Trace ID: ", "Correlation ID: ", "Timestamp: 2026-03-01 12:00:00Z"):
        assert part in body["error_description"]
    assert body["trace_id"] == answer.headers["x-ms-request-id"]
    assert SECRET not in answer.text


def test_a_single_tenant_application_is_unknown_elsewhere(azure: Any) -> None:
    """An application of one customer cannot sign in to the other."""
    principal = azure.principal(CONTOSO)
    form = {**GOOD, "client_id": principal.app_id, "client_secret": principal.secret}
    assert azure.token_answer(CONTOSO, **form).status_code == 200
    assert azure.token_answer(FABRIKAM, **form).json()["error_codes"] == [700016]


def test_an_application_without_its_principal_cannot_sign_in(azure: Any) -> None:
    """The registration alone is AADSTS7000229 in its own tenant."""
    principal = azure.principal(CONTOSO)
    azure.call("DELETE", f"/graph/v1.0/servicePrincipals/{principal.object_id}", azure.token(resource=GRAPH))
    answer = azure.token_answer(CONTOSO, **{**GOOD, "client_id": principal.app_id, "client_secret": principal.secret})
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000229])


def test_a_deleted_application_is_not_found(azure: Any) -> None:
    """After the registration is gone, sign-in is AADSTS700016."""
    principal = azure.principal(CONTOSO)
    azure.call("DELETE", f"/graph/v1.0/applications/{principal.application_id}", azure.token(resource=GRAPH))
    answer = azure.token_answer(CONTOSO, **{**GOOD, "client_id": principal.app_id, "client_secret": principal.secret})
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [700016])


def test_a_disabled_principal_cannot_sign_in(azure: Any) -> None:
    """accountEnabled false is AADSTS7000112."""
    principal = azure.principal(CONTOSO)
    path = f"/graph/v1.0/servicePrincipals/{principal.object_id}"
    assert azure.call("PATCH", path, azure.token(resource=GRAPH), json={"accountEnabled": False}).status_code == 204
    answer = azure.token_answer(CONTOSO, **{**GOOD, "client_id": principal.app_id, "client_secret": principal.secret})
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [7000112])


def test_an_expired_secret_is_told_from_a_wrong_one(azure: Any) -> None:
    """A secret works from its start to its end; afterwards sign-in is AADSTS7000222."""
    principal = azure.principal(CONTOSO)
    graph = azure.token(resource=GRAPH)
    dates = {"startDateTime": "2026-03-01T12:10:00Z", "endDateTime": "2026-03-01T12:20:00Z"}
    path = f"/graph/v1.0/applications/{principal.application_id}/addPassword"
    secret = azure.call("POST", path, graph, json={"passwordCredential": dates}).json()["secretText"]
    form = {**GOOD, "client_id": principal.app_id, "client_secret": secret}
    assert azure.token_answer(CONTOSO, **form).json()["error_codes"] == [7000215]
    azure.later(minutes=15)
    assert azure.token_answer(CONTOSO, **form).status_code == 200
    azure.later(minutes=5)
    answer = azure.token_answer(CONTOSO, **form)
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000222])


def test_a_removed_secret_stops_working(azure: Any) -> None:
    """removePassword takes effect at once."""
    principal = azure.principal(CONTOSO)
    path = f"/graph/v1.0/applications/{principal.application_id}/removePassword"
    azure.call("POST", path, azure.token(resource=GRAPH), json={"keyId": principal.key_id})
    answer = azure.token_answer(CONTOSO, **{**GOOD, "client_id": principal.app_id, "client_secret": principal.secret})
    assert answer.json()["error_codes"] == [7000215]


def test_a_principals_own_secret_works_in_its_tenant_only(azure: Any) -> None:
    """A password on the enterprise application signs in there and nowhere else."""
    deployer = azure.deployer(CONTOSO)
    azure.grant(deployer, "Application.ReadWrite.All")
    path = f"/graph/v1.0/servicePrincipals/{deployer}/addPassword"
    secret = azure.call("POST", path, azure.token(resource=GRAPH), json={}).json()["secretText"]
    assert azure.token(CONTOSO, secret=secret)
    assert azure.token_answer(FABRIKAM, **{**GOOD, "client_secret": secret}).json()["error_codes"] == [7000215]
