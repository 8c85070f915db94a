"""Microsoft Graph: applications, service principals, owners, credentials, and who may touch them."""

import base64
from typing import Any

import pytest
import trustme

GRAPH = "https://localhost:8443/graph"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
NOBODY = "00000000-1111-4222-8333-444444444444"
APPLICATIONS = "/graph/v1.0/applications"
PRINCIPALS = "/graph/v1.0/servicePrincipals"


@pytest.fixture
def graph(azure: Any) -> str:
    """The deploying identity's token: Application.Read.All and Application.ReadWrite.OwnedBy."""
    return str(azure.token(resource=GRAPH))


def made(azure: Any, graph: str, **properties: Any) -> dict[str, Any]:
    """Create an application."""
    answer = azure.call("POST", APPLICATIONS, graph, json={"displayName": "pal", **properties})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is a refusal in Graph's form and return the error."""
    assert answer.status_code == status, answer.text
    error: dict[str, Any] = answer.json()["error"]
    assert error["code"] == code
    assert error["innerError"]["request-id"] == answer.headers["request-id"]
    return error


def test_an_application_has_what_the_azuread_provider_needs(azure: Any, graph: str) -> None:
    """Without a null groupMembershipClaims and an api object the provider shows a change at every run."""
    application = made(azure, graph)
    assert application["groupMembershipClaims"] is None
    assert application["api"]["oauth2PermissionScopes"] == []
    assert application["passwordCredentials"] == application["keyCredentials"] == []
    assert application["publisherDomain"] == "contoso.onmicrosoft.com"
    for version in ("v1.0", "beta"):
        read = azure.call("GET", f"/graph/{version}/applications/{application['id']}", graph)
        assert read.status_code == 200
        assert read.headers["content-type"].startswith("application/json")
        assert read.json() | {"@odata.context": ""} == application | {"@odata.context": ""}


def test_the_azuread_providers_own_bodies_are_accepted(azure: Any, graph: str) -> None:
    """Every property that the real provider sends is known; what was recorded is in docs/fidelity.md."""
    me = f"{GRAPH}/v1.0/directoryObjects/{azure.deployer()}"
    application = {
        "@odata.type": "#microsoft.graph.application",
        "api": {
            "acceptMappedClaims": None,
            "knownClientApplications": [],
            "oauth2PermissionScopes": [],
            "requestedAccessTokenVersion": 1,
        },
        "appRoles": [],
        "description": None,
        "displayName": "pal",
        "groupMembershipClaims": [],
        "identifierUris": [],
        "info": {"marketingUrl": None, "privacyStatementUrl": None, "supportUrl": None, "termsOfServiceUrl": None},
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "notes": None,
        "optionalClaims": {},
        "publicClient": {"redirectUris": []},
        "requiredResourceAccess": [],
        "serviceManagementReference": None,
        "signInAudience": "AzureADMyOrg",
        "spa": {"redirectUris": []},
        "tags": [],
        "web": {
            "homePageUrl": None,
            "logoutUrl": None,
            "redirectUris": [],
            "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        },
    }
    headers = {"Content-Type": "application/json; charset=utf-8", "OData-Version": "4.0"}
    options: dict[str, Any] = {"json": {**application, "owners@odata.bind": [me]}, "headers": headers}
    made = azure.call("POST", APPLICATIONS, graph, **options)
    assert made.status_code == 201, made.text
    path = f"{APPLICATIONS}/{made.json()['id']}"
    for body in ({"displayName": "TERRAFORM_UPDATE_1"}, application):
        assert azure.call("PATCH", path, graph, json=body).status_code == 204
    beta = path.replace("v1.0", "beta")
    assert azure.call("PATCH", beta, graph, json={"oauth2RequirePostResponse": True}).status_code == 204
    principal = {
        "@odata.type": "#microsoft.graph.servicePrincipal",
        "accountEnabled": True,
        "alternativeNames": [],
        "appRoleAssignmentRequired": False,
        "description": "TERRAFORM_UPDATE_2",
        "loginUrl": None,
        "notes": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "samlSingleSignOnSettings": {},
        "tags": ["HideApp"],
    }
    body = {**principal, "appId": made.json()["appId"], "owners@odata.bind": [me]}
    answer = azure.call("POST", PRINCIPALS, graph, json=body)
    assert answer.status_code == 201, answer.text
    path = f"{PRINCIPALS}/{answer.json()['id']}"
    change = {**principal, "description": None, "samlSingleSignOnSettings": {"relayState": ""}}
    assert azure.call("PATCH", path, graph, json=change).status_code == 204
    assert azure.call("GET", path, graph).json()["samlSingleSignOnSettings"] == {"relayState": ""}


def test_selecting_leaves_out_the_rest(azure: Any, graph: str) -> None:
    """$select answers the named properties and the id."""
    application = made(azure, graph)
    read = azure.call(
        "GET", f"/graph/beta/applications/{application['id']}?%24select=oauth2RequirePostResponse", graph
    ).json()
    del read["@odata.context"]
    assert read == {"id": application["id"], "oauth2RequirePostResponse": False}


def test_a_change_is_kept_and_shown(azure: Any, graph: str) -> None:
    """PATCH merges objects, replaces lists, keeps null, ignores annotations and answers 204 without a body."""
    application = made(azure, graph, notes="one", tags=["a"], web={"homePageUrl": "https://pal.example"})
    path = f"{APPLICATIONS}/{application['id']}"
    change = {
        "@odata.type": "#microsoft.graph.application",
        "id": application["id"],
        "displayName": "TERRAFORM_UPDATE_1",
        "notes": None,
        "tags": None,
        "web": {"logoutUrl": "https://pal.example/out", "redirectUris": None},
    }
    answer = azure.call("PATCH", path, graph, json=change)
    assert (answer.status_code, answer.content) == (204, b"")
    read = azure.call("GET", path, graph).json()
    assert read["displayName"] == "TERRAFORM_UPDATE_1"
    assert read["notes"] is None
    assert read["tags"] == []
    assert read["web"]["homePageUrl"] == "https://pal.example"
    assert read["web"]["logoutUrl"] == "https://pal.example/out"
    assert read["web"]["redirectUris"] == []


@pytest.mark.parametrize(
    "properties",
    [{"dispalyName": "typo"}, {"appId": NOBODY}, {"displayName": ""}, {"passwordCredentials": [{"secretText": "x"}]}],
)
def test_an_impossible_change_is_refused(azure: Any, graph: str, properties: dict[str, Any]) -> None:
    """Unknown and read-only properties and an empty name are Request_BadRequest and change nothing."""
    application = made(azure, graph)
    path = f"{APPLICATIONS}/{application['id']}"
    refused(azure.call("PATCH", path, graph, json={"notes": "x", **properties}), 400, "Request_BadRequest")
    assert azure.call("GET", path, graph).json()["notes"] is None


def test_what_is_not_json_is_refused(azure: Any, graph: str) -> None:
    """A broken body is the caller's fault."""
    refused(azure.call("POST", APPLICATIONS, graph, content=b"{"), 400, "BadRequest")
    refused(azure.call("POST", APPLICATIONS, graph, json=[]), 400, "BadRequest")
    refused(azure.call("POST", APPLICATIONS, graph, json={}), 400, "Request_BadRequest")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{APPLICATIONS}/{NOBODY}"),
        ("PATCH", f"{APPLICATIONS}/{NOBODY}"),
        ("DELETE", f"{PRINCIPALS}/{NOBODY}"),
        ("POST", f"{APPLICATIONS}/{NOBODY}/addPassword"),
        ("POST", f"{PRINCIPALS}/{NOBODY}/removePassword"),
        ("GET", f"{PRINCIPALS}/{NOBODY}/owners"),
        ("GET", f"{APPLICATIONS}/{NOBODY}/federatedIdentityCredentials/{NOBODY}"),
    ],
)
def test_what_is_not_there_is_not_found(azure: Any, graph: str, method: str, path: str) -> None:
    """A missing object is 404 Request_ResourceNotFound with its id."""
    assert NOBODY in refused(azure.call(method, path, graph, json={}), 404, "Request_ResourceNotFound")["message"]


@pytest.mark.parametrize("path", ["/graph/v1.0/devices", "/graph/v1.0/applications/x/extensionProperties"])
def test_what_the_sandbox_does_not_have_is_said(azure: Any, graph: str, path: str) -> None:
    """A resource that is not emulated is a bad request that says so, not an empty list."""
    assert "in the sandbox" in refused(azure.call("GET", path, graph), 400, "BadRequest")["message"]


def test_lists_are_filtered(azure: Any, graph: str) -> None:
    """The provider looks applications and principals up by appId, displayName and identifierUris."""
    one = made(azure, graph, displayName="it's", identifierUris=["api://one"])
    made(azure, graph, displayName="two")

    def found(expression: str, objects: str = APPLICATIONS) -> list[str]:
        answer = azure.call("GET", objects, graph, params={"$filter": expression})
        return [entry["id"] for entry in answer.json()["value"]]

    assert found(f"appId eq '{one['appId']}'") == [one["id"]]
    assert found("displayName eq 'it''s'") == [one["id"]]
    assert found("identifierUris/any(uri:uri eq 'api://one')") == [one["id"]]
    assert found(f"appId eq '{one['appId']}'", PRINCIPALS) == []
    assert found(f"appId eq '{DEPLOYER}'", PRINCIPALS) == [azure.deployer()]
    answer = azure.call("GET", APPLICATIONS, graph, params={"$filter": "startswith(displayName,'t')"})
    refused(answer, 400, "Request_UnsupportedQuery")


def test_tenants_do_not_see_each_other(azure: Any, graph: str) -> None:
    """A token of one customer finds nothing of another."""
    application = made(azure, graph)
    other = azure.token(FABRIKAM, resource=GRAPH)
    refused(azure.call("GET", f"{APPLICATIONS}/{application['id']}", other), 404, "Request_ResourceNotFound")
    assert azure.call("GET", APPLICATIONS, other).json()["value"] == []


def test_a_principal_shows_its_application(azure: Any, graph: str) -> None:
    """Names, audiences and the owning tenant come from the application, also when that is renamed."""
    application = made(azure, graph, signInAudience="AzureADMyOrg", identifierUris=["api://pal"])
    answer = azure.call("POST", PRINCIPALS, graph, json={"appId": application["appId"], "tags": ["HideApp"]})
    assert answer.status_code == 201
    principal = answer.json()
    assert principal["displayName"] == principal["appDisplayName"] == "pal"
    assert principal["appOwnerOrganizationId"] == CONTOSO
    assert principal["accountEnabled"] is True
    assert principal["servicePrincipalType"] == "Application"
    assert principal["servicePrincipalNames"] == [application["appId"], "api://pal"]
    assert principal["tags"] == ["HideApp"]
    azure.call("PATCH", f"{APPLICATIONS}/{application['id']}", graph, json={"displayName": "new"})
    assert azure.call("GET", f"{PRINCIPALS}/{principal['id']}", graph).json()["displayName"] == "new"


def test_a_second_principal_of_an_application_is_refused(azure: Any, graph: str) -> None:
    """One principal for each application and tenant."""
    application = made(azure, graph)
    azure.call("POST", PRINCIPALS, graph, json={"appId": application["appId"]})
    answer = azure.call("POST", PRINCIPALS, graph, json={"appId": application["appId"]})
    refused(answer, 409, "Request_MultipleObjectsWithSameKeyValue")


def test_a_principal_needs_an_application(azure: Any, graph: str) -> None:
    """An unknown appId is the refusal that the provider retries."""
    error = refused(azure.call("POST", PRINCIPALS, graph, json={"appId": NOBODY}), 400, "Request_BadRequest")
    assert error["message"] == (
        f"The appId '{NOBODY}' of the service principal does not reference a valid application object."
    )
    assert error["details"][0]["code"] == "NoBackingApplicationObject"


def test_foreign_applications_need_the_permission_for_all(azure: Any) -> None:
    """With OwnedBy a principal is made only of this tenant's applications; with All also of multi-tenant ones."""
    application = made(azure, azure.token(FABRIKAM, resource=GRAPH), signInAudience="AzureADMultipleOrgs")
    single = made(azure, azure.token(FABRIKAM, resource=GRAPH), signInAudience="AzureADMyOrg")
    answer = azure.call("POST", PRINCIPALS, azure.token(resource=GRAPH), json={"appId": application["appId"]})
    assert "must in the local tenant" in refused(answer, 403, "Authorization_RequestDenied")["message"]
    azure.grant(azure.deployer(), "Application.ReadWrite.All")
    graph = azure.token(resource=GRAPH)
    answer = azure.call("POST", PRINCIPALS, graph, json={"appId": application["appId"]})
    assert answer.status_code == 201
    assert answer.json()["appOwnerOrganizationId"] == FABRIKAM
    refused(azure.call("POST", PRINCIPALS, graph, json={"appId": single["appId"]}), 400, "Request_BadRequest")


def test_deleting_an_application_takes_its_principal_along(azure: Any, graph: str) -> None:
    """The principal in the same tenant goes; role assignments and the record of a link stay, as orphans."""
    principal = azure.principal()
    assignment = "/subscriptions/11111111-1111-1111-1111-111111111111/providers/Microsoft.Authorization"
    azure.arm(
        "PUT",
        f"{assignment}/roleAssignments/{NOBODY}",
        azure.token(),
        json={
            "properties": {
                "roleDefinitionId": f"{assignment}/roleDefinitions/cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e",
                "principalId": principal.object_id,
            }
        },
    )
    own = azure.token(app=principal.app_id, secret=principal.secret)
    azure.arm(
        "PUT",
        "/providers/Microsoft.ManagementPartner/partners/4567891",
        own,
        params={"api-version": "2018-02-01"},
    )
    assert azure.call("DELETE", f"{APPLICATIONS}/{principal.application_id}", graph).status_code == 204
    shown = azure.show()
    assert shown["applications"] == shown["servicePrincipals"] == []
    assert [row["orphaned"] for row in shown["roleAssignments"]] == [True]
    assert [row["orphaned"] for row in shown["links"]] == [True]
    refused(azure.call("GET", f"{PRINCIPALS}/{principal.object_id}", graph), 404, "Request_ResourceNotFound")


def test_a_secret_is_shown_once(azure: Any, graph: str) -> None:
    """Only addPassword's answer has it; later reads have its hint, and the state file has not even that much."""
    application = made(azure, graph)
    path = f"{APPLICATIONS}/{application['id']}"
    wanted = {"displayName": "ephemeral", "endDateTime": "2026-03-01T12:10:00.1234567Z"}
    answer = azure.call("POST", f"{path}/addPassword", graph, json={"passwordCredential": wanted})
    assert answer.status_code == 200
    added = answer.json()
    shown = azure.call("GET", path, graph).json()["passwordCredentials"]
    assert [entry["keyId"] for entry in shown] == [added["keyId"]]
    assert shown[0]["secretText"] is None
    assert shown[0]["displayName"] == "ephemeral"
    assert shown[0]["endDateTime"] == wanted["endDateTime"]
    assert shown[0]["hint"] == added["secretText"][:3]
    for file in azure.state.directory.iterdir():
        assert added["secretText"].encode() not in file.read_bytes()


def test_a_secret_lives_two_years_by_default(azure: Any, graph: str) -> None:
    """Where no end is given, Entra's default applies."""
    application = made(azure, graph)
    added = azure.call("POST", f"{APPLICATIONS}/{application['id']}/addPassword", graph).json()
    assert (added["startDateTime"], added["endDateTime"]) == ("2026-03-01T12:00:00Z", "2028-02-29T12:00:00Z")


@pytest.mark.parametrize(
    "dates",
    [
        {"endDateTime": "2026-03-01T11:59:00Z"},
        {"endDateTime": "soon"},
        {"endDateTime": 2026},
        {"startDateTime": "9999-01-01T00:00:00Z"},
    ],
)
def test_impossible_dates_of_a_secret_are_refused(azure: Any, graph: str, dates: dict[str, Any]) -> None:
    """An end before the start, no time at all, or a default end beyond the calendar is Request_BadRequest."""
    application = made(azure, graph)
    wanted = {"passwordCredential": dates}
    answer = azure.call("POST", f"{APPLICATIONS}/{application['id']}/addPassword", graph, json=wanted)
    refused(answer, 400, "Request_BadRequest")


def test_a_secret_is_removed_by_its_key_id(azure: Any, graph: str) -> None:
    """The second removal is refused: there is nothing left."""
    principal = azure.principal()
    path = f"{APPLICATIONS}/{principal.application_id}"
    body = {"keyId": principal.key_id}
    assert azure.call("POST", f"{path}/removePassword", graph, json=body).status_code == 204
    assert azure.call("GET", path, graph).json()["passwordCredentials"] == []
    refused(azure.call("POST", f"{path}/removePassword", graph, json=body), 400, "Request_BadRequest")


def test_certificates_are_kept_by_key_id(azure: Any, graph: str) -> None:
    """PATCH replaces the list; an entry whose key comes back as null keeps the certificate that is there."""
    leaf = trustme.CA().issue_cert("pal.example")
    pem = leaf.cert_chain_pems[0].bytes()
    path = f"{APPLICATIONS}/{made(azure, graph)['id']}"
    new = {
        "key": base64.b64encode(pem).decode(),
        "keyId": NOBODY,
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }
    assert azure.call("PATCH", path, graph, json={"keyCredentials": [new]}).status_code == 204
    first = azure.call("GET", path, graph).json()["keyCredentials"]
    assert [(entry["keyId"], entry["key"]) for entry in first] == [(NOBODY, None)]
    assert first[0]["startDateTime"]
    assert first[0]["endDateTime"]
    second = {**new, "keyId": "11111111-1111-4222-8333-444444444444", "endDateTime": "2027-01-01T00:00:00Z"}
    assert azure.call("PATCH", path, graph, json={"keyCredentials": [*first, second]}).status_code == 204
    shown = azure.call("GET", path, graph).json()["keyCredentials"]
    assert shown[0] == first[0]
    assert (shown[1]["keyId"], shown[1]["endDateTime"]) == (second["keyId"], second["endDateTime"])
    assert azure.call("PATCH", path, graph, json={"keyCredentials": []}).status_code == 204
    assert azure.call("GET", path, graph).json()["keyCredentials"] == []


def test_a_certificate_can_come_with_the_application(azure: Any, graph: str) -> None:
    """Key credentials in the first request are kept as later ones are."""
    der = trustme.CA().issue_cert("pal.example").cert_chain_pems[0].bytes()
    entry = {"key": base64.b64encode(der).decode(), "type": "AsymmetricX509Cert", "usage": "Verify"}
    assert len(made(azure, graph, keyCredentials=[entry])["keyCredentials"]) == 1


@pytest.mark.parametrize(
    "entry",
    [
        {"key": "bm8gY2VydGlmaWNhdGU=", "type": "AsymmetricX509Cert", "usage": "Verify"},
        {"key": "!", "type": "AsymmetricX509Cert", "usage": "Verify"},
        {"key": "bm8=", "type": "Symmetric", "usage": "Sign"},
        {"key": None, "keyId": NOBODY, "type": "AsymmetricX509Cert", "usage": "Verify"},
    ],
)
def test_what_is_no_certificate_is_refused(azure: Any, graph: str, entry: dict[str, Any]) -> None:
    """A key credential that cannot be used leaves the list as it was."""
    path = f"{APPLICATIONS}/{made(azure, graph)['id']}"
    refused(azure.call("PATCH", path, graph, json={"keyCredentials": [entry]}), 400, "Request_BadRequest")


def test_federated_credentials_come_back_as_given(azure: Any, graph: str) -> None:
    """Create, read, change, list, delete; the name cannot change."""
    path = f"{APPLICATIONS}/{made(azure, graph)['id']}/federatedIdentityCredentials"
    wanted = {
        "@odata.type": "#microsoft.graph.federatedIdentityCredential",
        "audiences": ["api://AzureADTokenExchange"],
        "description": "GitHub",
        "issuer": "https://token.actions.githubusercontent.com",
        "name": "github",
        "subject": "repo:northwind/pal:ref:refs/heads/main",
    }
    answer = azure.call("POST", path, graph, json=wanted)
    assert answer.status_code == 201
    one = f"{path}/{answer.json()['id']}"
    del wanted["@odata.type"]
    read = azure.call("GET", one, graph).json()
    assert {key: read[key] for key in wanted} == wanted
    change = {**wanted, "id": read["id"], "subject": "repo:northwind/pal:pull_request"}
    assert azure.call("PATCH", one, graph, json=change).status_code == 204
    assert azure.call("GET", one, graph).json()["subject"] == "repo:northwind/pal:pull_request"
    refused(azure.call("PATCH", one, graph, json={"name": "other"}), 400, "Request_BadRequest")
    assert [entry["id"] for entry in azure.call("GET", path, graph).json()["value"]] == [read["id"]]
    assert azure.call("DELETE", one, graph).status_code == 204
    refused(azure.call("GET", one, graph), 404, "Request_ResourceNotFound")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 409),
        ({"name": "other"}, 400),
        ({"name": "other", "subject": "other", "audiences": []}, 400),
        ({"name": "", "subject": "other"}, 400),
        ({"name": "other", "subject": "other", "color": "red"}, 400),
    ],
)
def test_impossible_federated_credentials_are_refused(
    azure: Any, graph: str, changes: dict[str, Any], status: int
) -> None:
    """Names and (issuer, subject) pairs are unique on an application, and there is exactly one audience."""
    path = f"{APPLICATIONS}/{made(azure, graph)['id']}/federatedIdentityCredentials"
    wanted = {"audiences": ["a"], "issuer": "https://issuer.example", "name": "one", "subject": "s"}
    azure.call("POST", path, graph, json=wanted)
    assert azure.call("POST", path, graph, json={**wanted, **changes}).status_code == status


def test_whoever_makes_something_owns_it(azure: Any, graph: str) -> None:
    """The caller is an owner of what it creates, can give that up, and then may not touch it any more."""
    deployer = azure.deployer()
    reference = f"{GRAPH}/v1.0/directoryObjects/{deployer}"
    application = made(azure, graph, **{"owners@odata.bind": [reference]})
    path = f"{APPLICATIONS}/{application['id']}"
    owners = azure.call("GET", f"{path}/owners", graph).json()["value"]
    assert [(owner["id"], owner["@odata.type"]) for owner in owners] == [
        (deployer, "#microsoft.graph.servicePrincipal")
    ]
    answer = azure.call("POST", f"{path}/owners/$ref", graph, json={"@odata.id": reference})
    refused(answer, 400, "Request_BadRequest")
    assert azure.call("DELETE", f"{path}/owners/{deployer}/$ref", graph).status_code == 204
    assert azure.call("GET", f"{path}/owners", graph).json()["value"] == []
    refused(azure.call("POST", f"{path}/addPassword", graph, json={}), 403, "Authorization_RequestDenied")
    refused(azure.call("DELETE", path, graph), 403, "Authorization_RequestDenied")
    answer = azure.call("POST", PRINCIPALS, graph, json={"appId": application["appId"]})
    refused(answer, 403, "Authorization_RequestDenied")


def test_ownership_can_be_given(azure: Any, graph: str) -> None:
    """A second owner with the permission for its own may change the application too."""
    principal = azure.principal()
    application = made(azure, graph)
    path = f"{APPLICATIONS}/{application['id']}"
    azure.grant(principal.object_id, "Application.ReadWrite.OwnedBy")
    other = azure.token(app=principal.app_id, secret=principal.secret, resource=GRAPH)
    refused(azure.call("PATCH", path, other, json={"notes": "x"}), 403, "Authorization_RequestDenied")
    reference = {"@odata.id": f"{GRAPH}/v1.0/directoryObjects/{principal.object_id}"}
    assert azure.call("POST", f"{path}/owners/$ref", graph, json=reference).status_code == 204
    assert azure.call("PATCH", path, other, json={"notes": "x"}).status_code == 204
    missing = {"@odata.id": f"{GRAPH}/v1.0/directoryObjects/{NOBODY}"}
    refused(azure.call("POST", f"{path}/owners/$ref", graph, json=missing), 404, "Request_ResourceNotFound")


def test_without_permissions_nothing_is_allowed(azure: Any, graph: str) -> None:
    """A principal that nobody consented to anything for may not even read."""
    principal = azure.principal()
    own = azure.token(app=principal.app_id, secret=principal.secret, resource=GRAPH)
    for method, path in (
        ("GET", APPLICATIONS),
        ("GET", f"{APPLICATIONS}/{principal.application_id}"),
        ("POST", APPLICATIONS),
        ("DELETE", f"{PRINCIPALS}/{principal.object_id}"),
        ("POST", f"{APPLICATIONS}/{principal.application_id}/addPassword"),
        ("GET", "/graph/v1.0/organization"),
    ):
        answer = azure.call(method, path, own, json={"displayName": "x"})
        assert refused(answer, 403, "Authorization_RequestDenied")["message"] == (
            "Insufficient privileges to complete the operation."
        )


def test_reading_is_not_writing(azure: Any) -> None:
    """Application.Read.All alone creates and changes nothing."""
    principal = azure.principal()
    azure.grant(principal.object_id, "Application.Read.All")
    own = azure.token(app=principal.app_id, secret=principal.secret, resource=GRAPH)
    assert azure.call("GET", f"{APPLICATIONS}/{principal.application_id}", own).status_code == 200
    refused(azure.call("POST", APPLICATIONS, own, json={"displayName": "x"}), 403, "Authorization_RequestDenied")
    path = f"{APPLICATIONS}/{principal.application_id}"
    refused(azure.call("PATCH", path, own, json={"notes": "x"}), 403, "Authorization_RequestDenied")


def test_the_seeded_deployer_cannot_change_itself(azure: Any, graph: str) -> None:
    """Its own principal is not its property: an identity cannot raise itself."""
    path = f"{PRINCIPALS}/{azure.deployer()}"
    refused(azure.call("PATCH", path, graph, json={"notes": "x"}), 403, "Authorization_RequestDenied")


def test_the_organization_is_named(azure: Any, graph: str) -> None:
    """The evidence names the customer's display name and default domain."""
    [organization] = azure.call("GET", "/graph/v1.0/organization", graph).json()["value"]
    assert (organization["id"], organization["displayName"]) == (CONTOSO, "Contoso")
    assert organization["verifiedDomains"][0]["name"] == "contoso.onmicrosoft.com"
