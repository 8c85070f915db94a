"""The azure-native stand-in's registrations against the sandbox, over gRPC."""

import uuid
from typing import Any

import pytest

DEFINITION = "azure-native:managedservices:RegistrationDefinition"
ASSIGNMENT = "azure-native:managedservices:RegistrationAssignment"
PRODUCTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{PRODUCTION}/resourceGroups/rg-web"
HOME = "99999999-9999-4999-8999-999999999999"
TEAM = "cccccccc-1111-4222-8333-444444444444"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


@pytest.fixture
def offer() -> dict[str, Any]:
    """The inputs of a definition, as a program writes them."""
    return {
        "scope": PRODUCTION,
        "registrationDefinitionId": str(uuid.uuid4()),
        "properties": {
            "registrationDefinitionName": "Northwind managed services",
            "managedByTenantId": HOME,
            "authorizations": [{"principalId": TEAM, "roleDefinitionId": READER}],
            "eligibleAuthorizations": [
                {
                    "principalId": TEAM,
                    "roleDefinitionId": CONTRIBUTOR,
                    "justInTimeAccessPolicy": {"multiFactorAuthProvider": "Azure", "maximumActivationDuration": "PT2H"},
                }
            ],
        },
    }


def changed(diff: Any) -> dict[str, bool]:
    """Return the changed properties of a diff, and whether each replaces."""
    return {name: name in diff.replaces for name in diff.diffs}


def test_life(azure_native: Any, offer: dict[str, Any]) -> None:
    """A definition and its assignment: create, no change, drift, change in place, delete in the right order."""
    inputs = azure_native.check(DEFINITION, offer)
    assert inputs == offer | {"azureApiVersion": "2022-10-01"}
    definition_id, outputs = azure_native.create(DEFINITION, offer)
    name = offer["registrationDefinitionId"]
    assert definition_id == f"{PRODUCTION}/providers/Microsoft.ManagedServices/registrationDefinitions/{name}"
    assert outputs.keys() == {"azureApiVersion", "name", "properties", "type"}
    assert outputs["properties"] == offer["properties"] | {
        "provisioningState": "Succeeded",
        "manageeTenantId": "c0000000-0000-4000-8000-000000000001",
        "manageeTenantName": "Contoso",
        "managedByTenantName": "Northwind Services",
    }
    assert azure_native.read(DEFINITION, definition_id, outputs, inputs) == (outputs, inputs)
    assert changed(azure_native.diff(DEFINITION, inputs, outputs, inputs)) == {}

    wanted = {
        "scope": GROUP,
        "registrationAssignmentId": str(uuid.uuid4()),
        "properties": {"registrationDefinitionId": definition_id},
    }
    assignment_id, assigned = azure_native.create(ASSIGNMENT, wanted)
    assert assignment_id.startswith(f"{GROUP}/providers/Microsoft.ManagedServices/registrationAssignments/")
    assert assigned["properties"] == wanted["properties"] | {"provisioningState": "Succeeded"}
    assert azure_native.read(ASSIGNMENT, assignment_id, {}, {}) == (
        assigned,
        wanted | {"azureApiVersion": "2022-10-01"},
    )

    properties = offer["properties"] | {"description": "more", "eligibleAuthorizations": []}
    news = inputs | {"properties": properties}
    assert changed(azure_native.diff(DEFINITION, inputs, outputs, news)) == {"properties": False}
    updated = azure_native.update(DEFINITION, definition_id, outputs, news)
    assert updated["properties"]["description"] == "more"
    drifted = azure_native.read(DEFINITION, definition_id, outputs, inputs)
    assert drifted == (updated, news), "what somebody changed outside shows in the inputs, without what Azure adds"

    with pytest.raises(azure_native.Refused, match="Status=409"):
        azure_native.delete(DEFINITION, definition_id, updated)
    azure_native.delete(ASSIGNMENT, assignment_id, assigned)
    azure_native.delete(DEFINITION, definition_id, updated)
    assert azure_native.read(DEFINITION, definition_id, updated, inputs) is None
    azure_native.delete(ASSIGNMENT, assignment_id, assigned)


@pytest.mark.parametrize(
    ("token", "change", "replaces"),
    [
        (DEFINITION, {"scope": GROUP}, True),
        (DEFINITION, {"registrationDefinitionId": str(uuid.uuid4())}, True),
        (DEFINITION, {"properties": {"managedByTenantId": TEAM, "authorizations": []}}, False),
        (ASSIGNMENT, {"scope": GROUP}, True),
        (ASSIGNMENT, {"registrationAssignmentId": str(uuid.uuid4())}, True),
        (ASSIGNMENT, {"properties": {"registrationDefinitionId": UNKNOWN}}, False),
    ],
)
def test_what_replaces(azure_native: Any, token: str, change: dict[str, Any], replaces: bool) -> None:
    """What is part of the id replaces; the real plugin would send everything else under the old name."""
    name = "registrationDefinitionId" if token == DEFINITION else "registrationAssignmentId"
    inputs = {"scope": PRODUCTION, name: str(uuid.uuid4()), "azureApiVersion": "2022-10-01"}
    diff = azure_native.diff(token, inputs, {}, inputs | change)
    assert changed(diff) == {next(iter(change)): replaces}
    assert diff.deleteBeforeReplace is replaces


def test_an_automatic_name_is_none_that_the_service_takes(azure_native: Any, offer: dict[str, Any]) -> None:
    """The real plugin makes up a name with a random end where the service wants a GUID: a program must give it."""
    del offer["registrationDefinitionId"]
    assert azure_native.check(DEFINITION, offer)["registrationDefinitionId"].startswith("name")
    with pytest.raises(azure_native.Refused, match="no GUID"):
        azure_native.create(DEFINITION, offer)


def test_refuses_one_that_exists(azure_native: Any, offer: dict[str, Any]) -> None:
    """It looks first: nothing is overwritten."""
    resource_id, outputs = azure_native.create(DEFINITION, offer)
    with pytest.raises(azure_native.Refused, match=f"^cannot create already existing resource '{resource_id}'$"):
        azure_native.create(DEFINITION, offer)
    azure_native.delete(DEFINITION, resource_id, outputs)


def test_says_what_is_wrong(azure_native: Any, offer: dict[str, Any]) -> None:
    """Mistakes are found before anything is asked of the service; what the service refuses is in its words."""
    wrong = offer | {
        "plan": {"name": "x"},
        "properties": {
            "managedByTenantID": HOME,
            "authorizations": [{"principalId": TEAM, "roleDefinitionid": READER}],
        },
    }
    _, failures = azure_native.examine(DEFINITION, wrong)
    said = "\n".join(failures)
    for text in (
        "has no input properties.managedByTenantID; did you mean properties.managedByTenantId?",
        "missing required property properties.managedByTenantId",
        "has no input properties.authorizations[0].roleDefinitionid",
        "missing required property properties.authorizations[0].roleDefinitionId",
        "missing required property plan.publisher",
    ):
        assert text in said
    offer["properties"]["authorizations"][0]["roleDefinitionId"] = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    with pytest.raises(
        azure_native.Refused,
        match=r"^creating resource '.*': Status=400 Code=\"InvalidRegistrationDefinitionCreateRequest\" Message=",
    ):
        azure_native.create(DEFINITION, offer)
    with pytest.raises(azure_native.Refused, match="is no id of"):
        azure_native.read(ASSIGNMENT, PRODUCTION, {}, {})


def test_preview(azure_native: Any, offer: dict[str, Any]) -> None:
    """A preview knows what is written, and nothing that only the answer can tell."""
    planned = azure_native.preview(DEFINITION, offer)
    assert planned["properties"] == offer["properties"]
    assert planned["name"] == UNKNOWN
    assert "scope" not in planned
