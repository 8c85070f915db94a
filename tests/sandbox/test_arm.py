"""Tenants, subscriptions, groups: what the clients around role assignments ask for."""

from typing import Any

import pytest

CONTOSO = "c0000000-0000-4000-8000-000000000001"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
OTHER = "/subscriptions/11111111-1111-1111-1111-222222222222"
GROUPS = "/providers/Microsoft.Management/managementGroups"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
NAME = "aaaaaaaa-1111-4222-8333-444444444444"


@pytest.fixture
def token(azure: Any) -> str:
    """The deploying identity's token."""
    return str(azure.token())


def assign(azure: Any, principal: Any, role: str, scope: str) -> str:
    """Give a principal a role, as the deploying identity, and return the principal's token."""
    definition = f"/providers/Microsoft.Authorization/roleDefinitions/{role}"
    answer = azure.arm(
        "PUT",
        f"{scope}/providers/Microsoft.Authorization/roleAssignments/{NAME}",
        azure.token(),
        json={"properties": {"roleDefinitionId": definition, "principalId": principal.object_id}},
    )
    assert answer.status_code == 201
    return str(azure.token(app=principal.app_id, secret=principal.secret))


def listed(answer: Any) -> list[str]:
    """Return the names of a list's entries."""
    assert answer.status_code == 200
    return [entry.get("displayName") or entry["name"] for entry in answer.json()["value"]]


def test_a_caller_sees_its_own_tenant(azure: Any, token: str) -> None:
    """The tenant list is the token's tenant."""
    [tenant] = azure.arm("GET", "/tenants", token).json()["value"]
    assert (tenant["tenantId"], tenant["defaultDomain"]) == (CONTOSO, "contoso.onmicrosoft.com")


def test_subscriptions_are_those_one_has_a_role_in(azure: Any, token: str) -> None:
    """All of them for the deploying identity; after one assignment in a group, that one; before, none."""
    assert listed(azure.arm("GET", "/subscriptions", token)) == ["Contoso Production", "Contoso Development"]
    principal = azure.principal()
    own = azure.token(app=principal.app_id, secret=principal.secret)
    assert listed(azure.arm("GET", "/subscriptions", own)) == []
    own = assign(azure, principal, CONTRIBUTOR, f"{OTHER}/resourceGroups/rg-dev")
    assert listed(azure.arm("GET", "/subscriptions", own)) == ["Contoso Development"]
    subscription = azure.arm("GET", OTHER, token).json()
    assert (subscription["subscriptionId"], subscription["tenantId"]) == (OTHER.split("/")[2], CONTOSO)
    assert subscription["state"] == "Enabled"
    assert azure.arm("GET", OTHER, own).status_code == 403


def test_management_groups_name_their_parent(azure: Any, token: str) -> None:
    """The customer's group stands below the tenant's root group."""
    assert listed(azure.arm("GET", GROUPS, token)) == ["contoso-root"]
    group = azure.arm("GET", f"{GROUPS}/contoso-root", token).json()
    assert group["properties"]["details"]["parent"]["name"] == CONTOSO
    assert azure.arm("GET", f"{GROUPS}/{CONTOSO}", token).status_code == 403


def test_resource_groups_and_resources_are_read(azure: Any, token: str) -> None:
    """What the world has can be looked at; the rest is not found by name."""
    assert listed(azure.arm("GET", f"{SUBSCRIPTION}/resourceGroups", token)) == ["rg-web", "rg-data"]
    group = azure.arm("GET", f"{SUBSCRIPTION}/resourcegroups/RG-WEB", token).json()
    assert (group["id"], group["location"]) == (f"{SUBSCRIPTION}/resourceGroups/rg-web", "westeurope")
    path = f"{group['id']}/providers/Microsoft.Storage/storageAccounts/contosoweb"
    assert azure.arm("GET", path, token).json()["type"] == "Microsoft.Storage/storageAccounts"
    answer = azure.arm("GET", f"{SUBSCRIPTION}/resourceGroups/none", token)
    assert answer.json()["error"]["code"] == "ResourceGroupNotFound"


def test_a_resource_group_is_made_and_deleted_by_who_may(azure: Any, token: str) -> None:
    """Contributor may, the deploying identity here may not; its role assignments go with the group."""
    path = f"{OTHER}/resourceGroups/rg_new"
    body = {"location": "North Europe", "tags": {"a": "b"}}
    assert azure.arm("PUT", path, token, json=body).json()["error"]["code"] == "AuthorizationFailed"
    principal = azure.principal()
    own = assign(azure, principal, CONTRIBUTOR, OTHER)
    assert azure.arm("PUT", path, own, json={}).json()["error"]["code"] == "LocationRequired"
    made = azure.arm("PUT", path, own, json=body)
    assert (made.status_code, made.json()["location"], made.json()["tags"]) == (201, "northeurope", {"a": "b"})
    assert azure.arm("PUT", path, own, json=body).status_code == 200
    moved = azure.arm("PUT", path, own, json={"location": "westeurope"})
    assert moved.json()["error"]["code"] == "InvalidResourceGroupLocation"
    azure.arm("PUT", f"{OTHER}/resourceGroups/rgxnew", own, json=body)
    definition = f"/providers/Microsoft.Authorization/roleDefinitions/{CONTRIBUTOR}"
    azure.arm(
        "PUT",
        f"{path}/providers/Microsoft.Authorization/roleAssignments/{NAME[::-1]}",
        token,
        json={"properties": {"roleDefinitionId": definition, "principalId": principal.object_id}},
    )
    assert azure.arm("DELETE", path, token).status_code == 403
    assert azure.arm("DELETE", path, own).status_code == 200
    assert azure.arm("GET", path, own).status_code == 404
    assert azure.arm("GET", f"{OTHER}/resourceGroups/rgxnew", own).status_code == 200
    assert [row["scope"] for row in azure.show()["roleAssignments"]] == [OTHER]


def test_providers_are_registered(azure: Any, token: str) -> None:
    """The provider plugins look whether what they need is registered."""
    names = [entry["namespace"] for entry in azure.arm("GET", f"{SUBSCRIPTION}/providers", token).json()["value"]]
    assert "Microsoft.Authorization" in names
    provider = azure.arm("GET", f"{SUBSCRIPTION}/providers/Microsoft.Authorization", token).json()
    assert provider["registrationState"] == "Registered"


def test_an_api_version_is_required(azure: Any, token: str) -> None:
    """As everywhere in ARM."""
    answer = azure.call("GET", "/subscriptions", token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
    answer = azure.call("GET", "/subscriptions?Api-Version=latest", token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidApiVersionParameter")


def test_what_is_not_served_is_said(azure: Any, token: str) -> None:
    """Nobody takes a gap of the sandbox for an answer of Azure."""
    answer = azure.arm("GET", f"{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines", token)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotServedBySandbox")
