"""Microsoft Graph's users, invitations, groups and members, over raw HTTP."""

from typing import Any

import pytest

CONTOSO = "c0000000-0000-4000-8000-000000000001"
GRAPH = "https://localhost:8443/graph"
USERS = "/graph/v1.0/users"
GROUPS = "/graph/beta/groups"
INVITATIONS = "/graph/v1.0/invitations"
NOBODY = "00000000-1111-4222-8333-444444444444"
SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
BAD = "Request_BadRequest"
DENIED = "Authorization_RequestDenied"
MISSING = "Request_ResourceNotFound"


@pytest.fixture
def graph(azure: Any) -> str:
    """The deploying identity's token for Microsoft Graph."""
    return str(azure.token(resource=GRAPH))


def person(name: str = "ada", **properties: Any) -> dict[str, Any]:
    """Return the body that makes a user."""
    return {
        "@odata.type": "#microsoft.graph.user",
        "accountEnabled": True,
        "displayName": name,
        "mailNickname": name,
        "userPrincipalName": f"{name}@contoso.onmicrosoft.com",
        "passwordProfile": {"forceChangePasswordNextSignIn": False, "password": "sandbox-first-word"},
        "employeeOrgData": {"costCenter": None, "division": None},
        **properties,
    }


def team(name: str = "team", **properties: Any) -> dict[str, Any]:
    """Return the body that makes a security group."""
    return {
        "displayName": name,
        "groupTypes": [],
        "mailEnabled": False,
        "mailNickname": name,
        "securityEnabled": True,
        "membershipRule": None,
        **properties,
    }


def made(azure: Any, graph: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Create an object and return it."""
    answer = azure.call("POST", path, graph, json=body)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def reference(object_id: str) -> dict[str, str]:
    """Return the body that names an object."""
    return {"@odata.id": f"{GRAPH}/beta/directoryObjects/{object_id}"}


def refused(answer: Any, status: int, code: str) -> str:
    """Check that an answer is a refusal in Graph's form and return its message."""
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["code"] == code
    return str(answer.json()["error"]["message"])


def ids(azure: Any, graph: str, path: str, **params: str) -> list[str]:
    """Return the ids of a collection."""
    answer = azure.call("GET", path, graph, params=params)
    assert answer.status_code == 200, answer.text
    return [entry["id"] for entry in answer.json()["value"]]


def test_a_user_lives(azure: Any, graph: str) -> None:
    """201, read by id and by name, found by filters, changed, deleted; the password is never shown or kept."""
    user = made(azure, graph, USERS, person())
    assert (user["userType"], user["creationType"], user["createdDateTime"]) == ("Member", None, "2026-03-01T12:00:00Z")
    assert "passwordProfile" not in user
    assert azure.call("GET", f"{USERS}/ADA@contoso.onmicrosoft.com", graph).json()["id"] == user["id"]
    for name, value in (("userPrincipalName", "ada@contoso.onmicrosoft.com"), ("mailNickname", "ADA")):
        assert ids(azure, graph, USERS, **{"$filter": f"{name} eq '{value}'"}) == [user["id"]]
    path = f"{USERS}/{user['id']}"
    changes = {"jobTitle": "Engineer", "companyName": None, "otherMails": ["a@northwind.example"], "id": user["id"]}
    assert azure.call("PATCH", path, graph, json=changes).status_code == 204
    assert azure.call("PATCH", f"/graph/beta/users/{user['id']}", graph, json={"showInAddressList": True}).text == ""
    seen = azure.call("GET", path, graph, params={"$select": "jobTitle,showInAddressList"}).json()
    assert {key: seen[key] for key in seen if key != "@odata.context"} == {
        "id": user["id"],
        "jobTitle": "Engineer",
        "showInAddressList": True,
    }
    refused(azure.call("GET", f"{path}/manager", graph), 404, MISSING)
    assert [row["userPrincipalName"] for row in azure.show()["users"]] == ["ada@contoso.onmicrosoft.com"]
    stored = b"".join(file.read_bytes() for file in azure.state.directory.iterdir() if file.is_file())
    assert b"sandbox-first-word" not in stored
    assert azure.call("DELETE", path, graph).status_code == 204
    refused(azure.call("GET", path, graph), 404, MISSING)
    refused(azure.call("DELETE", path, graph), 404, MISSING)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        *(({name: None}, f"'{name}'") for name in ("displayName", "mailNickname", "passwordProfile", "accountEnabled")),
        ({"passwordProfile": {}}, "password"),
        ({"passwordProfile": "x"}, "wrong type"),
        ({"userPrincipalName": "ada"}, "verified domain"),
        ({"userPrincipalName": "@contoso.onmicrosoft.com"}, "verified domain"),
        ({"userPrincipalName": "ada@fabrikam.onmicrosoft.com"}, "verified domain"),
        ({"userPrincipalName": 1}, "wrong type"),
        ({"userPrincipalName": "TAKEN@contoso.onmicrosoft.com"}, "already exists"),
        ({"creationType": "Invitation"}, "read-only"),
        ({"nickName": "x"}, "Invalid property 'nickName'"),
    ],
)
def test_an_impossible_user_is_refused(azure: Any, graph: str, change: dict[str, Any], said: str) -> None:
    """A bad request that names the property."""
    made(azure, graph, USERS, person("taken"))
    assert said in refused(azure.call("POST", USERS, graph, json=person(**change)), 400, BAD)
    assert len(azure.show()["users"]) == 1


def test_a_user_cannot_be_changed_into_another(azure: Any, graph: str) -> None:
    """Names stay unique and present."""
    made(azure, graph, USERS, person("taken"))
    path = f"{USERS}/{made(azure, graph, USERS, person())['id']}"
    for change in ({"userPrincipalName": "taken@contoso.onmicrosoft.com"}, {"displayName": None}, {"displayName": ""}):
        refused(azure.call("PATCH", path, graph, json=change), 400, BAD)
    same = {"userPrincipalName": "ada@contoso.onmicrosoft.com"}
    assert azure.call("PATCH", path, graph, json=same).status_code == 204


def test_an_invitation_makes_a_guest(azure: Any, graph: str) -> None:
    """201 with the guest's id and a URL; inviting again finds the same guest; the answer keeps what was asked."""
    wanted = {
        "@odata.type": "#microsoft.graph.invitation",
        "invitedUserEmailAddress": "ada@northwind.example",
        "inviteRedirectUrl": "https://portal.azure.com/",
        "invitedUserDisplayName": "Ada",
        "invitedUserType": "Guest",
    }
    answer = made(azure, graph, INVITATIONS, wanted)
    assert answer["status"] == "PendingAcceptance"
    assert answer["inviteRedeemUrl"].startswith("https://localhost:8443/redeem?")
    user = azure.call("GET", f"{USERS}/{answer['invitedUser']['id']}", graph).json()
    assert user["userPrincipalName"] == "ada_northwind.example#EXT#@contoso.onmicrosoft.com"
    assert (user["mail"], user["userType"], user["creationType"]) == ("ada@northwind.example", "Guest", "Invitation")
    again = made(azure, graph, INVITATIONS, wanted)
    assert (again["invitedUser"], again["id"] == answer["id"]) == (answer["invitedUser"], False)
    for change in (
        {"invitedUserEmailAddress": "ada"},
        {"invitedUserEmailAddress": None},
        {"invitedUserEmailAddress": "ada@contoso.onmicrosoft.com"},
        {"inviteRedirectUrl": None},
        {"invitedUserType": "King"},
        {"invited": True},
    ):
        refused(azure.call("POST", INVITATIONS, graph, json={**wanted, **change}), 400, BAD)


def test_a_group_lives(azure: Any, graph: str) -> None:
    """Who makes it owns it unless somebody is named; found by filters, changed, deleted."""
    group = made(azure, graph, GROUPS, team())
    path = f"{GROUPS}/{group['id']}"
    assert ids(azure, graph, f"{path}/owners") == [azure.deployer()]
    assert ids(azure, graph, GROUPS, **{"$filter": "displayName eq 'team' and securityEnabled eq true"}) == [
        group["id"]
    ]
    assert ids(azure, graph, GROUPS, **{"$filter": "displayName eq 'team' and mailEnabled eq true"}) == []
    refused(
        azure.call("GET", GROUPS, graph, params={"$filter": "displayName eq 'x' or true"}),
        400,
        "Request_UnsupportedQuery",
    )
    assert azure.call("PATCH", path, graph, json={"description": "link", "membershipRule": None}).status_code == 204
    assert azure.call("GET", path, graph).json()["description"] == "link"
    for change in ({"displayName": None}, {"isAssignableToRole": True}, {"mail": "x"}, {"groupTypes": ["Unified"]}):
        refused(azure.call("PATCH", path, graph, json=change), 400, BAD)
    assert azure.call("DELETE", path, graph).status_code == 204
    refused(azure.call("GET", path, graph), 404, MISSING)
    for change in ({"displayName": ""}, {"mailEnabled": True}, {"securityEnabled": None}, {"theme2": "x"}):
        refused(azure.call("POST", GROUPS, graph, json=team(**change)), 400, BAD)
    assert azure.show()["groups"] == []


def test_members_are_of_every_kind(azure: Any, graph: str) -> None:
    """Users, service principals and groups; each once; a deleted one is no member any more."""
    user = made(azure, graph, USERS, person())
    inner = made(azure, graph, GROUPS, team("inner"))
    principal = azure.principal()
    bound = f"{GRAPH}/beta/directoryObjects/{inner['id']}"
    group = made(azure, graph, GROUPS, team(**{"members@odata.bind": [bound]}))
    path = f"{GROUPS}/{group['id']}"
    for object_id in (user["id"], principal.object_id):
        answer = azure.call("POST", f"{path}/members/$ref", graph, json=reference(object_id))
        assert (answer.status_code, answer.content) == (204, b"")
        assert "already exist" in refused(
            azure.call("POST", f"{path}/members/$ref", graph, json=reference(object_id)), 400, BAD
        )
    listed = azure.call("GET", f"{path}/members", graph, params={"$select": "id"}).json()["value"]
    assert [(entry["@odata.type"], entry["id"]) for entry in listed] == [
        ("#microsoft.graph.group", inner["id"]),
        ("#microsoft.graph.user", user["id"]),
        ("#microsoft.graph.servicePrincipal", principal.object_id),
    ]
    assert ids(azure, graph, f"{path}/members", **{"$filter": f"id eq '{user['id']}'"}) == [user["id"]]
    assert ids(azure, graph, f"{USERS}/{user['id']}/memberOf") == [group["id"]]
    assert ids(azure, graph, f"{GROUPS}/{inner['id']}/memberOf") == [group["id"]]
    for body, status, code in (
        (reference(NOBODY), 404, MISSING),
        (reference(principal.application_id), 404, MISSING),
        ({"@odata.id": "ada"}, 400, BAD),
        (reference(group["id"]), 400, BAD),
    ):
        refused(azure.call("POST", f"{path}/members/$ref", graph, json=body), status, code)
    assert azure.call("DELETE", f"{path}/members/{inner['id']}/$ref", graph).status_code == 204
    refused(azure.call("DELETE", f"{path}/members/{inner['id']}/$ref", graph), 404, MISSING)
    azure.call("DELETE", f"{USERS}/{user['id']}", graph)
    azure.call("DELETE", f"/graph/v1.0/servicePrincipals/{principal.object_id}", graph)
    assert ids(azure, graph, f"{path}/members") == []


def test_owners_are_users_and_service_principals(azure: Any, graph: str) -> None:
    """Of groups and of applications."""
    user = made(azure, graph, USERS, person())
    group = made(azure, graph, GROUPS, team())
    application = azure.principal().application_id
    for path in (f"{GROUPS}/{group['id']}/owners", f"/graph/v1.0/applications/{application}/owners"):
        assert azure.call("POST", f"{path}/$ref", graph, json=reference(user["id"])).status_code == 204
        refused(azure.call("POST", f"{path}/$ref", graph, json=reference(user["id"])), 400, BAD)
        refused(azure.call("POST", f"{path}/$ref", graph, json=reference(group["id"])), 404, MISSING)
        assert user["id"] in ids(azure, graph, path)
        assert azure.call("DELETE", f"{path}/{user['id']}/$ref", graph).status_code == 204
        refused(azure.call("DELETE", f"{path}/{user['id']}/$ref", graph), 404, MISSING)


def test_any_principal_can_be_looked_up(azure: Any, graph: str) -> None:
    """With its type; nothing else is there."""
    user, group = made(azure, graph, USERS, person()), made(azure, graph, GROUPS, team())
    for object_id, kind in ((user["id"], "user"), (group["id"], "group"), (azure.deployer(), "servicePrincipal")):
        found = azure.call("GET", f"/graph/v1.0/directoryObjects/{object_id}", graph).json()
        assert (found["@odata.type"], found["id"]) == (f"#microsoft.graph.{kind}", object_id)
    refused(azure.call("GET", f"/graph/v1.0/directoryObjects/{NOBODY}", graph), 404, MISSING)


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("User.Read.All", {"read user"}),
        ("User.ReadWrite.All", {"read user", "make user", "invite"}),
        ("User.Invite.All", {"invite"}),
        ("Group.Read.All", {"read group"}),
        ("GroupMember.ReadWrite.All", {"read group", "add member"}),
        ("Group.ReadWrite.All", {"read group", "make group", "add member"}),
        ("Group.Create", {"make group"}),
        ("Directory.Read.All", {"read user", "read group"}),
        ("Application.ReadWrite.All", set()),
    ],
)
def test_permissions_decide(azure: Any, graph: str, permission: str, allowed: set[str]) -> None:
    """Each application permission of Microsoft Graph lets its bearer do what it says, and nothing else."""
    user, group = made(azure, graph, USERS, person()), made(azure, graph, GROUPS, team())
    caller = azure.principal()
    azure.grant(caller.object_id, permission)
    own = azure.token(app=caller.app_id, secret=caller.secret, resource=GRAPH)
    invitation = {"invitedUserEmailAddress": "eve@northwind.example", "inviteRedirectUrl": "https://x.example"}
    for what, method, path, body in (
        ("read user", "GET", f"{USERS}/{user['id']}", None),
        ("read user", "GET", USERS, None),
        ("read user", "GET", f"/graph/v1.0/directoryObjects/{user['id']}", None),
        ("make user", "POST", USERS, person("eve")),
        ("make user", "PATCH", f"{USERS}/{user['id']}", {"jobTitle": "x"}),
        ("invite", "POST", INVITATIONS, invitation),
        ("read group", "GET", f"{GROUPS}/{group['id']}", None),
        ("read group", "GET", f"{GROUPS}/{group['id']}/members", None),
        ("read group", "GET", GROUPS, None),
        ("make group", "POST", GROUPS, team("eves")),
        ("add member", "POST", f"{GROUPS}/{group['id']}/members/$ref", reference(user["id"])),
    ):
        answer = azure.call(method, path, own, json=body)
        if what in allowed:
            assert answer.is_success, (what, answer.text)
        else:
            refused(answer, 403, DENIED)


def test_who_may_create_groups_manages_its_own(azure: Any, graph: str) -> None:
    """Group.Create is enough for what the application owns, until it is taken out of the owners."""
    caller = azure.principal()
    azure.grant(caller.object_id, "Group.Create")
    own = azure.token(app=caller.app_id, secret=caller.secret, resource=GRAPH)
    path = f"{GROUPS}/{made(azure, own, GROUPS, team())['id']}"
    assert azure.call("PATCH", path, own, json={"description": "mine"}).status_code == 204
    assert azure.call("POST", f"{path}/members/$ref", own, json=reference(caller.object_id)).status_code == 204
    assert azure.call("DELETE", f"{path}/owners/{caller.object_id}/$ref", graph).status_code == 204
    refused(azure.call("DELETE", path, own), 403, DENIED)


def test_tenants_are_apart(azure: Any, graph: str) -> None:
    """A user of one tenant is nobody in another."""
    user = made(azure, graph, USERS, person())
    fabrikam = azure.token("f0000000-0000-4000-8000-000000000002", resource=GRAPH)
    refused(azure.call("GET", f"{USERS}/{user['id']}", fabrikam), 404, MISSING)
    assert ids(azure, fabrikam, USERS) == []


def test_roles_of_a_group_are_its_members_roles(azure: Any, graph: str) -> None:
    """A principal has what its groups, and their groups, are assigned; a deleted group leaves an orphan."""
    principal = azure.principal()
    inner = made(azure, graph, GROUPS, team("inner"))
    outer = made(azure, graph, GROUPS, team("outer"))
    azure.call("POST", f"{GROUPS}/{inner['id']}/members/$ref", graph, json=reference(principal.object_id))
    own = azure.token(app=principal.app_id, secret=principal.secret)
    path = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleAssignments/{NOBODY}"
    body = {"properties": {"roleDefinitionId": READER, "principalId": outer["id"]}}
    given = azure.arm("PUT", path, azure.token(), json=body)
    assert given.json()["properties"]["principalType"] == "Group"
    assert azure.arm("GET", SUBSCRIPTION, own).status_code == 403
    azure.call("POST", f"{GROUPS}/{outer['id']}/members/$ref", graph, json=reference(inner["id"]))
    assert azure.arm("GET", SUBSCRIPTION, own).status_code == 200
    assert [row["orphaned"] for row in azure.show()["roleAssignments"]] == [False]
    azure.call("DELETE", f"{GROUPS}/{outer['id']}", graph)
    assert [row["orphaned"] for row in azure.show()["roleAssignments"]] == [True]
    assert azure.arm("GET", SUBSCRIPTION, own).status_code == 403
