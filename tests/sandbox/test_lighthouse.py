"""Registration definitions and assignments of Azure Lighthouse, and what it refuses to delegate."""

from typing import Any

import pytest

HOME = "99999999-9999-4999-8999-999999999999"
CONTOSO = "c0000000-0000-4000-8000-000000000001"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEVELOPMENT = "/subscriptions/11111111-1111-1111-1111-222222222222"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-web"
MANAGEMENT_GROUP = "/providers/Microsoft.Management/managementGroups/contoso-root"
PROVIDER = "/providers/Microsoft.ManagedServices"
DEFINITION = "aaaaaaaa-1111-4222-8333-444444444444"
ASSIGNMENT = "bbbbbbbb-1111-4222-8333-444444444444"
TEAM = "cccccccc-1111-4222-8333-444444444444"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SUPPORT = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
USER_ACCESS_ADMINISTRATOR = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
RBAC_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
DELETE_ROLE = "91c1777a-f3dc-4fae-b103-61d183457e46"
NOBODY = "00000000-1111-4222-8333-444444444444"
REFUSED = "InvalidRegistrationDefinitionCreateRequest"


@pytest.fixture
def token(azure: Any) -> str:
    """The deploying identity's token in the customer's tenant."""
    return str(azure.token())


def definition(scope: str = SUBSCRIPTION, name: str = DEFINITION) -> str:
    """Return the id of a registration definition."""
    return f"{scope}{PROVIDER}/registrationDefinitions/{name}"


def assignment(scope: str = SUBSCRIPTION, name: str = ASSIGNMENT) -> str:
    """Return the id of a registration assignment."""
    return f"{scope}{PROVIDER}/registrationAssignments/{name}"


def offer(**properties: Any) -> dict[str, Any]:
    """Return the body of a definition's PUT; a property that is ``None`` is left out."""
    content = {
        "registrationDefinitionName": "Northwind managed services",
        "description": "support",
        "managedByTenantId": HOME,
        "authorizations": [{"principalId": TEAM, "roleDefinitionId": READER, "principalIdDisplayName": "Support"}],
        **properties,
    }
    return {"properties": {key: value for key, value in content.items() if value is not None}}


def granting(role: str, **more: Any) -> dict[str, Any]:
    """Return the properties of an offer with one authorization."""
    return {"authorizations": [{"principalId": TEAM, "roleDefinitionId": role, **more}]}


def eligible(*entries: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of an offer with these eligible authorizations."""
    return {"eligibleAuthorizations": [{"principalId": TEAM, "roleDefinitionId": CONTRIBUTOR, **e} for e in entries]}


def policy(**content: Any) -> dict[str, Any]:
    """Return an eligible authorization's just-in-time policy."""
    return {"justInTimeAccessPolicy": {"multiFactorAuthProvider": "Azure", **content}}


def call(azure: Any, method: str, path: str, token: str, version: str = "2022-10-01", **options: Any) -> Any:
    """Send a request with the provider's api-version."""
    params = {"api-version": version, **options.pop("params", {})}
    return azure.arm(method, path, token, params=params, **options)


def put(azure: Any, token: str, **properties: Any) -> Any:
    """Write the definition."""
    return call(azure, "PUT", definition(), token, json=offer(**properties))


def assign(azure: Any, token: str, scope: str = SUBSCRIPTION, to: str | None = None, name: str = ASSIGNMENT) -> Any:
    """Write an assignment of the definition."""
    body = {"properties": {"registrationDefinitionId": to or definition()}}
    return call(azure, "PUT", assignment(scope, name), token, json=body)


def refused(answer: Any, status: int, code: str) -> str:
    """Check that an answer is a refusal in ARM's form and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    return str(answer.json()["error"]["message"])


def test_a_definition_lives_in_the_customers_subscription(azure: Any, token: str) -> None:
    """404 before, 201 with the tenants' names, 200 to read and to change, 200 and 204 to delete."""
    refused(call(azure, "GET", definition(), token), 404, "RegistrationDefinitionNotFound")
    answer = put(azure, token)
    assert answer.status_code == 201
    made = answer.json()
    assert made == {
        "id": definition(),
        "type": "Microsoft.ManagedServices/registrationDefinitions",
        "name": DEFINITION,
        "properties": {
            **offer()["properties"],
            "provisioningState": "Succeeded",
            "manageeTenantId": CONTOSO,
            "manageeTenantName": "Contoso",
            "managedByTenantName": "Northwind Services",
        },
    }
    path = definition().upper().replace("/SUB", "/sub")
    assert call(azure, "GET", path, token).json() == made
    changed = put(azure, token, description=None, **granting(SUPPORT))
    assert changed.status_code == 200
    assert "description" not in changed.json()["properties"]
    assert [row["id"] for row in azure.show()["registrations"]] == [definition()]
    gone = call(azure, "DELETE", definition(), token)
    assert (gone.status_code, gone.content) == (200, b"")
    assert call(azure, "DELETE", definition(), token).status_code == 204
    assert azure.show()["registrations"] == []


@pytest.mark.parametrize("scope", [SUBSCRIPTION, GROUP])
def test_an_assignment_delegates_a_subscription_or_a_resource_group(azure: Any, token: str, scope: str) -> None:
    """201, read with and without the definition, the same again 200, one per scope; its definition cannot go first."""
    put(azure, token)
    refused(call(azure, "GET", assignment(scope), token), 404, "RegistrationAssignmentNotFound")
    answer = assign(azure, token, scope, definition().lower())
    assert answer.status_code == 201
    assert answer.json() == {
        "id": assignment(scope),
        "type": "Microsoft.ManagedServices/registrationAssignments",
        "name": ASSIGNMENT,
        "properties": {"registrationDefinitionId": definition(), "provisioningState": "Succeeded"},
    }
    assert call(azure, "GET", assignment(scope), token).json() == answer.json()
    expanded = call(azure, "GET", assignment(scope), token, params={"$expandRegistrationDefinition": "true"}).json()
    assert expanded["properties"]["registrationDefinition"]["id"] == definition()
    assert assign(azure, token, scope).status_code == 200
    message = refused(assign(azure, token, scope, name=NOBODY), 409, "InvalidRegistrationAssignmentCreateRequest")
    assert "Multiple registration assignments are not allowed." in message
    message = refused(call(azure, "DELETE", definition(), token), 409, "InvalidRegistrationDefinitionDeleteRequest")
    assert assignment(scope) in message
    assert call(azure, "DELETE", assignment(scope), token).status_code == 200
    assert call(azure, "DELETE", assignment(scope), token).status_code == 204
    assert call(azure, "DELETE", definition(), token).status_code == 200


def test_lists_can_be_filtered_by_the_managing_tenant(azure: Any, token: str) -> None:
    """Both lists hold what is at the scope itself."""
    put(azure, token)
    assign(azure, token, GROUP)
    for path, expected in (
        (f"{SUBSCRIPTION}{PROVIDER}/registrationDefinitions", [definition()]),
        (f"{GROUP}{PROVIDER}/registrationAssignments", [assignment(GROUP)]),
        (f"{SUBSCRIPTION}{PROVIDER}/registrationAssignments", []),
    ):
        for condition, found in (
            (None, expected),
            (f"managedByTenantId eq '{HOME}'", expected),
            (f"managedByTenantId eq {NOBODY}", []),
        ):
            params = {"$filter": condition} if condition else {}
            listed = call(azure, "GET", path, token, params=params).json()["value"]
            assert [entry["id"] for entry in listed] == found
            assert all("registrationDefinition" not in entry["properties"] for entry in listed)
        refused(call(azure, "GET", path, token, params={"$filter": "name eq 'x'"}), 400, "UnsupportedQuery")


def test_a_deleted_resource_group_takes_its_delegation_along(azure: Any, token: str) -> None:
    """So its definition can be deleted afterwards."""
    put(azure, token)
    assign(azure, token, GROUP)
    assert call(azure, "DELETE", GROUP, token, "2024-03-01").status_code == 200
    assert call(azure, "DELETE", definition(), token).status_code == 200


@pytest.mark.parametrize("scope", [GROUP, MANAGEMENT_GROUP])
def test_a_definition_belongs_to_a_subscription(azure: Any, token: str, scope: str) -> None:
    """Anywhere else is refused, by the permission or by the provider."""
    owner = azure.principal()
    azure.state.run(
        "INSERT INTO role_assignment VALUES (?, ?, ?, ?, 'ServicePrincipal', ?, '{}', 0)",
        CONTOSO,
        NOBODY,
        MANAGEMENT_GROUP,
        owner.object_id,
        OWNER,
    )
    own = azure.token(app=owner.app_id, secret=owner.secret)
    answer = call(azure, "PUT", definition(scope), own, json=offer())
    assert f"'{scope}' should be '/subscriptions/<subscriptionId>'" in refused(
        answer, 400, "InvalidRegistrationDefinitionUri"
    )
    if scope == MANAGEMENT_GROUP:
        refused(assign(azure, own, scope), 400, "InvalidRegistrationAssignmentUri")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"managedByTenantId": "northwind"}, "'northwind' of registration definition"),
        ({"managedByTenantId": None}, "'None' of registration definition"),
        ({"managedByTenantId": CONTOSO}, "the tenant of the subscription itself"),
        ({"managedByTenantName": "Northwind"}, "Could not find member 'managedByTenantName'"),
        ({"authorizations": None}, "has no authorizations"),
        ({"authorizations": []}, "has no authorizations"),
        ({"authorizations": [1]}, "no list of objects"),
        ({"authorizations": [{"principalId": "team", "roleDefinitionId": READER}]}, "'team' in registration"),
        (granting("Reader"), "'Reader' not allowed"),
        (granting(f"/providers/Microsoft.Authorization/roleDefinitions/{READER}"), "not allowed"),
        (granting(NOBODY), "Only built in role definitions without any data and notData actions are allowed."),
        (granting(BLOB_READER), f"'{BLOB_READER}' with data actions not allowed"),
        (granting(RBAC_ADMINISTRATOR), "is not allowed for registration definition"),
        (granting(OWNER), f"Restricted role definitions are '{OWNER}'."),
        (granting(USER_ACCESS_ADMINISTRATOR), "needs delegatedRoleDefinitionIds"),
        (granting(READER, delegatedRoleDefinitionIds=[SUPPORT]), "and nowhere else"),
        (granting(USER_ACCESS_ADMINISTRATOR, delegatedRoleDefinitionIds=[OWNER]), "delegated role definitions"),
        (granting(USER_ACCESS_ADMINISTRATOR, delegatedRoleDefinitionIds=[BLOB_READER]), "with data actions"),
        (eligible({"principalId": "team"}), "'team' in registration"),
        (eligible({"roleDefinitionId": OWNER}), f"Restricted role definitions are '{OWNER};"),
        (eligible({"roleDefinitionId": USER_ACCESS_ADMINISTRATOR}), "restricted for eligible authorization"),
        (eligible({"roleDefinitionId": BLOB_READER}), "with data actions"),
        (eligible({"justInTimeAccessPolicy": {}}), "neither 'Azure' nor 'None'"),
        (eligible({"justInTimeAccessPolicy": "x"}), "neither 'Azure' nor 'None'"),
        *(
            (eligible(policy(maximumActivationDuration=duration)), f"'{duration}' in registration definition")
            for duration in ("PT29M", "PT8H1M", "P1D", "8 hours", "PT")
        ),
        (eligible(policy(managedByTenantApprovers=[{"principalId": TEAM}] * 11)), "10 approvers, not 11"),
        (eligible(policy(managedByTenantApprovers=[{"principalId": "x"}])), "'x' in registration"),
        (eligible(policy(), policy(maximumActivationDuration="PT1H")), "must use the same just-in-time"),
    ],
)
def test_what_cannot_be_delegated_is_refused(azure: Any, token: str, properties: dict[str, Any], said: str) -> None:
    """Each with Azure's one code for it and a message that names what is wrong; nothing is written."""
    assert said in refused(put(azure, token, **properties), 400, REFUSED)
    assert azure.show()["registrations"] == []


@pytest.mark.parametrize(
    "properties",
    [
        granting(USER_ACCESS_ADMINISTRATOR, delegatedRoleDefinitionIds=[CONTRIBUTOR, SUPPORT]),
        granting(DELETE_ROLE),
        eligible({}),
        eligible(policy(), policy()),
        eligible(policy(maximumActivationDuration="PT30M", managedByTenantApprovers=[{"principalId": TEAM}] * 10)),
        eligible(policy(maximumActivationDuration="PT7H60M")),
    ],
)
def test_what_can_be_delegated_is_kept(azure: Any, token: str, properties: dict[str, Any]) -> None:
    """Roles with what they need, and eligible authorizations within their bounds, come back as they were sent."""
    answer = put(azure, token, **properties)
    assert answer.status_code == 201, answer.text
    assert answer.json()["properties"].items() >= properties.items()


def test_a_service_principal_cannot_be_eligible(azure: Any, token: str) -> None:
    """Only users and groups can activate a role; an application's own object id is no principal at all."""
    managing = azure.principal(tenant=CONTOSO)
    row = azure.state.one("SELECT id FROM service_principal WHERE tenant_id = ?", HOME)
    message = refused(put(azure, token, **eligible({"principalId": row["id"]})), 400, REFUSED)
    assert "only users and groups" in message
    authorization = {"principalId": managing.application_id, "roleDefinitionId": READER}
    message = refused(put(azure, token, authorizations=[authorization]), 400, REFUSED)
    assert message == "Principals of type Application cannot validly be used in role assignments."


def test_the_managing_tenant_and_an_assignments_definition_stay(azure: Any, token: str) -> None:
    """Another managing tenant is another definition; another definition is another assignment."""
    put(azure, token)
    assign(azure, token)
    refused(put(azure, token, managedByTenantId=NOBODY), 400, REFUSED)
    other = definition(name=NOBODY)
    call(azure, "PUT", other, token, json=offer(managedByTenantId=NOBODY))
    message = refused(assign(azure, token, to=other), 400, "InvalidRegistrationAssignmentCreateRequest")
    assert "cannot be changed" in message


def test_names_are_guids_and_references_exist(azure: Any, token: str) -> None:
    """A name that is no GUID, a body without properties, a plan, or a definition from elsewhere."""
    refused(call(azure, "PUT", definition(name="offer"), token, json=offer()), 400, REFUSED)
    refused(call(azure, "PUT", definition(), token, content=b"{}"), 400, "InvalidRequestContent")
    answer = call(azure, "PUT", definition(), token, json={**offer(), "plan": {"name": "x"}})
    refused(answer, 400, "NotServedBySandbox")
    put(azure, token)
    code = "InvalidRegistrationAssignmentCreateRequest"
    refused(assign(azure, token, name="mine"), 400, code)
    for reference in (DEFINITION, definition(DEVELOPMENT), definition(GROUP), definition(name=NOBODY)):
        refused(assign(azure, token, to=reference), 400, code)


def test_versions_are_the_providers_own(azure: Any, token: str) -> None:
    """Eligible authorizations are newer than the provider; an unknown version has no such resource."""
    refused(call(azure, "PUT", definition(), token, "2022-04-01", json=offer()), 400, "InvalidResourceType")
    old = {"version": "2019-09-01", "json": offer(**eligible({}))}
    assert "2020-02-01-preview" in refused(call(azure, "PUT", definition(), token, **old), 400, REFUSED)
    assert call(azure, "PUT", definition(), token, "2019-09-01", json=offer()).status_code == 201


def test_writing_needs_the_right_to_assign_roles(azure: Any, token: str) -> None:
    """Neither a Contributor alone nor somebody who may only assign roles can delegate; a delete role can end it."""
    principal = azure.principal()

    def give(role: str) -> str:
        azure.state.run("DELETE FROM role_assignment WHERE principal_id = ?", principal.object_id)
        body = {
            "principalId": principal.object_id,
            "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{role}",
        }
        path = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments/{NOBODY}"
        assert azure.arm("PUT", path, token, json={"properties": body}).status_code == 201
        return str(azure.token(app=principal.app_id, secret=principal.secret))

    refused(put(azure, give(CONTRIBUTOR)), 403, "InsufficientPrivilegesForManagedServiceResource")
    refused(put(azure, give(RBAC_ADMINISTRATOR)), 403, "AuthorizationFailed")
    refused(call(azure, "PUT", definition(DEVELOPMENT), token, json=offer()), 403, "AuthorizationFailed")
    owner = give(OWNER)
    assert put(azure, owner).status_code == 201
    assert assign(azure, owner).status_code == 201
    helper = give(DELETE_ROLE)
    refused(assign(azure, helper), 403, "AuthorizationFailed")
    assert call(azure, "GET", assignment(), helper).status_code == 200
    assert call(azure, "DELETE", assignment(), helper).status_code == 200
    refused(call(azure, "DELETE", definition(), helper), 403, "AuthorizationFailed")
