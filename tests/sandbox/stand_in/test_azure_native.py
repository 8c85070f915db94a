"""The azure-native stand-in against the sandbox, over gRPC: role assignments, resource groups, functions."""

import uuid
from typing import Any

import pytest

ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
RESOURCE_GROUP = "azure-native:resources:ResourceGroup"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
DEPLOYER = "d0000000-0000-4000-8000-00000000000d"
PRODUCTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEVELOPMENT = "/subscriptions/11111111-1111-1111-1111-222222222222"
SUPPORT_REQUEST_CONTRIBUTOR = "/providers/Microsoft.Authorization/roleDefinitions/cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@pytest.fixture
def principal(azuread: Any) -> str:
    """The object id of a service principal in Contoso."""
    me = azuread.invoke("azuread:index/getClientConfig:getClientConfig")["objectId"]
    _, application = azuread.create("azuread:index/application:Application", {"displayName": "an app", "owners": [me]})
    _, made = azuread.create(
        "azuread:index/servicePrincipal:ServicePrincipal", {"clientId": application["clientId"], "owners": [me]}
    )
    return str(made["objectId"])


@pytest.fixture
def wanted(principal: str) -> dict[str, Any]:
    """The inputs of an assignment, as a program writes them."""
    return {
        "scope": PRODUCTION,
        "principalId": principal,
        "principalType": "ServicePrincipal",
        "roleDefinitionId": SUPPORT_REQUEST_CONTRIBUTOR,
    }


def changed(diff: Any) -> dict[str, bool]:
    """Return the changed properties of a diff, and whether each replaces."""
    return {name: name in diff.replaces for name in diff.diffs}


class TestRoleAssignment:
    """Role assignments."""

    def test_life(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """Create, see no change although the service writes the role its own way, change in place, delete."""
        inputs = azure_native.check(ROLE_ASSIGNMENT, wanted)
        resource_id, outputs = azure_native.create(ROLE_ASSIGNMENT, inputs)
        name = inputs["roleAssignmentName"]
        assert resource_id == f"{PRODUCTION}/providers/Microsoft.Authorization/roleAssignments/{name}"
        assert outputs["roleDefinitionId"] == PRODUCTION + SUPPORT_REQUEST_CONTRIBUTOR
        assert outputs.keys() == {
            *("azureApiVersion", "createdBy", "createdOn", "name", "principalId", "principalType"),
            *("roleDefinitionId", "scope", "type", "updatedBy", "updatedOn"),
        }
        assert (outputs["name"], outputs["type"]) == (name, "Microsoft.Authorization/roleAssignments")
        assert azure_native.read(ROLE_ASSIGNMENT, resource_id, outputs, inputs) == (outputs, inputs)
        again = azure_native.check(ROLE_ASSIGNMENT, wanted, inputs)
        assert again == inputs
        assert changed(azure_native.diff(ROLE_ASSIGNMENT, inputs, outputs, again)) == {}

        news = inputs | {"description": "approved in 4711"}
        assert changed(azure_native.diff(ROLE_ASSIGNMENT, inputs, outputs, news)) == {"description": False}
        updated = azure_native.update(ROLE_ASSIGNMENT, resource_id, outputs, news)
        assert updated["description"] == "approved in 4711"
        seen = azure_native.read(ROLE_ASSIGNMENT, resource_id, outputs, inputs)
        assert seen == (updated, news), "what somebody changed outside shows in the refreshed inputs"

        azure_native.delete(ROLE_ASSIGNMENT, resource_id, updated)
        assert azure_native.read(ROLE_ASSIGNMENT, resource_id, updated, news) is None
        azure_native.delete(ROLE_ASSIGNMENT, resource_id, updated)

    def test_preview(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """A preview knows what is written, and nothing that only the answer can tell."""
        planned = azure_native.preview(ROLE_ASSIGNMENT, wanted | {"principalId": UNKNOWN})
        assert planned["principalId"] == planned["createdOn"] == planned["name"] == planned["condition"] == UNKNOWN
        assert (planned["scope"], planned["azureApiVersion"]) == (PRODUCTION, "2022-04-01")
        later = azure_native.update(ROLE_ASSIGNMENT, "id", {"name": "n", "createdOn": "then"}, wanted, preview=True)
        assert (later["name"], later["createdOn"]) == ("n", UNKNOWN)

    @pytest.mark.parametrize(
        ("change", "replaces"),
        [
            ({"principalId": str(uuid.uuid4())}, True),
            ({"principalId": UNKNOWN}, True),
            ({"scope": DEVELOPMENT}, True),
            ({"roleAssignmentName": str(uuid.uuid4())}, True),
            ({"roleDefinitionId": READER}, False),
            ({"principalType": "Group"}, False),
            ({"condition": "true"}, False),
        ],
    )
    def test_what_replaces(
        self, azure_native: Any, wanted: dict[str, Any], change: dict[str, Any], replaces: bool
    ) -> None:
        """What is part of the id replaces, and the principal; the real plugin would change the rest in place."""
        inputs = azure_native.check(ROLE_ASSIGNMENT, wanted)
        diff = azure_native.diff(ROLE_ASSIGNMENT, inputs, {}, inputs | change)
        assert changed(diff) == {next(iter(change)): replaces}
        assert not diff.deleteBeforeReplace, "with an automatic name old and new can exist together"
        named = azure_native.check(ROLE_ASSIGNMENT, wanted | {"roleAssignmentName": str(uuid.uuid4())})
        assert azure_native.diff(ROLE_ASSIGNMENT, named, {}, named | change).deleteBeforeReplace is replaces

    def test_the_service_refuses_another_role_in_place(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """So changing the role of an assignment fails, in the words of the service."""
        resource_id, outputs = azure_native.create(ROLE_ASSIGNMENT, wanted)
        news = wanted | {"roleAssignmentName": outputs["name"], "roleDefinitionId": READER}
        with pytest.raises(
            azure_native.Refused, match=r'Status=400 Code="RoleAssignmentUpdateNotPermitted" Message="[^"]+"$'
        ):
            azure_native.update(ROLE_ASSIGNMENT, resource_id, outputs, news)

    def test_names(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """An automatic name is a new GUID for each resource and is kept from then on; a given one is taken."""
        first, second = (azure_native.check(ROLE_ASSIGNMENT, wanted) for _ in range(2))
        assert str(uuid.UUID(first["roleAssignmentName"])) == first["roleAssignmentName"]
        assert first["roleAssignmentName"] != second["roleAssignmentName"]
        assert azure_native.check(ROLE_ASSIGNMENT, wanted, first) == first
        given = str(uuid.uuid4())
        assert azure_native.check(ROLE_ASSIGNMENT, wanted | {"roleAssignmentName": given}) == wanted | {
            "roleAssignmentName": given,
            "azureApiVersion": "2022-04-01",
        }

    def test_refuses_one_that_exists(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """It looks first: under the same name nothing is overwritten; the same assignment under another name is 409."""
        resource_id, outputs = azure_native.create(ROLE_ASSIGNMENT, wanted)
        with pytest.raises(azure_native.Refused, match=f"^cannot create already existing resource '{resource_id}'$"):
            azure_native.create(ROLE_ASSIGNMENT, wanted | {"roleAssignmentName": outputs["name"]})
        with pytest.raises(azure_native.Refused, match=r'Status=409 Code="RoleAssignmentExists" Message="[^"]+"$'):
            azure_native.create(ROLE_ASSIGNMENT, wanted)

    def test_import(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """An assignment is imported by its id; scope and name come from there."""
        resource_id, outputs = azure_native.create(ROLE_ASSIGNMENT, wanted)
        assert azure_native.read(ROLE_ASSIGNMENT, resource_id, {}, {}) == (
            outputs,
            wanted
            | {
                "roleAssignmentName": outputs["name"],
                "roleDefinitionId": outputs["roleDefinitionId"],
                "azureApiVersion": "2022-04-01",
            },
        )
        with pytest.raises(azure_native.Refused, match="is no role assignment id"):
            azure_native.read(ROLE_ASSIGNMENT, PRODUCTION, {}, {})

    @pytest.mark.parametrize(
        "scope",
        ["/providers/Microsoft.Management/managementGroups/contoso-root", f"{PRODUCTION}/resourceGroups/rg-web"],
    )
    def test_scopes(self, azure_native: Any, wanted: dict[str, Any], scope: str) -> None:
        """Management groups and resource groups are scopes too; slashes at the ends do no harm."""
        resource_id, outputs = azure_native.create(ROLE_ASSIGNMENT, wanted | {"scope": f"{scope}/"})
        assert resource_id == f"{scope}/providers/Microsoft.Authorization/roleAssignments/{outputs['name']}"

    def test_says_what_the_service_says(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """A refusal names what was being done, the status, and the code and message of the service."""
        elsewhere = "/subscriptions/22222222-2222-2222-2222-222222222222"
        with pytest.raises(
            azure_native.Refused,
            match=rf"^cannot check existence of resource '{elsewhere}/.*': Status=401 "
            r'Code="InvalidAuthenticationTokenTenant" Message="The access token is from the wrong issuer',
        ):
            azure_native.create(ROLE_ASSIGNMENT, wanted | {"scope": elsewhere})

    def test_says_what_is_wrong(self, azure_native: Any) -> None:
        """Mistakes are found before anything is asked of the service."""
        _, failures = azure_native.examine(ROLE_ASSIGNMENT, {"scope": PRODUCTION, "principalid": "x"})
        assert failures == [
            f"{ROLE_ASSIGNMENT} has no input principalid; did you mean principalId?",
            f"{ROLE_ASSIGNMENT}: missing required property principalId",
            f"{ROLE_ASSIGNMENT}: missing required property roleDefinitionId",
        ]

    def test_a_principal_is_a_user_unless_said_otherwise(self, azure_native: Any, wanted: dict[str, Any]) -> None:
        """The default of the real plugin, which makes the service look for a user."""
        del wanted["principalType"]
        assert azure_native.check(ROLE_ASSIGNMENT, wanted)["principalType"] == "User"


class TestFunctions:
    """Lookups."""

    def test_client_config(self, azure_native: Any, azuread: Any) -> None:
        """The client config is that of the token, and the configured subscription."""
        assert azure_native.invoke("azure-native:authorization:getClientConfig") == {
            "clientId": DEPLOYER,
            "objectId": azuread.invoke("azuread:index/getClientConfig:getClientConfig")["objectId"],
            "subscriptionId": PRODUCTION.rpartition("/")[2],
            "tenantId": CONTOSO,
        }

    def test_role_definition(self, azure_native: Any) -> None:
        """A role definition is found by its GUID."""
        token = "azure-native:authorization:getRoleDefinition"
        found = azure_native.invoke(token, scope=PRODUCTION, roleDefinitionId=READER.rpartition("/")[2])
        assert (found["roleName"], found["roleType"], found["id"]) == ("Reader", "BuiltInRole", PRODUCTION + READER)
        assert found["permissions"][0]["actions"] == ["*/read"]
        with pytest.raises(azure_native.Refused, match=r"^request failed .* Status=404 Code="):
            azure_native.invoke(token, scope=PRODUCTION, roleDefinitionId=str(uuid.uuid4()))
        with pytest.raises(azure_native.Refused, match="missing required property 'scope'"):
            azure_native.invoke(token, roleDefinitionId="x")
