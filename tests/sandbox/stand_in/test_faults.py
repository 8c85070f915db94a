"""What the stand-ins do where a service is slow, busy, half done or broken; in process, against a scripted service."""

from collections.abc import Callable
from typing import Any

import pytest

from pal_components.sandbox.stand_in.azure_native import AzureNative
from pal_components.sandbox.stand_in.azuread import AzureAD
from pal_components.sandbox.stand_in.plugin import PartlyCreatedError, Properties, Provider, ProviderError, Resource

APPLICATION = {"id": "app", "appId": "client", "displayName": "a"}
PRINCIPAL = {"id": "sp", "appId": "client", "accountEnabled": True}


@pytest.fixture
def azuread(service: Any) -> AzureAD:
    """An azuread provider that is configured for the service, in this process."""
    provider = AzureAD()
    provider.configure(service.settings())
    return provider


@pytest.fixture
def azure_native(service: Any) -> AzureNative:
    """An azure-native provider that is configured for the service, in this process."""
    provider = AzureNative()
    provider.configure(service.settings())
    return provider


def application(provider: AzureAD) -> tuple[Resource, Properties]:
    """Return the resource type, and the checked inputs of one."""
    resource = provider.resource("azuread:index/application:Application")
    return resource, resource.check("a", b"", {}, {"displayName": "a"})[0]


def principal(provider: AzureAD) -> tuple[Resource, Properties]:
    """Return the resource type, and inputs of one."""
    return provider.resource("azuread:index/servicePrincipal:ServicePrincipal"), {"clientId": "client"}


def lay_out_application(service: Any) -> None:
    """Line up the answers to everything but the changes of an application."""
    service.answer("POST", "/v1.0/applications", 201, APPLICATION)
    service.answer("GET", "/v1.0/applications/app", 200, APPLICATION)
    service.answer("GET", "/beta/applications/app", 200, {})
    service.answer("GET", "/v1.0/applications/app/owners", 200, {"value": []})
    service.answer("DELETE", "/v1.0/applications/app/owners/caller/$ref", 204)


def test_the_order_of_a_creation(azuread: AzureAD, service: Any) -> None:
    """The requests are those of the real plugin, in its order, with its bodies."""
    lay_out_application(service)
    service.answer("PATCH", "/v1.0/applications/app", 204)
    resource, inputs = application(azuread)
    assert resource.create(inputs)[0] == "/applications/app"
    assert [(method, path) for method, path, _ in service.requests[2:]] == [
        ("POST", "/v1.0/applications"),
        ("PATCH", "/v1.0/applications/app"),
        ("PATCH", "/v1.0/applications/app"),
        ("DELETE", "/v1.0/applications/app/owners/caller/$ref"),
        ("GET", "/v1.0/applications/app"),
        ("GET", "/beta/applications/app"),
        ("GET", "/v1.0/applications/app/owners"),
    ]
    body = service.requests[2][2]
    assert body["owners@odata.bind"] == [f"{service.url}/v1.0/directoryObjects/caller"]
    assert (body["displayName"], body["notes"], body["tags"]) == ("a", None, [])
    assert service.requests[3][2]["displayName"].startswith("TERRAFORM_UPDATE_")
    assert service.requests[4][2]["displayName"] == "a"


def test_owners(azuread: AzureAD, service: Any) -> None:
    """Twenty owners go with the creation, the caller first; the rest follow; a caller that is one stays."""
    lay_out_application(service)
    service.answer("PATCH", "/v1.0/applications/app", 204)
    service.answer("POST", "/v1.0/applications/app/owners/$ref", 204)
    resource, inputs = application(azuread)
    owners = [f"owner{number}" for number in range(20)]
    resource.create(inputs | {"owners": [*owners, "CALLER"]})
    bound = [reference.rpartition("/")[2] for reference in service.requests[2][2]["owners@odata.bind"]]
    assert bound == ["caller", *owners[:19]]
    added = [body["@odata.id"].rpartition("/")[2] for method, path, body in service.requests if path.endswith("$ref")]
    assert added == ["owner19"]


def test_waits_for_replication(azuread: AzureAD, service: Any) -> None:
    """An application that cannot be changed yet is tried again."""
    lay_out_application(service)
    for status in (404, 409, 204):
        service.answer("PATCH", "/v1.0/applications/app", status, {} if status != 204 else None)
    resource, inputs = application(azuread)
    assert resource.create(inputs)[0] == "/applications/app"
    assert len(service.seen("PATCH")) == 4


@pytest.mark.parametrize(("make", "collection"), [(application, "applications"), (principal, "servicePrincipals")])
def test_what_was_half_created_is_kept(
    azuread: AzureAD,
    service: Any,
    make: Callable[[AzureAD], tuple[Resource, Properties]],
    collection: str,
) -> None:
    """When a step after the creation fails, the engine is told what exists, so that the next run goes on from there."""
    service.answer("GET", "/v1.0/servicePrincipals", 200, {"value": []})
    made = APPLICATION if collection == "applications" else PRINCIPAL
    service.answer("POST", f"/v1.0/{collection}", 201, made)
    path = f"/v1.0/{collection}/{made['id']}"
    service.answer("PATCH", path, 403, {"error": {"code": "Authorization_RequestDenied", "message": "No."}})
    resource, inputs = make(azuread)
    with pytest.raises(PartlyCreatedError, match=r"Authorization_RequestDenied: No\.$") as caught:
        resource.create(inputs)
    assert caught.value.resource_id == f"/{collection}/{made['id']}"
    assert caught.value.outputs.items() >= (inputs | {"objectId": made["id"]}).items()


def test_the_engine_is_told_what_was_half_created(service: Any, unconfigured_azuread: Any) -> None:
    """The gRPC answer to that failure carries id and outputs, which is how the engine keeps them in the state."""
    service.answer("POST", "/v1.0/applications", 201, APPLICATION)
    service.answer("PATCH", "/v1.0/applications/app", 403, {"error": {"code": "Denied", "message": "No."}})
    plugin = unconfigured_azuread
    plugin.configure(**service.settings())
    with pytest.raises(plugin.Refused, match=r"403 Forbidden\) with error: Denied: No\.$") as caught:
        plugin.create("azuread:index/application:Application", {"displayName": "a"})
    assert caught.value.existing.id == "/applications/app"
    assert caught.value.existing.properties["objectId"] == "app"
    assert list(caught.value.existing.reasons) == [str(caught.value)]


def test_mapped_claims_wait_for_the_application(azuread: AzureAD, service: Any) -> None:
    """They cannot be set in the creation by an identity that may only write what it owns."""
    lay_out_application(service)
    service.answer("PATCH", "/v1.0/applications/app", 204)
    resource, inputs = application(azuread)
    resource.create(inputs | {"api": {"mappedClaimsEnabled": True}})
    assert "acceptMappedClaims" not in service.requests[2][2]["api"]
    assert service.requests[5][2]["api"]["acceptMappedClaims"] is True


def test_roles_are_disabled_before_they_go(azuread: AzureAD, service: Any) -> None:
    """Graph refuses to change or remove a role that is enabled: so it is disabled first, and the others are left."""
    stays, goes = (
        {"id": i * 8 + "-0000-0000-0000-000000000000", "allowedMemberTypes": ["User"], "description": i}
        | {"displayName": i, "isEnabled": True, "value": i}
        for i in "12"
    )
    object_id = "0" * 36
    path = f"/v1.0/applications/{object_id}"
    service.answer("GET", path, 200, APPLICATION | {"id": object_id, "appRoles": [stays, goes]})
    service.answer("GET", path.replace("v1.0", "beta"), 200, {})
    service.answer("GET", f"{path}/owners", 200, {"value": []})
    service.answer("PATCH", path, 204)
    resource, inputs = application(azuread)
    olds = resource.read(f"/applications/{object_id}", {}, {})
    assert olds is not None
    news = inputs | {"appRoles": olds.outputs["appRoles"][:1]}
    resource.update(f"/applications/{object_id}", olds.outputs, news)
    patches = [body for method, _, body in service.requests if method == "PATCH"]
    assert patches[0] == {"appRoles": [stays, goes | {"isEnabled": False}]}
    assert [role["id"] for role in patches[1]["appRoles"]] == [stays["id"]]


def test_an_assignment_that_is_gone_is_deleted(azure_native: AzureNative, service: Any) -> None:
    """404 is as good as 204."""
    resource_id = "/subscriptions/s/providers/Microsoft.Authorization/roleAssignments/n"
    service.answer("DELETE", f"/v1.0/arm{resource_id}", 404, {"error": {"code": "SubscriptionNotFound"}})
    azure_native.resource("azure-native:authorization:RoleAssignment").delete(resource_id, {})
    assert service.seen("DELETE") == [f"/v1.0/arm{resource_id}"]


def test_what_cannot_be_read_after_its_creation_is_lost(azuread: AzureAD, service: Any) -> None:
    """The real plugin takes that 404 for "gone" and keeps nothing: the message says what was made."""
    service.answer("POST", "/v1.0/applications", 201, APPLICATION)
    service.answer("PATCH", "/v1.0/applications/app", 204)
    service.answer("DELETE", "/v1.0/applications/app/owners/caller/$ref", 204)
    service.answer("GET", "/v1.0/applications/app", 404, {})
    resource, inputs = application(azuread)
    with pytest.raises(ProviderError, match="application app was written, but is not found") as caught:
        resource.create(inputs)
    assert not isinstance(caught.value, PartlyCreatedError)


def test_a_principal_waits_for_its_application(azuread: AzureAD, service: Any) -> None:
    """Right after the application's creation the service may not know it yet, and says so in two ways."""
    service.answer("GET", "/v1.0/servicePrincipals", 200, {"value": []})
    for status, message in (
        (400, "The appId 'client' of the service principal does not reference a valid application object."),
        (
            403,
            "When using this permission, the backing application of the service principal being created must in ...",
        ),
    ):
        service.answer("POST", "/v1.0/servicePrincipals", status, {"error": {"code": "c", "message": message}})
    service.answer("POST", "/v1.0/servicePrincipals", 201, PRINCIPAL)
    service.answer("PATCH", "/v1.0/servicePrincipals/sp", 204)
    service.answer("DELETE", "/v1.0/servicePrincipals/sp/owners/caller/$ref", 204)
    service.answer("GET", "/v1.0/servicePrincipals/sp", 200, PRINCIPAL)
    service.answer("GET", "/beta/servicePrincipals/sp", 200, {})
    service.answer("GET", "/v1.0/servicePrincipals/sp/owners", 200, {"value": []})
    resource, inputs = principal(azuread)
    assert resource.create(inputs)[0] == "/servicePrincipals/sp"
    assert len(service.seen("POST")) == 3


def test_a_principal_that_cannot_be_created(azuread: AzureAD, service: Any) -> None:
    """Another refusal is not tried again."""
    service.answer("GET", "/v1.0/servicePrincipals", 200, {"value": []})
    service.answer("POST", "/v1.0/servicePrincipals", 400, {"error": {"code": "Bad", "message": "No\n such thing."}})
    resource, inputs = principal(azuread)
    with pytest.raises(ProviderError) as caught:
        resource.create(inputs)
    assert str(caught.value) == (
        "creating service principal: unexpected status 400 (400 Bad Request) with error: Bad: No such thing."
    )
    assert len(service.seen("POST")) == 1


def test_waits_until_a_password_shows(azuread: AzureAD, service: Any) -> None:
    """A password is there when the object says so, and gone when it no longer does."""
    resource = azuread.resource("azuread:index/applicationPassword:ApplicationPassword")
    key = {"keyId": "key", "displayName": None, "startDateTime": "s", "endDateTime": "e"}
    for credentials in ([], [], [key], [key], []):
        service.answer("GET", "/v1.0/applications/app", 200, APPLICATION | {"passwordCredentials": credentials})
    service.answer("POST", "/v1.0/applications/app/addPassword", 200, key | {"secretText": "hidden"})
    service.answer("POST", "/v1.0/applications/app/removePassword", 204)
    resource_id, outputs = resource.create({"applicationId": "/applications/app"})
    assert resource_id == "app/password/key"
    assert outputs["endDate"] == "e"
    resource.delete(resource_id, {})
    assert len(service.seen("GET")) == 5


@pytest.mark.parametrize("missing", ["keyId", "secretText"])
def test_a_password_answer_with_a_hole(azuread: AzureAD, service: Any, missing: str) -> None:
    """An answer without the secret, or without its id, is of no use and says so."""
    resource = azuread.resource("azuread:index/servicePrincipalPassword:ServicePrincipalPassword")
    answer = {"keyId": "key", "secretText": "hidden"}
    del answer[missing]
    service.answer("POST", "/v1.0/servicePrincipals/sp/addPassword", 200, answer)
    with pytest.raises(ProviderError, match=f"the answer holds no {missing}"):
        resource.create({"servicePrincipalId": "/servicePrincipals/sp"})


def test_an_old_password_carries_its_name_elsewhere(azuread: AzureAD, service: Any) -> None:
    """Without a displayName the name is in customKeyIdentifier, in base64."""
    resource = azuread.resource("azuread:index/applicationPassword:ApplicationPassword")
    key = {"keyId": "key", "customKeyIdentifier": "b2xkIG5hbWU="}
    service.answer("GET", "/v1.0/applications/app", 200, APPLICATION | {"passwordCredentials": [key]})
    state = resource.read("app/password/key", {"value": "hidden"}, {"applicationId": "/applications/app"})
    assert state is not None
    assert state.outputs["displayName"] == "old name"


def test_an_interrupted_wait_ends(azuread: AzureAD, service: Any) -> None:
    """Cancelling the update ends a wait that would go on for minutes."""
    object_id = "0" * 36
    service.answer("DELETE", f"/v1.0/applications/{object_id}", 204)
    service.answer("GET", f"/v1.0/applications/{object_id}", 200, APPLICATION)
    azuread.cancelled.set()
    resource, _ = application(azuread)
    with pytest.raises(ProviderError, match=f"cancelled while waiting for the deletion of application {object_id}"):
        resource.delete(f"/applications/{object_id}", {})


@pytest.mark.parametrize("status", [429, 500, 503])
def test_tries_again_while_a_service_is_busy(azuread: AzureAD, service: Any, status: int) -> None:
    """429 and 5xx are tried again, also for a POST, after the time that the service asks for."""
    service.answer("GET", "/v1.0/servicePrincipals", status, {}, Retry_After="0")
    service.answer("GET", "/v1.0/servicePrincipals", 200, {"value": []})
    service.answer("POST", "/v1.0/servicePrincipals", status, {}, Retry_After="0")
    service.answer("POST", "/v1.0/servicePrincipals", 400, {"error": {"code": "c", "message": "m"}})
    resource, inputs = principal(azuread)
    with pytest.raises(ProviderError, match="400"):
        resource.create(inputs)
    assert len(service.seen("GET", "POST")) == 4


def test_pages(azuread: AzureAD, service: Any) -> None:
    """A list that comes in pages is read to its end."""
    service.answer("GET", "/v1.0/applications/app", 200, APPLICATION)
    service.answer("GET", "/beta/applications/app", 200, {})
    owners = "/v1.0/applications/app/owners"
    link = {"@odata.nextLink": f"{service.url}{owners}?$skiptoken=2"}
    service.answer("GET", owners, 200, {"value": [{"id": "one"}]} | link)
    service.answer("GET", owners, 200, {"value": [{"id": "two"}]})
    found = azuread.function("azuread:index/getApplication:getApplication")({"objectId": "app"})
    assert found["owners"] == ["one", "two"]


@pytest.mark.parametrize("provider", [AzureAD, AzureNative])
@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"name": "x"}, "resourceManager, microsoftGraphResourceId, authentication.loginEndpoint missing"),
        ("text", "name, resourceManager"),
    ],
)
def test_metadata_with_holes(service: Any, provider: type[Provider], document: Any, said: str) -> None:
    """A metadata document says where everything is, or it is none."""
    service.answers["GET", "/metadata/endpoints"] = [(200, document, {})]
    with pytest.raises(ProviderError, match=said):
        provider().configure(service.settings())


def test_metadata_is_asked_for_once(service: Any) -> None:
    """A metadata service that fails is not tried again, as with the real plugins."""
    service.answers["GET", "/metadata/endpoints"] = [(503, {}, {})]
    with pytest.raises(ProviderError, match="expected 200 but got 503"):
        AzureAD().configure(service.settings())
    assert len(service.requests) == 1


def test_a_token_that_tells_nothing(service: Any) -> None:
    """The plugin must know who it is: it reads that from the token."""
    service.answers["POST", "/tenant/oauth2/v2.0/token"] = [(200, {"access_token": "opaque"}, {})]
    with pytest.raises(ProviderError, match="is not a JWT"):
        AzureAD().configure(service.settings())


def test_a_resource_group(azure_native: AzureNative, service: Any) -> None:
    """A resource group goes to the configured location, and its deletion is followed to its end."""
    resource = azure_native.resource("azure-native:resources:ResourceGroup")
    azure_native.location = "West Europe"
    inputs, failures = resource.check("web", b"seed", {}, {"tags": {"a": "b"}})
    assert (failures, inputs["location"]) == ([], "West Europe")
    assert inputs["resourceGroupName"].startswith("web")
    assert len(inputs["resourceGroupName"]) == len("web") + 8
    path = f"/subscriptions/subscription/resourcegroups/{inputs['resourceGroupName']}"
    resource_id = path.replace("resourcegroups", "resourceGroups")
    service.answer("GET", f"/v1.0/arm{path}", 404, {})
    group = {"id": resource_id, "name": "web", "location": "westeurope", "tags": {"a": "b"}}
    service.answer("PUT", f"/v1.0/arm{path}", 201, group)
    service.answer("GET", f"/v1.0/arm{resource_id}", 200, group)
    created, outputs = resource.create(inputs)
    assert created == resource_id
    assert service.requests[-2][2] == {"location": "West Europe", "tags": {"a": "b"}}
    assert outputs == {"azureApiVersion": "2024-03-01", "name": "web", "location": "westeurope", "tags": {"a": "b"}}
    state = resource.read(resource_id, outputs, inputs)
    assert state is not None
    assert state.inputs == inputs
    assert resource.diff(inputs, outputs, inputs | {"location": "westeurope"}).changes == {}
    assert resource.diff(inputs, outputs, inputs | {"location": "northeurope"}).replaces == {"location"}

    operation = f"{service.url}/v1.0/arm/operation"
    service.answer("DELETE", f"/v1.0/arm{resource_id}", 202, Location=operation)
    for status in (202, 202, 200):
        service.answer("GET", "/v1.0/arm/operation", status)
    resource.delete(resource_id, outputs)
    assert service.seen("GET")[-3:] == ["/v1.0/arm/operation"] * 3


def test_tokens_are_kept(azure_native: AzureNative, service: Any) -> None:
    """One discovery and one token serve all requests, until shortly before it expires."""
    for _ in range(2):
        azure_native.function("azure-native:authorization:getClientConfig")({})
    assert [path for _, path, _ in service.requests[1:]] == [
        "/tenant/v2.0/.well-known/openid-configuration",
        "/tenant/oauth2/v2.0/token",
    ]
    assert "scope=http%3A%2F%2F127.0.0.1%3A" in service.requests[2][2]


def test_a_short_token_is_renewed(azuread: AzureAD, service: Any) -> None:
    """A token that has expired is not used again."""
    answers = service.answers["POST", "/tenant/oauth2/v2.0/token"]
    answers[0] = (200, answers[0][1] | {"expires_in": 0}, {})
    azuread.configure(service.settings())
    service.answer("GET", "/v1.0/applications/app", 404, {})
    before = len(service.requests)
    with pytest.raises(ProviderError, match="was not found"):
        azuread.function("azuread:index/getApplication:getApplication")({"objectId": "app"})
    assert [path for _, path, _ in service.requests[before:]] == ["/tenant/oauth2/v2.0/token", "/v1.0/applications/app"]
