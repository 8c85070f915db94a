"""Microsoft Graph's users, invitations, groups and their members, and who may touch them."""

import re
import sqlite3
import uuid
from collections.abc import Callable
from datetime import datetime, timezone

from pal_components.sandbox import directory, people
from pal_components.sandbox.errors import expected
from pal_components.sandbox.odata import Document, bad_request, body, caller, denied, filtered, missing, selected
from pal_components.sandbox.people import Kind
from pal_components.sandbox.state import State
from pal_components.sandbox.wire import Answer, Call, Route

_EVERYTHING = {"Directory.Read.All", "Directory.ReadWrite.All"}
_READERS: dict[Kind, set[str]] = {
    "user": {"User.Read.All", "User.ReadWrite.All", *_EVERYTHING},
    "group": {
        "Group.Read.All",
        "Group.ReadWrite.All",
        "GroupMember.Read.All",
        "GroupMember.ReadWrite.All",
        *_EVERYTHING,
    },
}
_WRITERS: dict[Kind, set[str]] = {
    "user": {"User.ReadWrite.All", "Directory.ReadWrite.All"},
    "group": {"Group.ReadWrite.All", "Directory.ReadWrite.All"},
}
_INVITERS = {"User.Invite.All", *_WRITERS["user"]}
_MEMBER_WRITERS = {"GroupMember.ReadWrite.All", *_WRITERS["group"]}
_OWN_GROUPS = "Group.Create"
_PRINCIPAL_READERS = {
    "Application.Read.All",
    "Application.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
    *_EVERYTHING,
}
_FILTERABLE: dict[Kind, set[str]] = {
    "user": {"id", "userPrincipalName", "mail", "mailNickname", "displayName", "employeeId"},
    "group": {"id", "displayName", "mailNickname", "mailEnabled", "securityEnabled"},
}
_REFERENCE = re.compile(r".*/(?:directoryObjects|servicePrincipals|users|groups)/([0-9a-fA-F-]{36})")
_INVITATION = {
    "invitedUserDisplayName",
    "invitedUserEmailAddress",
    "invitedUserMessageInfo",
    "invitedUserType",
    "inviteRedirectUrl",
    "sendInvitationMessage",
}


def referenced(state: State, tenant_id: str, reference: object, *kinds: str) -> str:
    """Return the object id that a reference names, if it is a principal of the tenant of one of these kinds.

    Raises:
        GraphError: the reference has another form (400), or there is no such principal (404).
    """
    match = _REFERENCE.fullmatch(str(reference))
    if match is None:
        raise bad_request(f"Invalid reference: {reference}")
    found = people.principal(state, tenant_id, match[1])
    if found is None or found["@odata.type"].removeprefix("#microsoft.graph.") not in kinds:
        raise missing(match[1].lower())
    return str(found["id"])


class GraphPeople:
    """The part of Microsoft Graph that is about people."""

    def __init__(self, state: State, base: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._base = base
        self._clock = clock
        user, group = "/users/{object_id}", "/groups/{object_id}"
        self.routes = (
            Route.to("GET", "/users", self._list_users),
            Route.to("POST", "/users", self._create_user),
            Route.to("GET", user, self._get_user),
            Route.to("PATCH", user, self._change_user),
            Route.to("DELETE", user, self._delete_user),
            Route.to("GET", user + "/manager", self._get_manager),
            Route.to("GET", user + "/memberOf", self._list_groups_of_user),
            Route.to("POST", "/invitations", self._invite),
            Route.to("GET", "/groups", self._list_groups),
            Route.to("POST", "/groups", self._create_group),
            Route.to("GET", group, self._get_group),
            Route.to("PATCH", group, self._change_group),
            Route.to("DELETE", group, self._delete_group),
            Route.to("GET", group + "/members", self._list_members),
            Route.to("POST", group + "/members/$ref", self._add_member),
            Route.to("DELETE", group + "/members/{member_id}/$ref", self._remove_member),
            Route.to("GET", group + "/memberOf", self._list_groups_of_group),
            Route.to("GET", group + "/owners", self._list_owners),
            Route.to("POST", group + "/owners/$ref", self._add_owner),
            Route.to("DELETE", group + "/owners/{owner_id}/$ref", self._remove_owner),
            Route.to("GET", "/directoryObjects/{object_id}", self._get_principal),
        )

    # Who may do what

    def _found(self, call: Call, kind: Kind, object_id: str) -> sqlite3.Row:
        row = people.get(self._state, kind, caller(call).tenant_id, object_id)
        owned = row is not None and kind == "group" and self._owns(call, row)
        if not (caller(call).roles & _READERS[kind] or owned):
            raise denied()
        if row is None:
            raise missing(object_id)
        return row

    def _owns(self, call: Call, row: sqlite3.Row) -> bool:
        """Whether the caller may do everything with a group because it made the group or was made its owner."""
        return _OWN_GROUPS in caller(call).roles and directory.is_owner(self._state, row["id"], caller(call).object_id)

    def _written(self, call: Call, kind: Kind, object_id: str, *, members: bool = False) -> sqlite3.Row:
        row = self._found(call, kind, object_id)
        writers = _MEMBER_WRITERS if members else _WRITERS[kind]
        if not (caller(call).roles & writers or (kind == "group" and self._owns(call, row))):
            raise denied()
        return row

    # Answers

    def _context(self, call: Call, name: str) -> str:
        return f"{self._base}/{call.path.split('/')[2]}/$metadata#{name}"

    def _collection(self, call: Call, name: str, documents: list[Document], *filterable: str) -> Answer:
        found = [selected(call, document) for document in filtered(call, documents, filterable)]
        return Answer(content={"@odata.context": self._context(call, name), "value": found})

    def _entity(self, call: Call, name: str, row: sqlite3.Row, status: int = 200) -> Answer:
        document = selected(call, people.rendered(row))
        return Answer(status, {"@odata.context": self._context(call, f"{name}/$entity"), **document})

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _listed(self, call: Call, kind: Kind) -> Answer:
        if not caller(call).roles & _READERS[kind]:
            raise denied()
        documents = [people.rendered(row) for row in people.every(self._state, kind, caller(call).tenant_id)]
        return self._collection(call, f"{kind}s", documents, *_FILTERABLE[kind])

    # Users

    def _list_users(self, call: Call) -> Answer:
        return self._listed(call, "user")

    def _create_user(self, call: Call) -> Answer:
        if not caller(call).roles & _WRITERS["user"]:
            raise denied()
        object_id = people.add_user(self._state, caller(call).tenant_id, body(call), self._time())
        return self._entity(call, "users", self._found(call, "user", object_id), 201)

    def _get_user(self, call: Call, object_id: str) -> Answer:
        return self._entity(call, "users", self._found(call, "user", object_id))

    def _change_user(self, call: Call, object_id: str) -> Answer:
        people.update_user(self._state, self._written(call, "user", object_id), body(call))
        return Answer(204)

    def _delete_user(self, call: Call, object_id: str) -> Answer:
        people.delete(self._state, "user", self._written(call, "user", object_id))
        return Answer(204)

    def _get_manager(self, call: Call, object_id: str) -> Answer:
        self._found(call, "user", object_id)
        raise missing("manager")

    def _list_groups_of_user(self, call: Call, object_id: str) -> Answer:
        row = self._found(call, "user", object_id)
        return self._collection(call, "directoryObjects", people.groups_of(self._state, row), "id")

    def _invite(self, call: Call) -> Answer:
        if not caller(call).roles & _INVITERS:
            raise denied()
        wanted = {key: value for key, value in body(call).items() if not key.startswith("@")}
        unknown = sorted(wanted.keys() - _INVITATION)
        if unknown:
            raise bad_request(f"Invalid property '{unknown[0]}'.")
        for key in ("invitedUserDisplayName", "invitedUserEmailAddress", "invitedUserType", "inviteRedirectUrl"):
            expected(wanted.get(key), str, key)
        for key in ("invitedUserEmailAddress", "inviteRedirectUrl"):
            if not wanted.get(key):
                raise bad_request(f"A value is required for property '{key}' of resource 'Invitation'.")
        if wanted.get("invitedUserType") not in (None, "Guest", "Member"):
            raise bad_request("Property 'invitedUserType' is neither 'Guest' nor 'Member'.")
        tenant_id, email = caller(call).tenant_id, wanted["invitedUserEmailAddress"]
        user_id = people.invite(self._state, tenant_id, email, wanted, self._time())
        invitation_id = str(uuid.uuid4())
        return Answer(
            201,
            {
                "@odata.context": self._context(call, "invitations/$entity"),
                "id": invitation_id,
                "inviteRedeemUrl": f"{self._base.removesuffix('/graph')}/redeem?tenant={tenant_id}&user={user_id}",
                "invitedUserDisplayName": wanted.get("invitedUserDisplayName"),
                "invitedUserEmailAddress": email,
                "invitedUserType": wanted.get("invitedUserType") or "Guest",
                "inviteRedirectUrl": wanted["inviteRedirectUrl"],
                "resetRedemption": False,
                "sendInvitationMessage": bool(wanted.get("sendInvitationMessage")),
                "status": "PendingAcceptance",
                "invitedUser": {"id": user_id},
            },
        )

    # Groups

    def _list_groups(self, call: Call) -> Answer:
        return self._listed(call, "group")

    def _create_group(self, call: Call) -> Answer:
        if not caller(call).roles & {_OWN_GROUPS, *_WRITERS["group"]}:
            raise denied()
        tenant_id = caller(call).tenant_id
        properties = body(call)
        owners = self._bound(call, properties, "owners", "user", "servicePrincipal")
        members = self._bound(call, properties, "members", "user", "servicePrincipal", "group")
        object_id = people.add_group(self._state, tenant_id, properties, self._time())
        row = people.get(self._state, "group", tenant_id, object_id)
        assert row is not None
        # An application that makes a group without naming owners owns it.
        for owner in owners or [caller(call).object_id]:
            directory.add_owner(self._state, object_id, owner)
        for member in members:
            people.add_member(self._state, row, member)
        return self._entity(call, "groups", row, 201)

    def _bound(self, call: Call, properties: Document, name: str, *kinds: str) -> list[str]:
        key = f"{name}@odata.bind"
        references = expected(properties.pop(key, None), list, key) or []
        return [referenced(self._state, caller(call).tenant_id, reference, *kinds) for reference in references]

    def _get_group(self, call: Call, object_id: str) -> Answer:
        return self._entity(call, "groups", self._found(call, "group", object_id))

    def _change_group(self, call: Call, object_id: str) -> Answer:
        people.update_group(self._state, self._written(call, "group", object_id), body(call))
        return Answer(204)

    def _delete_group(self, call: Call, object_id: str) -> Answer:
        people.delete(self._state, "group", self._written(call, "group", object_id))
        return Answer(204)

    def _list_members(self, call: Call, object_id: str) -> Answer:
        row = self._found(call, "group", object_id)
        return self._collection(call, "directoryObjects", people.members(self._state, row), "id")

    def _add_member(self, call: Call, object_id: str) -> Answer:
        row = self._written(call, "group", object_id, members=True)
        reference = body(call).get("@odata.id")
        member_id = referenced(self._state, row["tenant_id"], reference, "user", "servicePrincipal", "group")
        people.add_member(self._state, row, member_id)
        return Answer(204)

    def _remove_member(self, call: Call, object_id: str, member_id: str) -> Answer:
        people.remove_member(self._state, self._written(call, "group", object_id, members=True), member_id)
        return Answer(204)

    def _list_groups_of_group(self, call: Call, object_id: str) -> Answer:
        row = self._found(call, "group", object_id)
        return self._collection(call, "directoryObjects", people.groups_of(self._state, row), "id")

    def _list_owners(self, call: Call, object_id: str) -> Answer:
        row = self._found(call, "group", object_id)
        return self._collection(call, "directoryObjects", people.owners(self._state, row["tenant_id"], row["id"]), "id")

    def _add_owner(self, call: Call, object_id: str) -> Answer:
        row = self._written(call, "group", object_id)
        owner = referenced(self._state, row["tenant_id"], body(call).get("@odata.id"), "user", "servicePrincipal")
        if directory.is_owner(self._state, row["id"], owner):
            raise bad_request("One or more added object references already exist for: 'owners'.")
        directory.add_owner(self._state, row["id"], owner)
        return Answer(204)

    def _remove_owner(self, call: Call, object_id: str, owner_id: str) -> Answer:
        row = self._written(call, "group", object_id)
        if not directory.is_owner(self._state, row["id"], owner_id.lower()):
            raise missing(owner_id)
        self._state.run("DELETE FROM owner WHERE object_id = ? AND owner_id = ?", row["id"], owner_id.lower())
        return Answer(204)

    # Principals of any kind

    def _get_principal(self, call: Call, object_id: str) -> Answer:
        found = people.principal(self._state, caller(call).tenant_id, object_id)
        readers = {
            "#microsoft.graph.user": _READERS["user"],
            "#microsoft.graph.group": _READERS["group"],
        }.get(found["@odata.type"] if found else "", _PRINCIPAL_READERS)
        if not caller(call).roles & readers:
            raise denied()
        if found is None:
            raise missing(object_id)
        context = self._context(call, "directoryObjects/$entity")
        return Answer(content={"@odata.context": context, **selected(call, found)})
