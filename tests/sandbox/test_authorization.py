"""Role definitions and role assignments, and who may read and write them."""

import uuid
from typing import Any

import pytest

CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-web"
RESOURCE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/contosoweb"
MANAGEMENT_GROUP = "/providers/Microsoft.Management/managementGroups/contoso-root"
AUTHORIZATION = "/providers/Microsoft.Authorization"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
SUPPORT = "cfd33db0-3dd1-45e3-aa9d-cdbdf3b6f24e"
NAME = "aaaaaaaa-1111-4222-8333-444444444444"
NOBODY = "00000000-1111-4222-8333-444444444444"


@pytest.fixture
def token(azure: Any) -> str:
    """The deploying identity's token: Role Based Access Control Administrator on the customer's management group."""
    return str(azure.token())


@pytest.fixture
def principal(azure: Any) -> Any:
    """A service principal to assign roles to."""
    return azure.principal()


def path(scope: str, name: str = NAME) -> str:
    """Return the id of a role assignment."""
    return f"{scope}{AUTHORIZATION}/roleAssignments/{name}"


def body(principal_id: str, role: str = SUPPORT, **properties: Any) -> dict[str, Any]:
    """Return the body of a PUT."""
    definition = f"{SUBSCRIPTION}{AUTHORIZATION}/roleDefinitions/{role}"
    return {"json": {"properties": {"roleDefinitionId": definition, "principalId": principal_id, **properties}}}


def refused(answer: Any, status: int, code: str) -> str:
    """Check that an answer is a refusal in ARM's form and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    return str(answer.json()["error"]["message"])


@pytest.mark.parametrize("scope", [MANAGEMENT_GROUP, SUBSCRIPTION, GROUP, RESOURCE])
def test_an_assignment_lives_at_every_kind_of_scope(azure: Any, token: str, principal: Any, scope: str) -> None:
    """404 before, 201 with the whole object, 200 to read, 200 to delete, 404 and 204 afterwards."""
    refused(azure.arm("GET", path(scope), token), 404, "RoleAssignmentNotFound")
    answer = azure.arm("PUT", path(scope), token, **body(principal.object_id, principalType="ServicePrincipal"))
    assert answer.status_code == 201
    made = answer.json()
    assert made["id"] == path(scope)
    assert made["name"] == NAME
    assert made["type"] == "Microsoft.Authorization/roleAssignments"
    properties = made["properties"]
    assert properties["scope"] == scope
    assert properties["principalId"] == principal.object_id
    assert properties["principalType"] == "ServicePrincipal"
    prefix = "" if scope == MANAGEMENT_GROUP else SUBSCRIPTION
    assert properties["roleDefinitionId"] == f"{prefix}{AUTHORIZATION}/roleDefinitions/{SUPPORT}"
    assert properties["updatedBy"] == azure.deployer()
    assert properties["createdOn"] == "2026-03-01T12:00:00.0000000Z"
    read = azure.arm("GET", path(scope), token)
    assert read.status_code == 200
    assert read.json()["properties"] == {**properties, "createdBy": azure.deployer()}
    assert azure.arm("DELETE", path(scope), token).json()["id"] == made["id"]
    refused(azure.arm("GET", path(scope), token), 404, "RoleAssignmentNotFound")
    gone = azure.arm("DELETE", path(scope), token)
    assert (gone.status_code, gone.content) == (204, b"")


def test_a_scope_is_spelled_as_the_world_spells_it(azure: Any, token: str, principal: Any) -> None:
    """Paths are read in any case and with any prefix of the role; answers have the world's own."""
    wanted = body(principal.object_id)
    wanted["json"]["properties"]["roleDefinitionId"] = f"{AUTHORIZATION}/roleDefinitions/{SUPPORT.upper()}"
    answer = azure.arm("PUT", path(GROUP.upper().replace("/SUB", "/sub"), NAME.upper()), token, **wanted)
    assert answer.json()["id"] == path(GROUP)
    assert azure.arm("GET", path(GROUP), token).status_code == 200


def test_the_same_assignment_under_another_name_exists(azure: Any, token: str, principal: Any) -> None:
    """409 with the existing one's id, without dashes as ARM writes it."""
    azure.arm("PUT", path(GROUP), token, **body(principal.object_id))
    answer = azure.arm("PUT", path(GROUP, str(uuid.uuid4())), token, **body(principal.object_id))
    assert NAME.replace("-", "") in refused(answer, 409, "RoleAssignmentExists")
    assert (
        azure.arm("PUT", path(SUBSCRIPTION, str(uuid.uuid4())), token, **body(principal.object_id)).status_code == 201
    )


def test_only_the_words_of_an_assignment_can_change(azure: Any, token: str, principal: Any) -> None:
    """The same again is 200, also with a description; another principal, role or scope is refused."""
    other = azure.principal(name="other")
    azure.arm("PUT", path(GROUP), token, **body(principal.object_id))
    answer = azure.arm("PUT", path(GROUP), token, **body(principal.object_id, description="PAL"))
    assert (answer.status_code, answer.json()["properties"]["description"]) == (200, "PAL")
    for scope, wanted in (
        (GROUP, body(other.object_id)),
        (GROUP, body(principal.object_id, READER)),
        (SUBSCRIPTION, body(principal.object_id)),
    ):
        answer = azure.arm("PUT", path(scope), token, **wanted)
        refused(answer, 400, "RoleAssignmentUpdateNotPermitted")


def test_a_principal_that_is_not_known_needs_its_type(azure: Any, token: str) -> None:
    """Without principalType: PrincipalNotFound; with it ARM believes the caller."""
    message = refused(azure.arm("PUT", path(GROUP), token, **body(NOBODY)), 400, "PrincipalNotFound")
    assert NOBODY.replace("-", "") in message
    answer = azure.arm("PUT", path(GROUP), token, **body(NOBODY, principalType="ServicePrincipal"))
    assert answer.status_code == 201
    assert [row["orphaned"] for row in azure.show()["roleAssignments"]] == [True]


def test_a_wrong_principal_type_is_refused(azure: Any, token: str, principal: Any) -> None:
    """azure-native's default, User, does not fit a service principal."""
    answer = azure.arm("PUT", path(GROUP), token, **body(principal.object_id, principalType="User"))
    refused(answer, 400, "UnmatchedPrincipalType")
    answer = azure.arm("PUT", path(GROUP), token, **body(principal.object_id, principalType="Robot"))
    refused(answer, 400, "InvalidPrincipalType")


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("not-a-guid", {}, "InvalidRoleAssignmentId"),
        (NAME, {"principalId": "me"}, "InvalidPrincipalId"),
        (NAME, {"roleDefinitionId": "Reader"}, "InvalidRoleDefinitionId"),
        (NAME, {"roleDefinitionId": f"{AUTHORIZATION}/roleDefinitions/{NOBODY}"}, "RoleDefinitionDoesNotExist"),
    ],
)
def test_an_impossible_assignment_is_refused(
    azure: Any, token: str, principal: Any, name: str, content: dict[str, Any], code: str
) -> None:
    """Names, principals and roles are checked."""
    answer = azure.arm("PUT", path(GROUP, name), token, **body(principal.object_id, **content))
    refused(answer, 400, code)


def test_a_body_without_properties_is_refused(azure: Any, token: str) -> None:
    """The request's content must be what ARM expects."""
    for content in (b"", b"{}", b"[]", b'{"properties": 1}'):
        refused(azure.arm("PUT", path(GROUP), token, content=content), 400, "InvalidRequestContent")


@pytest.mark.parametrize(
    ("scope", "status", "code"),
    [
        ("/subscriptions/33333333-3333-3333-3333-333333333333", 404, "SubscriptionNotFound"),
        ("/subscriptions/22222222-2222-2222-2222-222222222222", 401, "InvalidAuthenticationTokenTenant"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-none", 404, "ResourceGroupNotFound"),
        (f"{SUBSCRIPTION}/resourceGroups/rg-none/providers/Microsoft.Web/sites/x", 404, "ResourceGroupNotFound"),
        (f"{GROUP}/providers/Microsoft.Storage/storageAccounts/none", 404, "ResourceNotFound"),
        (f"{SUBSCRIPTION}/providers/Microsoft.Web/sites/x", 404, "ResourceNotFound"),
        ("/providers/Microsoft.Management/managementGroups/none", 403, "AuthorizationFailed"),
        ("/providers/Microsoft.Management/managementGroups/fabrikam-root", 403, "AuthorizationFailed"),
        ("", 403, "AuthorizationFailed"),
        ("/somewhere", 403, "AuthorizationFailed"),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_a_scope_must_exist(
    azure: Any, token: str, principal: Any, method: str, scope: str, status: int, code: str
) -> None:
    """What is not there is said by name; what may exist elsewhere is not told from what one may not see."""
    options = body(principal.object_id) if method == "PUT" else {}
    answer = azure.arm(method, path(scope), token, **options)
    refused(answer, status, code)
    if status == 401:
        assert FABRIKAM in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", True),
        ("18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", True),
        ("f58310d9-a9f6-439a-9e8d-f62e7b41a168", True),
        ("b24988ac-6180-42a0-ab88-20f7382dd24c", False),
        (READER, False),
        (SUPPORT, False),
    ],
)
def test_few_roles_may_assign(azure: Any, token: str, principal: Any, role: str, may: bool) -> None:
    """Owner, User Access Administrator and Role Based Access Control Administrator; not Contributor."""
    azure.arm("PUT", path(GROUP), token, **body(principal.object_id, role))
    own = azure.token(app=principal.app_id, secret=principal.secret)
    other = str(uuid.uuid4())
    answer = azure.arm("PUT", path(RESOURCE, other), own, **body(principal.object_id, READER))
    if may:
        assert answer.status_code == 201
        assert azure.arm("DELETE", path(RESOURCE, other), own).status_code == 200
    else:
        message = refused(answer, 403, "AuthorizationFailed")
        assert principal.object_id in message
        assert "Microsoft.Authorization/roleAssignments/write" in message
        assert RESOURCE in message
        refused(azure.arm("DELETE", path(GROUP), own), 403, "AuthorizationFailed")
    # Below its scope, not beside or above it.
    assert azure.arm("GET", path(RESOURCE, other), own).status_code == 404
    refused(azure.arm("GET", path(SUBSCRIPTION), own), 403, "AuthorizationFailed")


def test_without_a_role_nothing_is_allowed(azure: Any, principal: Any) -> None:
    """A principal that can sign in sees no assignment."""
    own = azure.token(app=principal.app_id, secret=principal.secret)
    for method in ("GET", "PUT", "DELETE"):
        refused(azure.arm(method, path(GROUP), own, **body(NOBODY)), 403, "AuthorizationFailed")


def test_assignments_are_listed_at_above_and_below(azure: Any, token: str, principal: Any) -> None:
    """atScope() leaves out what is below, principalId the others."""
    names = {scope: str(uuid.uuid4()) for scope in (SUBSCRIPTION, GROUP, RESOURCE)}
    for scope, name in names.items():
        azure.arm("PUT", path(scope, name), token, **body(principal.object_id))

    def listed(scope: str, expression: str | None = None) -> set[str]:
        params = {} if expression is None else {"$filter": expression}
        answer = azure.arm("GET", path(scope, "").rstrip("/"), token, params=params)
        assert answer.status_code == 200
        return {entry["name"] for entry in answer.json()["value"]} & set(names.values())

    mine = f"principalId eq '{principal.object_id}'"
    assert listed(GROUP) == set(names.values())
    assert listed(GROUP, "atScope()") == {names[SUBSCRIPTION], names[GROUP]}
    assert listed(MANAGEMENT_GROUP, mine) == set(names.values())
    assert listed(GROUP, f"atScope() and {mine}") == {names[SUBSCRIPTION], names[GROUP]}
    assert listed(GROUP, f"assignedTo('{principal.object_id}')") == set(names.values())
    assert listed(GROUP, f"principalId eq '{NOBODY}'") == set()
    answer = azure.arm("GET", path(GROUP, "").rstrip("/"), token, params={"$filter": "color eq 'red'"})
    refused(answer, 400, "UnsupportedQuery")


def test_role_definitions_are_found_by_name_and_id(azure: Any, token: str) -> None:
    """The filter on roleName is what the azure-native function and the CLI send."""
    base = f"{SUBSCRIPTION}{AUTHORIZATION}/roleDefinitions"
    answer = azure.arm("GET", base, token, params={"$filter": "roleName eq 'support request contributor'"})
    [role] = answer.json()["value"]
    assert role["id"] == f"{base}/{SUPPORT}"
    assert role["properties"]["roleName"] == "Support Request Contributor"
    assert role["properties"]["type"] == "BuiltInRole"
    assert azure.arm("GET", f"{base}/{SUPPORT.upper()}", token).json() == role
    assert len(azure.arm("GET", base, token).json()["value"]) > 900
    assert azure.arm("GET", base, token, params={"$filter": "type eq 'CustomRole'"}).json()["value"] == []
    refused(azure.arm("GET", f"{base}/{NOBODY}", token), 404, "RoleDefinitionDoesNotExist")


def test_role_definitions_of_the_tenant_are_open_to_whoever_signs_in(azure: Any, principal: Any) -> None:
    """At the tenant's root no role is needed; at a scope one is."""
    own = azure.token(app=principal.app_id, secret=principal.secret)
    assert azure.arm("GET", f"{AUTHORIZATION}/roleDefinitions/{OWNER}", own).json()["properties"]["roleName"] == "Owner"
    answer = azure.arm("GET", f"{SUBSCRIPTION}{AUTHORIZATION}/roleDefinitions/{OWNER}", own)
    refused(answer, 403, "AuthorizationFailed")
