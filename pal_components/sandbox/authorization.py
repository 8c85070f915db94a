"""Microsoft.Authorization: role definitions, role assignments, and with them who may do what in Azure."""

import json
import re
import sqlite3
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pal_components.sandbox.errors import ArmError
from pal_components.sandbox.roles import Role, built_in_roles
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import Caller
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

_PROVIDER = "/providers/Microsoft.Authorization/"
_TYPE = "Microsoft.Authorization/roleAssignments"
_PRINCIPAL_TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
_ROLE_ID = re.compile(r"(?:/.*)?/providers/Microsoft\.Authorization/roleDefinitions/([0-9a-f-]{36})", re.IGNORECASE)
_GROUP = re.compile(r"/subscriptions/[^/]+/resourceGroups/([^/]+)(/providers/.+)?", re.IGNORECASE)


@dataclass(frozen=True)
class Scope:
    """An existing place in Azure, its id spelled as the world does; ``above`` are the ids above it, nearest first."""

    tenant_id: str
    id: str
    kind: str
    above: tuple[str, ...]


class Authorization:
    """Role definitions and assignments of every tenant."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._url = url
        self._clock = clock
        definitions = "{scope...}" + _PROVIDER + "roleDefinitions"
        assignments = "{scope...}" + _PROVIDER + "roleAssignments"
        self._routes = (
            Route.to("GET", definitions, self._list_definitions),
            Route.to("GET", definitions + "/{name}", self._get_definition),
            Route.to("GET", assignments, self._list_assignments),
            Route.to("GET", assignments + "/{name}", self._get_assignment),
            Route.to("PUT", assignments + "/{name}", self._put_assignment),
            Route.to("DELETE", assignments + "/{name}", self._delete_assignment),
        )

    def answer(self, call: Call) -> Answer | None:
        """Carry the request out, or return ``None`` where it is not about roles."""
        return dispatch(self._routes, call)

    # Scopes

    def scope(self, caller: Caller, path: str, action: str) -> Scope:
        """Return the place that a path names, if it exists in the caller's tenant and the caller may do this there.

        As in Azure, what a caller may do is asked before a resource group or resource is looked for.
        """
        path = path.rstrip("/")
        if path == "":
            self._require(caller, action, Scope(caller.tenant_id, "/", "tenant", ()))
            return Scope(caller.tenant_id, "/", "tenant", ())
        if path.lower().startswith("/subscriptions/"):
            self._check_subscription(caller, path.split("/")[2])
        parts = path.split("/")
        nearest = self.known(caller.tenant_id, path)
        shorter = parts
        while nearest is None and len(shorter) > 3:
            shorter = shorter[:-1]
            nearest = self.known(caller.tenant_id, "/".join(shorter))
        if nearest is None:
            raise _denied(caller, action, path)
        self._require(caller, action, nearest, path)
        if nearest.id.lower() == path.lower():
            return nearest
        match = _GROUP.fullmatch(path)
        if match and nearest.kind == "subscription":
            raise ArmError(404, "ResourceGroupNotFound", f"Resource group '{match[1]}' could not be found.")
        if match and match[2]:
            resource = match[2].removeprefix("/providers/")
            raise ArmError(
                404,
                "ResourceNotFound",
                f"The Resource '{resource}' under resource group '{match[1]}' was not found. For more details please "
                "go to https://aka.ms/ARMResourceNotFoundFix",
            )
        raise ArmError(404, "ResourceNotFound", f"The Resource '{path}' was not found.")

    def _check_subscription(self, caller: Caller, subscription_id: str) -> None:
        row = self._state.one("SELECT tenant_id FROM scope WHERE id = ?", f"/subscriptions/{subscription_id}")
        if row is None:
            raise ArmError(404, "SubscriptionNotFound", f"The subscription '{subscription_id}' could not be found.")
        if row["tenant_id"] != caller.tenant_id:
            raise ArmError(
                401,
                "InvalidAuthenticationTokenTenant",
                f"The access token is from the wrong issuer '{self._url}/{caller.tenant_id}/'. It must match the "
                f"tenant '{self._url}/{row['tenant_id']}/' associated with this subscription.",
                {
                    "WWW-Authenticate": f'Bearer authorization_uri="{self._url}/{row["tenant_id"]}", '
                    'error="invalid_token", error_description="The access token is from the wrong issuer."'
                },
            )

    def known(self, tenant_id: str, path: str) -> Scope | None:
        """Return the place of a tenant that a path names, if there is one."""
        row = self._state.one("SELECT * FROM scope WHERE tenant_id = ? AND id = ?", tenant_id, path)
        if row is None:
            return None
        above: list[str] = []
        parent = row["parent"]
        while parent is not None:
            above.append(parent)
            found = self._state.one("SELECT parent FROM scope WHERE tenant_id = ? AND id = ?", tenant_id, parent)
            parent = found["parent"] if found else None
        return Scope(tenant_id, row["id"], row["kind"], (*above, "/"))

    def _require(self, caller: Caller, action: str, scope: Scope, path: str | None = None) -> None:
        if not self.allowed(caller, action, scope):
            raise _denied(caller, action, path or scope.id)

    def allowed(self, caller: Caller, action: str, scope: Scope) -> bool:
        """Whether a caller may do something at a place, through an assignment there or above."""
        places = {place.lower() for place in (scope.id, *scope.above)}
        # Role definitions of the tenant are no secret within it (Azure's own list works for every signed-in caller).
        if scope.id == "/" and action == "Microsoft.Authorization/roleDefinitions/read":
            return True
        return any(
            row["scope"].lower() in places and built_in_roles()[row["role"]].allows(action)
            for row in self._held(caller, scope.tenant_id)
        )

    def _held(self, caller: Caller, tenant_id: str) -> list[sqlite3.Row]:
        """Return scope and role of what a caller is assigned, itself or through groups in groups."""
        return self._state.all(
            "WITH RECURSIVE held (id) AS ("
            " VALUES (?) UNION SELECT group_id FROM group_member JOIN held ON member_id = held.id"
            ") SELECT scope, role FROM role_assignment WHERE tenant_id = ? AND principal_id IN (SELECT id FROM held)",
            caller.object_id,
            tenant_id,
        )

    def visible(self, caller: Caller, scope: Scope) -> bool:
        """Whether a caller has any role at a place, above it or below it, and so sees it in lists."""
        places = {place.lower() for place in (scope.id, *scope.above)}
        below = scope.id.lower() + "/"
        rows = self._held(caller, scope.tenant_id)
        return any(row["scope"].lower() in places or row["scope"].lower().startswith(below) for row in rows)

    # Role definitions

    def _list_definitions(self, call: Call, scope: str) -> Answer:
        assert call.caller is not None
        place = self.scope(call.caller, scope, "Microsoft.Authorization/roleDefinitions/read")
        roles = list(built_in_roles().values())
        if expression := call.query.get("$filter"):
            for name, value in _comparisons(expression, {"rolename", "type"}):
                if name == "type":
                    roles = roles if value.lower() == "builtinrole" else []
                else:
                    roles = [role for role in roles if role.name.lower() == value.lower()]
        return Answer(content={"value": [_definition(role, place) for role in roles]})

    def _get_definition(self, call: Call, scope: str, name: str) -> Answer:
        assert call.caller is not None
        place = self.scope(call.caller, scope, "Microsoft.Authorization/roleDefinitions/read")
        return Answer(content=_definition(_role(name, 404), place))

    # Role assignments

    def _list_assignments(self, call: Call, scope: str) -> Answer:
        assert call.caller is not None
        place = self.scope(call.caller, scope, "Microsoft.Authorization/roleAssignments/read")
        at_scope, principal = False, None
        for name, value in _comparisons(call.query.get("$filter", ""), {"principalid", "atscope", "assignedto"}):
            if name == "atscope":
                at_scope = True
            else:
                principal = value.lower()
        above = {entry.lower() for entry in (place.id, *place.above)}
        found = []
        for row in self._state.all("SELECT * FROM role_assignment WHERE tenant_id = ? ORDER BY rowid", place.tenant_id):
            here = row["scope"].lower() in above
            below = not at_scope and self._is_below(row, place)
            if (here or below) and principal in (None, row["principal_id"]):
                found.append(_assignment(row))
        return Answer(content={"value": found})

    def _is_below(self, row: sqlite3.Row, place: Scope) -> bool:
        known = self.known(row["tenant_id"], row["scope"])
        return known is not None and place.id.lower() in {entry.lower() for entry in known.above}

    def _get_assignment(self, call: Call, scope: str, name: str) -> Answer:
        assert call.caller is not None
        place = self.scope(call.caller, scope, "Microsoft.Authorization/roleAssignments/read")
        row = self._at(place, name)
        if row is None:
            raise ArmError(404, "RoleAssignmentNotFound", f"The role assignment '{name}' is not found.")
        return Answer(content=_assignment(row))

    def _put_assignment(self, call: Call, scope: str, name: str) -> Answer:
        caller = call.caller
        assert caller is not None
        place = self.scope(caller, scope, "Microsoft.Authorization/roleAssignments/write")
        try:
            name = str(uuid.UUID(name))
        except ValueError:
            message = f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
            raise ArmError(400, "InvalidRoleAssignmentId", message) from None
        properties = _properties(call)
        role = _role(str(properties.get("roleDefinitionId") or ""), 400)
        try:
            principal_id = str(uuid.UUID(str(properties.get("principalId") or "")))
        except ValueError:
            raise ArmError(400, "InvalidPrincipalId", "The principal ID is missing or no GUID.") from None
        known = self._state.one("SELECT * FROM role_assignment WHERE tenant_id = ? AND name = ?", place.tenant_id, name)
        if known is not None and (known["principal_id"], known["role"], known["scope"].lower()) != (
            principal_id,
            role.guid,
            place.id.lower(),
        ):
            raise ArmError(
                400,
                "RoleAssignmentUpdateNotPermitted",
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
            )
        if known is None:
            self._refuse_double(place, principal_id, role)
        principal_type = self._principal_type(place.tenant_id, principal_id, properties.get("principalType"))
        now = self._clock().strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
        before = json.loads(known["document"]) if known else {"createdOn": now, "createdBy": caller.object_id}
        document = {
            **before,
            "condition": properties.get("condition"),
            "conditionVersion": properties.get("conditionVersion"),
            "description": properties.get("description"),
            "updatedOn": now,
            "updatedBy": caller.object_id,
        }
        self._state.run(
            "INSERT INTO role_assignment VALUES (?, ?, ?, ?, ?, ?, ?, 0)"
            " ON CONFLICT (tenant_id, name) DO UPDATE SET document = excluded.document",
            place.tenant_id,
            name,
            place.id,
            principal_id,
            principal_type,
            role.guid,
            json.dumps(document),
        )
        row = self._at(place, name)
        assert row is not None
        answer = _assignment(row)
        if known is None:
            answer["properties"]["createdBy"] = None
        return Answer(200 if known else 201, answer)

    def _delete_assignment(self, call: Call, scope: str, name: str) -> Answer:
        assert call.caller is not None
        place = self.scope(call.caller, scope, "Microsoft.Authorization/roleAssignments/delete")
        row = self._at(place, name)
        if row is None:
            return Answer(204)
        self._state.run("DELETE FROM role_assignment WHERE tenant_id = ? AND name = ?", row["tenant_id"], row["name"])
        return Answer(content=_assignment(row))

    def _at(self, place: Scope, name: str) -> sqlite3.Row | None:
        return self._state.one(
            "SELECT * FROM role_assignment WHERE tenant_id = ? AND name = ? AND scope = ?",
            place.tenant_id,
            name.lower(),
            place.id,
        )

    def _refuse_double(self, place: Scope, principal_id: str, role: Role) -> None:
        row = self._state.one(
            "SELECT name FROM role_assignment WHERE tenant_id = ? AND scope = ? AND principal_id = ? AND role = ?",
            place.tenant_id,
            place.id,
            principal_id,
            role.guid,
        )
        if row is not None:
            raise ArmError(
                409,
                "RoleAssignmentExists",
                "The role assignment already exists. The ID of the existing role assignment is "
                f"{row['name'].replace('-', '')}.",
            )

    def _principal_type(self, tenant_id: str, principal_id: str, given: object) -> str:
        """Return the principal's type; where the type is given, Azure does not insist that the principal is known."""
        if given is not None and given not in _PRINCIPAL_TYPES:
            raise ArmError(400, "InvalidPrincipalType", f"The principal type '{given}' is not valid.")
        known = self._state.one("SELECT type FROM principal WHERE tenant_id = ? AND id = ?", tenant_id, principal_id)
        if known is None and given is None:
            raise ArmError(
                400,
                "PrincipalNotFound",
                f"Principal {principal_id.replace('-', '')} does not exist in the directory {tenant_id}. Check that "
                "you have the correct principal ID. If you are creating this principal and then immediately "
                "assigning a role, this error might be related to a replication delay. In this case, set the role "
                "assignment principalType property to a value, such as ServicePrincipal, User, or Group.  See "
                "https://aka.ms/docs-principaltype",
            )
        if known is not None and given not in (None, known["type"]):
            raise ArmError(
                400,
                "UnmatchedPrincipalType",
                f"The PrincipalId '{principal_id.replace('-', '')}' has type '{known['type']}' , which is different "
                f"from specified PrinciaplType '{given}'.",
            )
        return str(known["type"] if known else given)


def _denied(caller: Caller, action: str, path: str) -> ArmError:
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{caller.app_id}' with object id '{caller.object_id}' does not have authorization to perform "
        f"action '{action}' over scope '{path}' or the scope is invalid. If access was recently granted, please "
        "refresh your credentials.",
    )


def _role(identifier: str, status: int) -> Role:
    match = _ROLE_ID.fullmatch(identifier)
    guid = (match[1] if match else identifier).lower()
    if match is None and status == 400:
        raise ArmError(400, "InvalidRoleDefinitionId", f"The role definition ID '{identifier}' is not valid.")
    role = built_in_roles().get(guid)
    if role is None:
        message = f"The specified role definition with ID '{guid.replace('-', '')}' does not exist."
        raise ArmError(status, "RoleDefinitionDoesNotExist", message)
    return role


def _definition_id(guid: str, scope_id: str) -> str:
    """Return a role definition's id as ARM says it: below the subscription that the scope is in, if it is in one."""
    parts = scope_id.split("/")
    prefix = "/".join(parts[:3]) if scope_id.lower().startswith("/subscriptions/") else ""
    return f"{prefix}{_PROVIDER}roleDefinitions/{guid}"


def _definition(role: Role, place: Scope) -> dict[str, Any]:
    return {
        "properties": {
            "roleName": role.name,
            "type": "BuiltInRole",
            "description": "",
            "assignableScopes": ["/"],
            "permissions": [
                {
                    "actions": list(role.actions),
                    "notActions": list(role.not_actions),
                    "dataActions": [],
                    "notDataActions": [],
                }
            ],
            "createdOn": "2015-02-02T21:55:09.8806423Z",
            "updatedOn": "2026-08-22T00:00:00.0000000Z",
            "createdBy": None,
            "updatedBy": None,
        },
        "id": _definition_id(role.guid, place.id),
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": role.guid,
    }


def _assignment(row: sqlite3.Row) -> dict[str, Any]:
    base = "" if row["scope"] == "/" else row["scope"]
    return {
        "properties": {
            "roleDefinitionId": _definition_id(row["role"], row["scope"]),
            "principalId": row["principal_id"],
            "principalType": row["principal_type"],
            "scope": row["scope"],
            "delegatedManagedIdentityResourceId": None,
            **json.loads(row["document"]),
        },
        "id": f"{base}{_PROVIDER}roleAssignments/{row['name']}",
        "type": _TYPE,
        "name": row["name"],
    }


def _properties(call: Call) -> dict[str, Any]:
    try:
        properties = json.loads(call.body)["properties"]
    except (ValueError, KeyError, TypeError):
        properties = None
    if not isinstance(properties, dict):
        message = "The request content was invalid and could not be deserialized: 'properties' is required."
        raise ArmError(400, "InvalidRequestContent", message)
    return properties


def _comparisons(expression: str, names: set[str]) -> list[tuple[str, str]]:
    """Return (name in lower case, value) of each term of a filter: ``atScope() and principalId eq '...'``."""
    found: list[tuple[str, str]] = []
    for term in filter(None, re.split(r"\s+and\s+", expression.strip(), flags=re.IGNORECASE)):
        match = re.fullmatch(r"(\w+)(?:\s+eq\s+'([^']*)'|\(\s*(?:'([^']*)')?\s*\))", term.strip(), re.IGNORECASE)
        if match is None or match[1].lower() not in names:
            raise ArmError(400, "UnsupportedQuery", f"The filter '{expression}' is not supported.")
        found.append((match[1].lower(), match[2] or match[3] or ""))
    return found
