"""The azuread stand-in's users, invitations, groups and members against the sandbox, over gRPC."""

import uuid
from typing import Any

import pytest

USER = "azuread:index/user:User"
INVITATION = "azuread:index/invitation:Invitation"
GROUP = "azuread:index/group:Group"
MEMBER = "azuread:index/groupMember:GroupMember"
GET_USER = "azuread:index/getUser:getUser"
GET_GROUP = "azuread:index/getGroup:getGroup"
ROLE_ASSIGNMENT = "azure-native:authorization:RoleAssignment"
PRODUCTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
READER = "/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
NOBODY = "00000000-1111-4222-8333-444444444444"


@pytest.fixture
def person() -> dict[str, Any]:
    """The inputs of a user, as a program writes them."""
    name = uuid.uuid4().hex[:8]
    return {
        "userPrincipalName": f"{name}@contoso.onmicrosoft.com",
        "displayName": "Ada",
        "password": "sandbox-first-word",
    }


@pytest.fixture
def guest() -> dict[str, Any]:
    """The inputs of an invitation."""
    return {
        "userEmailAddress": f"{uuid.uuid4().hex[:8]}@northwind.example",
        "redirectUrl": "https://portal.azure.com/",
        "userDisplayName": "Ada of Northwind",
    }


def changed(diff: Any) -> dict[str, bool]:
    """Return the changed properties of a diff, and whether each replaces."""
    return {name: name in diff.replaces for name in diff.diffs}


def test_a_user_lives(azuread: Any, directory: Any, person: dict[str, Any]) -> None:
    """Create, no change, drift, change with a new password, delete."""
    inputs = azuread.check(USER, person)
    resource_id, outputs = azuread.create(USER, person)
    assert resource_id == f"/users/{outputs['objectId']}"
    assert outputs["mailNickname"] == person["userPrincipalName"].partition("@")[0]
    assert (outputs["userType"], outputs["showInAddressList"], outputs["managerId"]) == ("Member", True, "")
    assert outputs["password"] == person["password"]
    assert azuread.read(USER, resource_id, outputs, inputs) == (outputs, inputs)
    assert changed(azuread.diff(USER, inputs, outputs, inputs)) == {}

    directory.graph("PATCH", resource_id, {"department": "Outside"})
    drifted, _ = azuread.read(USER, resource_id, outputs, inputs)
    assert changed(azuread.diff(USER, inputs, drifted, inputs)) == {"department": False}
    news = inputs | {
        "password": "sandbox-second-word",
        "costCenter": "4711",
        "disablePasswordExpiration": True,
        "showInAddressList": False,
        "otherMails": ["ada@northwind.example"],
    }
    assert set(changed(azuread.diff(USER, inputs, drifted, news))) == {
        *("costCenter", "department", "disablePasswordExpiration", "otherMails", "password", "showInAddressList"),
    }
    updated = azuread.update(USER, resource_id, drifted, news)
    assert (updated["department"], updated["costCenter"], updated["division"]) == ("", "4711", "")
    assert changed(azuread.diff(USER, news, updated, news)) == {}
    assert azuread.invoke(GET_USER, userPrincipalName=person["userPrincipalName"])["id"] == resource_id

    azuread.delete(USER, resource_id, updated)
    assert azuread.read(USER, resource_id, updated, news) is None
    with pytest.raises(azuread.Refused, match=r"^deleting user .*: unexpected status 404"):
        azuread.delete(USER, resource_id, updated)


def test_a_user_is_checked(azuread: Any, person: dict[str, Any]) -> None:
    """Before anything is asked, by the real plugin's rules, and by the directory; never with the password in it."""
    _, failures = azuread.examine(USER, {"userPrincipalName": "ada", "managerId": NOBODY, "pasword": "x"})
    said = "\n".join(failures)
    for text in (
        "has no input pasword; did you mean password?",
        "userPrincipalName must be a name like",
        "missing required property displayName",
        "does not offer managerId",
    ):
        assert text in said
    with pytest.raises(azuread.Refused, match="^`password` is required when creating a new user$"):
        azuread.create(USER, {key: value for key, value in person.items() if key != "password"})
    with pytest.raises(azuread.Refused, match="domain portion of the userPrincipalName") as refused:
        azuread.create(USER, person | {"userPrincipalName": "ada@elsewhere.example"})
    assert person["password"] not in str(refused.value)
    with pytest.raises(azuread.Refused, match="is no id of azuread:index/user:User"):
        azuread.read(USER, "/groups/x", {}, {})


def test_an_invitation_lives(azuread: Any, directory: Any, guest: dict[str, Any]) -> None:
    """A guest comes and goes with it; a change makes another; a guest gone by hand is noticed as azuread does."""
    inputs = azuread.check(INVITATION, guest)
    assert inputs == guest | {"userType": "Guest"}
    resource_id, outputs = azuread.create(INVITATION, guest)
    assert outputs["redeemUrl"].startswith("https://")
    found = azuread.invoke(GET_USER, mail=guest["userEmailAddress"])
    assert (found["objectId"], found["userType"], found["displayName"]) == (
        outputs["userId"],
        "Guest",
        "Ada of Northwind",
    )
    assert (found["creationType"], found["externalUserState"]) == ("Invitation", "PendingAcceptance")
    assert azuread.read(INVITATION, resource_id, outputs, inputs) == (outputs, inputs)
    assert changed(azuread.diff(INVITATION, inputs, outputs, inputs)) == {}
    news = inputs | {"redirectUrl": "https://other.example/", "message": {"language": "de-DE"}}
    assert changed(azuread.diff(INVITATION, inputs, outputs, news)) == {"redirectUrl": True, "message": True}
    with pytest.raises(azuread.Refused, match="cannot be imported"):
        azuread.read(INVITATION, resource_id, {}, {})
    again = azuread.create(INVITATION, guest)
    assert again[0] != resource_id
    assert again[1]["userId"] == outputs["userId"], "who is invited twice is one guest"

    azuread.delete(INVITATION, resource_id, outputs)
    with pytest.raises(azuread.Refused, match="unexpected status 404"):
        azuread.delete(INVITATION, resource_id, outputs)
    gone, seen = azuread.read(INVITATION, resource_id, outputs, inputs)
    assert (gone["userId"], seen) == ("", inputs)
    lost, _ = azuread.read(INVITATION, resource_id, gone, seen)
    assert changed(azuread.diff(INVITATION, inputs, lost, inputs)) == {"userEmailAddress": True}


def test_an_invitation_is_checked(azuread: Any, guest: dict[str, Any]) -> None:
    """The message is one of its kinds, the address an address; the directory's own people are no guests."""
    wrong = guest | {"userEmailAddress": "ada", "userType": "King", "message": {"body": "x", "language": "y"}}
    _, failures = azuread.examine(INVITATION, wrong | {"redirectUrl": "portal"})
    said = "\n".join(failures)
    for text in ("an address like", "Guest or Member", "message.body and message.language", "starts with https"):
        assert text in said
    with pytest.raises(azuread.Refused, match=r"^inviting ada@contoso.onmicrosoft.com: .* verified domain"):
        azuread.create(INVITATION, guest | {"userEmailAddress": "ada@contoso.onmicrosoft.com"})


def test_a_group_and_its_members_live(azuread: Any, person: dict[str, Any], guest: dict[str, Any]) -> None:
    """A group with members of its own and one added beside it: create, no change, change, delete."""
    me = azuread.invoke("azuread:index/getClientConfig:getClientConfig")["objectId"]
    _, user = azuread.create(USER, person)
    _, invited = azuread.create(INVITATION, guest)
    wanted = {"displayName": f"PAL {uuid.uuid4().hex[:6]}", "securityEnabled": True, "description": "link yourselves"}
    inputs = azuread.check(GROUP, wanted)
    resource_id, outputs = azuread.create(GROUP, wanted)
    group_id = outputs["objectId"]
    assert resource_id == f"/groups/{group_id}"
    assert (outputs["owners"], outputs["members"], outputs["mailEnabled"], outputs["types"]) == ([me], [], False, [])
    assert azuread.read(GROUP, resource_id, outputs, inputs) == (outputs, inputs)

    pair = {"groupObjectId": group_id, "memberObjectId": user["objectId"]}
    member_id, member = azuread.create(MEMBER, pair)
    assert (member_id, member) == (f"{group_id}/member/{user['objectId']}", pair)
    assert azuread.read(MEMBER, member_id, {}, {}) == (pair, pair)
    with pytest.raises(azuread.Refused, match="already exists. To be managed by Pulumi, it needs to be imported"):
        azuread.create(MEMBER, pair)
    assert changed(azuread.diff(MEMBER, pair, pair, pair | {"memberObjectId": NOBODY})) == {"memberObjectId": True}
    drifted, seen = azuread.read(GROUP, resource_id, outputs, inputs)
    assert (drifted["members"], seen) == ([user["objectId"]], inputs)
    assert changed(azuread.diff(GROUP, inputs, drifted, inputs)) == {}, "members that nobody mentions are no change"

    news = inputs | {"members": [invited["userId"]], "owners": [me, user["objectId"]], "description": ""}
    updated = azuread.update(GROUP, resource_id, drifted, news)
    assert (updated["members"], updated["owners"], updated["description"]) == (news["members"], news["owners"], "")
    assert azuread.read(MEMBER, member_id, pair, pair) is None
    assert changed(azuread.diff(GROUP, news, updated, news | {"assignableToRole": True})) == {"assignableToRole": True}
    found = azuread.invoke(GET_GROUP, displayName=wanted["displayName"], securityEnabled=True)
    assert (found["id"], found["members"]) == (resource_id, news["members"])
    with pytest.raises(azuread.Refused, match="found no group matching filter: displayName eq 'none'"):
        azuread.invoke(GET_GROUP, displayName="none")
    with pytest.raises(azuread.Refused, match="preventDuplicateNames was specified"):
        azuread.preview(GROUP, wanted | {"preventDuplicateNames": True})

    second = {"groupObjectId": group_id, "memberObjectId": me}
    second_id, _ = azuread.create(MEMBER, second)
    azuread.delete(MEMBER, second_id, second)
    assert azuread.read(MEMBER, second_id, second, second) is None
    azuread.delete(GROUP, resource_id, updated)
    assert azuread.read(GROUP, resource_id, updated, news) is None
    assert azuread.read(MEMBER, member_id, pair, pair) is None
    with pytest.raises(azuread.Refused, match=r"^retrieving group .*: unexpected status 404"):
        azuread.delete(GROUP, resource_id, updated)


def test_a_group_is_checked(azuread: Any) -> None:
    """What only other groups have is left to the real plugin, and said so."""
    _, failures = azuread.examine(GROUP, {"displayName": "x", "types": ["Unified"], "theme": "Blue"})
    assert failures == [
        f"{GROUP}: the sandbox's stand-in does not offer theme",
        f"{GROUP}: the sandbox's stand-in does not offer types",
        f"{GROUP}: one of mailEnabled, securityEnabled must be specified",
    ]
    _, failures = azuread.examine(GROUP, {"displayName": "x", "mailEnabled": True})
    assert failures == [f"{GROUP}: the sandbox's stand-in does not offer mailEnabled groups"]
    _, failures = azuread.examine(MEMBER, {"groupObjectId": "x"})
    assert failures == [
        f"{MEMBER}: groupObjectId must be a GUID",
        f"{MEMBER}: missing required property memberObjectId",
    ]


def test_a_member_must_exist_as_must_the_group(azuread: Any) -> None:
    """The directory's own refusal, with what was being done; a half-made group stays known."""
    with pytest.raises(azuread.Refused, match=rf"^retrieving group {NOBODY}: unexpected status 404"):
        azuread.create(MEMBER, {"groupObjectId": NOBODY, "memberObjectId": NOBODY})
    wanted = {"displayName": "half", "securityEnabled": True, "members": [NOBODY]}
    with pytest.raises(azuread.Refused, match=f"^adding {NOBODY} to the members") as refused:
        azuread.create(GROUP, wanted)
    resource_id = refused.value.existing.id
    assert resource_id.startswith("/groups/")
    outputs, _ = azuread.read(GROUP, resource_id, {}, {})
    azuread.delete(GROUP, resource_id, outputs)


def test_people_and_groups_hold_roles(azuread: Any, azure_native: Any, person: dict[str, Any]) -> None:
    """ARM knows users and groups by their types, and their assignments outlive them."""
    user_id, user = azuread.create(USER, person)
    _, group = azuread.create(GROUP, {"displayName": "holders", "securityEnabled": True})
    for object_id, kind, wrong in ((user["objectId"], "User", "Group"), (group["objectId"], "Group", "User")):
        wanted = {"scope": PRODUCTION, "principalId": object_id, "roleDefinitionId": READER}
        with pytest.raises(azure_native.Refused, match="UnmatchedPrincipalType"):
            azure_native.create(ROLE_ASSIGNMENT, wanted | {"principalType": wrong})
        made = azure_native.create(ROLE_ASSIGNMENT, wanted | {"principalType": kind})
        assert made[1]["principalType"] == kind
        if kind == "User":
            azuread.delete(USER, user_id, user)
        azure_native.delete(ROLE_ASSIGNMENT, *made)


def test_preview(azuread: Any, person: dict[str, Any]) -> None:
    """A preview shows what is written and the defaults; what the directory makes up is not known yet."""
    planned = azuread.preview(USER, person | {"displayName": UNKNOWN})
    assert planned["objectId"] == planned["mailNickname"] == planned["displayName"] == UNKNOWN
    assert planned["accountEnabled"] is True
    planned = azuread.preview(GROUP, {"displayName": UNKNOWN, "securityEnabled": True, "preventDuplicateNames": True})
    assert planned["members"] == planned["owners"] == UNKNOWN
    assert azuread.preview(MEMBER, {"groupObjectId": UNKNOWN, "memberObjectId": UNKNOWN})["groupObjectId"] == UNKNOWN


def test_lookups_are_checked(azuread: Any) -> None:
    """One name, one object; no name that there is not."""
    for token, args, said in (
        (GET_USER, {}, "exactly one of"),
        (GET_USER, {"mail": "none@northwind.example"}, "found no user"),
        (GET_USER, {"objectId": NOBODY}, "was not found"),
        (GET_USER, {"name": "x"}, "user has no input name"),
        (GET_GROUP, {"objectId": NOBODY}, "was not found"),
        (GET_GROUP, {"displayName": "x", "includeTransitiveMembers": True}, "does not offer includeTransitiveMembers"),
    ):
        with pytest.raises(azuread.Refused, match=said):
            azuread.invoke(token, **args)
    _, group = azuread.create(GROUP, {"displayName": "sort", "securityEnabled": True})
    with pytest.raises(azuread.Refused, match="does not have the specified mailEnabled"):
        azuread.invoke(GET_GROUP, objectId=group["objectId"], mailEnabled=True)
