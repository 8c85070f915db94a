"""Microsoft.ManagedServices: Azure Lighthouse's registration definitions and assignments, in the customer's tenant."""

import json
import re
import sqlite3
from typing import Any

from pal_components.sandbox import delegation_rules
from pal_components.sandbox.authorization import Authorization, Scope
from pal_components.sandbox.errors import ArmError
from pal_components.sandbox.state import State
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

_NAMESPACE = "Microsoft.ManagedServices"
_DEFINITIONS = f"{_NAMESPACE}/registrationDefinitions"
_ASSIGNMENTS = f"{_NAMESPACE}/registrationAssignments"
_FIRST_WITH_ELIGIBLE = "2020-02-01-preview"
_API_VERSIONS = (
    "2018-06-01-preview",
    "2019-04-01-preview",
    "2019-06-01",
    "2019-09-01",
    _FIRST_WITH_ELIGIBLE,
    "2022-01-01-preview",
    "2022-10-01",
)
_WRITABLE = {
    "authorizations",
    "description",
    "eligibleAuthorizations",
    "managedByTenantId",
    "registrationDefinitionName",
}
_DEFINITION_ID = re.compile(rf"(.*)/providers/{re.escape(_DEFINITIONS)}/([^/]+)/?", re.IGNORECASE)
_MANAGED_BY = re.compile(r"managedByTenantId\s+eq\s+'?([0-9a-f-]{36})'?", re.IGNORECASE)


class Lighthouse:
    """The delegations of every tenant's subscriptions and resource groups."""

    def __init__(self, state: State, authorization: Authorization) -> None:
        self._state = state
        self._authorization = authorization
        definitions = "{scope...}/providers/" + _DEFINITIONS
        assignments = "{scope...}/providers/" + _ASSIGNMENTS
        self._routes = (
            Route.to("GET", definitions, self._list_definitions),
            Route.to("GET", definitions + "/{name}", self._get_definition),
            Route.to("PUT", definitions + "/{name}", self._put_definition),
            Route.to("DELETE", definitions + "/{name}", self._delete_definition),
            Route.to("GET", assignments, self._list_assignments),
            Route.to("GET", assignments + "/{name}", self._get_assignment),
            Route.to("PUT", assignments + "/{name}", self._put_assignment),
            Route.to("DELETE", assignments + "/{name}", self._delete_assignment),
        )

    def answer(self, call: Call) -> Answer | None:
        """Carry the request out, or return ``None`` where it is not about delegations."""
        return dispatch(self._routes, call)

    def _place(self, call: Call, path: str, action: str) -> Scope:
        _check_version(call, action.rpartition("/")[0])
        assert call.caller is not None
        return self._authorization.scope(call.caller, path, action)

    def _writing(self, call: Call, path: str, kind: str) -> Scope:
        """Return the place to write at. The provider asks for more than ARM: the right to assign roles."""
        place = self._place(call, path, f"{kind}/write")
        assert call.caller is not None
        if not self._authorization.allowed(call.caller, "Microsoft.Authorization/roleAssignments/write", place):
            raise ArmError(
                403,
                "InsufficientPrivilegesForManagedServiceResource",
                "The requested user doesn't have sufficient privileges to perform the operation.",
            )
        return place

    # Definitions

    def _list_definitions(self, call: Call, scope: str) -> Answer:
        place = self._place(call, scope, f"{_DEFINITIONS}/read")
        rows = self._state.all("SELECT * FROM registration_definition WHERE scope = ? ORDER BY rowid", place.id)
        return Answer(content={"value": _managed_by(call, [self._definition(row) for row in rows])})

    def _get_definition(self, call: Call, scope: str, name: str) -> Answer:
        place = self._place(call, scope, f"{_DEFINITIONS}/read")
        row = self._found_definition(place.id, name)
        if row is None:
            raise ArmError(
                404, "RegistrationDefinitionNotFound", f"The registration definition '{name}' could not be found."
            )
        return Answer(content=self._definition(row))

    def _put_definition(self, call: Call, scope: str, name: str) -> Answer:
        place = self._writing(call, scope, _DEFINITIONS)
        if place.kind != "subscription":
            raise ArmError(
                400,
                "InvalidRegistrationDefinitionUri",
                f"The registration definition request scope '{place.id}' should be '/subscriptions/<subscriptionId>'.",
            )
        if not delegation_rules.is_guid(name):
            raise delegation_rules.refuse(f"The name '{name}' of the registration definition is no GUID.")
        properties = _content(call, delegation_rules.REFUSED, _WRITABLE)
        if properties.get("eligibleAuthorizations") and _version(call) < _FIRST_WITH_ELIGIBLE:
            raise delegation_rules.refuse(
                f"Eligible authorizations are allowed with api-version greater and equal to '{_FIRST_WITH_ELIGIBLE}'."
            )
        delegation_rules.check(self._state, name, properties, place.tenant_id)
        known = self._found_definition(place.id, name)
        if known is not None and known["managed_by"] != properties["managedByTenantId"].lower():
            raise delegation_rules.refuse(
                f"The managing tenant of registration definition '{name}' cannot be changed: another managing tenant "
                "needs another definition."
            )
        self._state.run(
            "INSERT INTO registration_definition VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (scope, name) DO UPDATE SET document = excluded.document",
            place.tenant_id,
            place.id,
            name.lower(),
            properties["managedByTenantId"].lower(),
            json.dumps({key: value for key, value in properties.items() if value is not None}),
        )
        row = self._found_definition(place.id, name)
        assert row is not None
        return Answer(200 if known else 201, self._definition(row))

    def _delete_definition(self, call: Call, scope: str, name: str) -> Answer:
        place = self._place(call, scope, f"{_DEFINITIONS}/delete")
        row = self._found_definition(place.id, name)
        if row is None:
            return Answer(204)
        used = self._state.one("SELECT * FROM registration_assignment WHERE definition = ?", _definition_id(row))
        if used is not None:
            raise ArmError(
                409,
                "InvalidRegistrationDefinitionDeleteRequest",
                f"The registration definition '{row['name']}' has the registration assignment "
                f"'{_assignment_id(used)}': delete that one first.",
            )
        self._state.run("DELETE FROM registration_definition WHERE scope = ? AND name = ?", row["scope"], row["name"])
        return Answer(200)

    def _found_definition(self, scope: str, name: str) -> sqlite3.Row | None:
        return self._state.one(
            "SELECT * FROM registration_definition WHERE scope = ? AND name = ?", scope, name.lower()
        )

    def _definition(self, row: sqlite3.Row) -> dict[str, Any]:
        named = {"manageeTenantName": row["tenant_id"], "managedByTenantName": row["managed_by"]}
        tenants = {
            key: found["display_name"]
            for key, tenant_id in named.items()
            if (found := self._state.one("SELECT display_name FROM tenant WHERE id = ?", tenant_id))
        }
        return {
            "properties": {
                **json.loads(row["document"]),
                "provisioningState": "Succeeded",
                "manageeTenantId": row["tenant_id"],
                **tenants,
            },
            "id": _definition_id(row),
            "type": _DEFINITIONS,
            "name": row["name"],
        }

    # Assignments

    def _list_assignments(self, call: Call, scope: str) -> Answer:
        place = self._place(call, scope, f"{_ASSIGNMENTS}/read")
        rows = self._state.all("SELECT * FROM registration_assignment WHERE scope = ? ORDER BY rowid", place.id)
        shown = [self._assignment(row, expanded=True) for row in rows]
        found = _managed_by(call, shown, "registrationDefinition")
        if not _expands(call):
            for entry in found:
                del entry["properties"]["registrationDefinition"]
        return Answer(content={"value": found})

    def _get_assignment(self, call: Call, scope: str, name: str) -> Answer:
        place = self._place(call, scope, f"{_ASSIGNMENTS}/read")
        row = self._found_assignment(place.id, name)
        if row is None:
            raise ArmError(
                404, "RegistrationAssignmentNotFound", f"The registration assignment '{name}' could not be found."
            )
        return Answer(content=self._assignment(row, expanded=_expands(call)))

    def _put_assignment(self, call: Call, scope: str, name: str) -> Answer:
        place = self._writing(call, scope, _ASSIGNMENTS)
        refused = "InvalidRegistrationAssignmentCreateRequest"
        if place.kind not in ("subscription", "resourceGroup"):
            raise ArmError(
                400,
                "InvalidRegistrationAssignmentUri",
                f"The registration assignment request scope '{place.id}' should be '/subscriptions/<subscriptionId>' "
                "or '/subscriptions/<subscriptionId>/resourceGroups/<resourceGroupName>'.",
            )
        if not delegation_rules.is_guid(name):
            raise ArmError(400, refused, f"The name '{name}' of the registration assignment is no GUID.")
        definition_id = str(_content(call, refused, {"registrationDefinitionId"}).get("registrationDefinitionId"))
        match = _DEFINITION_ID.fullmatch(definition_id)
        subscription = "/".join(place.id.split("/")[:3])
        if match is None or match[1].lower() != subscription.lower():
            raise ArmError(
                400,
                refused,
                f"The registration definition '{definition_id}' is none of the subscription '{subscription}'.",
            )
        definition = self._found_definition(subscription, match[2])
        if definition is None:
            raise ArmError(400, refused, f"The registration definition '{definition_id}' could not be found.")
        definition_id = _definition_id(definition)
        known = self._found_assignment(place.id, name)
        if known is not None and known["definition"].lower() != definition_id.lower():
            raise ArmError(
                400, refused, f"The registration definition of registration assignment '{name}' cannot be changed."
            )
        if known is None:
            self._refuse_second(place.id, definition_id, refused)
            self._state.run(
                "INSERT INTO registration_assignment VALUES (?, ?, ?, ?)",
                place.tenant_id,
                place.id,
                name.lower(),
                definition_id,
            )
        row = self._found_assignment(place.id, name)
        assert row is not None
        return Answer(200 if known else 201, self._assignment(row, expanded=False))

    def _refuse_second(self, scope: str, definition_id: str, code: str) -> None:
        if self._state.one(
            "SELECT 1 FROM registration_assignment WHERE scope = ? AND definition = ?", scope, definition_id
        ):
            raise ArmError(
                409,
                code,
                f"Another registration assignment present at this scope '{scope}' for registration definition "
                f"'{definition_id}'. Multiple registration assignments are not allowed.",
            )

    def _delete_assignment(self, call: Call, scope: str, name: str) -> Answer:
        place = self._place(call, scope, f"{_ASSIGNMENTS}/delete")
        row = self._found_assignment(place.id, name)
        if row is None:
            return Answer(204)
        self._state.run("DELETE FROM registration_assignment WHERE scope = ? AND name = ?", row["scope"], row["name"])
        return Answer(200)

    def _found_assignment(self, scope: str, name: str) -> sqlite3.Row | None:
        return self._state.one(
            "SELECT * FROM registration_assignment WHERE scope = ? AND name = ?", scope, name.lower()
        )

    def _assignment(self, row: sqlite3.Row, *, expanded: bool) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "registrationDefinitionId": row["definition"],
            "provisioningState": "Succeeded",
        }
        if expanded:
            definition = self._state.one(
                "SELECT * FROM registration_definition WHERE scope = ? AND name = ?", *_split(row["definition"])
            )
            assert definition is not None
            properties["registrationDefinition"] = self._definition(definition)
        return {
            "properties": properties,
            "id": _assignment_id(row),
            "type": _ASSIGNMENTS,
            "name": row["name"],
        }


def show(state: State) -> list[dict[str, Any]]:
    """Return every registration: definitions, and assignments with what they assign."""
    definitions = [
        {
            "id": _definition_id(row),
            "type": _DEFINITIONS,
            "tenantId": row["tenant_id"],
            "managedByTenantId": row["managed_by"],
            **{
                key: json.loads(row["document"]).get(key)
                for key in ("registrationDefinitionName", "authorizations", "eligibleAuthorizations")
            },
        }
        for row in state.all("SELECT * FROM registration_definition ORDER BY rowid")
    ]
    assignments = [
        {
            "id": _assignment_id(row),
            "type": _ASSIGNMENTS,
            "tenantId": row["tenant_id"],
            "scope": row["scope"],
            "registrationDefinitionId": row["definition"],
        }
        for row in state.all("SELECT * FROM registration_assignment ORDER BY rowid")
    ]
    return [*definitions, *assignments]


def _version(call: Call) -> str:
    return next(value.lower() for name, value in call.query.items() if name.lower() == "api-version")


def _check_version(call: Call, kind: str) -> None:
    version = _version(call)
    if version not in _API_VERSIONS:
        raise ArmError(
            400,
            "InvalidResourceType",
            f"The resource type '{kind.partition('/')[2]}' could not be found in the namespace '{_NAMESPACE}' for api "
            f"version '{version}'. The supported api-versions are '{','.join(_API_VERSIONS)}'.",
        )


def _content(call: Call, code: str, known: set[str]) -> dict[str, Any]:
    """Return the properties of a request's body, refusing those that there are not."""
    try:
        body = json.loads(call.body)
        properties = body["properties"]
    except (ValueError, KeyError, TypeError):
        body, properties = {}, None
    if not isinstance(properties, dict):
        message = "The request content was invalid and could not be deserialized: 'properties' is required."
        raise ArmError(400, "InvalidRequestContent", message)
    if body.get("plan"):
        raise ArmError(400, "NotServedBySandbox", "The sandbox has no marketplace: leave the plan out.")
    unknown = sorted(properties.keys() - known)
    if unknown:
        raise ArmError(400, code, f"Could not find member '{unknown[0]}' on object of type 'properties'.")
    return properties


def _managed_by(call: Call, shown: list[dict[str, Any]], inner: str | None = None) -> list[dict[str, Any]]:
    """Return those whose managing tenant the request's filter asks for."""
    expression = call.query.get("$filter")
    if not expression:
        return shown
    match = _MANAGED_BY.fullmatch(expression.strip())
    if match is None:
        raise ArmError(400, "UnsupportedQuery", f"The filter '{expression}' is not supported.")

    def managing(entry: dict[str, Any]) -> str:
        definition = entry["properties"][inner] if inner else entry
        return str(definition["properties"]["managedByTenantId"]).lower()

    return [entry for entry in shown if managing(entry) == match[1].lower()]


def _expands(call: Call) -> bool:
    return call.query.get("$expandRegistrationDefinition", "").lower() == "true"


def _definition_id(row: sqlite3.Row) -> str:
    return f"{row['scope']}/providers/{_DEFINITIONS}/{row['name']}"


def _assignment_id(row: sqlite3.Row) -> str:
    return f"{row['scope']}/providers/{_ASSIGNMENTS}/{row['name']}"


def _split(definition_id: str) -> tuple[str, str]:
    match = _DEFINITION_ID.fullmatch(definition_id)
    assert match is not None
    return match[1], match[2]
