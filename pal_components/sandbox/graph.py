"""Microsoft Graph, v1.0 and beta: applications, service principals, their owners and credentials, and people."""

import sqlite3
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pal_components.sandbox import admin, credentials, directory, people, propagation
from pal_components.sandbox.directory import Kind
from pal_components.sandbox.errors import GraphError, ServiceError, expected
from pal_components.sandbox.graph_people import GraphPeople, referenced
from pal_components.sandbox.odata import body, denied, filtered, missing, selected
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import Caller, TokenRefusedError, Tokens
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

READ_ALL = "Application.Read.All"
WRITE_ALL = "Application.ReadWrite.All"
WRITE_OWNED = "Application.ReadWrite.OwnedBy"
_READERS = {READ_ALL, WRITE_ALL, WRITE_OWNED, "Directory.Read.All", "Directory.ReadWrite.All"}
_DIRECTORY_READERS = {"Organization.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"}

_KINDS: dict[str, Kind] = {"applications": "application", "serviceprincipals": "service_principal"}
_FILTERABLE = {"id", "appId", "displayName", "identifierUris", "servicePrincipalNames", "tags"}

_REFUSALS = {
    "missing": "Access token is empty.",
    "malformed": "IDX14100: JWT is not well formed.",
    "signature": "Access token validation failure. Signature validation failed.",
    "expired": "Lifetime validation failed, the token is expired.",
    "audience": "Access token validation failure. Invalid audience.",
    "issuer": "Access token validation failure. Invalid issuer.",
    "principal": "The identity of the calling application could not be established.",
}


class Graph:
    """Microsoft Graph for every tenant of the world; the caller's token says which."""

    def __init__(self, state: State, tokens: Tokens, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._tokens = tokens
        self._base = f"{url}/graph"
        self._clock = clock
        self._people = GraphPeople(state, self._base, clock)
        item = "/{objects}/{object_id}"
        federated = "/applications/{object_id}/federatedIdentityCredentials"
        # Fixed names first: `{objects}` would take them too.
        self._routes = (
            *self._people.routes,
            Route.to("GET", "/organization", self._organization),
            Route.to("GET", federated, self._list_federated),
            Route.to("POST", federated, self._add_federated),
            Route.to("GET", federated + "/{credential_id}", self._get_federated),
            Route.to("PATCH", federated + "/{credential_id}", self._change_federated),
            Route.to("DELETE", federated + "/{credential_id}", self._delete_federated),
            Route.to("GET", "/{objects}", self._list),
            Route.to("POST", "/{objects}", self._create),
            Route.to("GET", item, self._get),
            Route.to("PATCH", item, self._change),
            Route.to("DELETE", item, self._delete),
            Route.to("POST", item + "/addPassword", self._add_password),
            Route.to("POST", item + "/removePassword", self._remove_password),
            Route.to("GET", item + "/owners", self._list_owners),
            Route.to("POST", item + "/owners/$ref", self._add_owner),
            Route.to("DELETE", item + "/owners/{owner_id}/$ref", self._remove_owner),
        )

    def owns(self, path: str) -> bool:
        """Whether a path is below /graph."""
        return path.lower().startswith("/graph/")

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal in Graph's form."""
        return GraphError.usual(status, code, message)

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""
        try:
            call.caller = self._tokens.check(call.bearer(), (self._base,))
        except TokenRefusedError as refused:
            raise GraphError(401, "InvalidAuthenticationToken", _REFUSALS[refused.reason]) from None
        call.tenant = call.caller.tenant_id
        _, _, version, path = (*call.path.split("/", 3), "")[:4]
        if version.lower() not in ("v1.0", "beta"):
            raise GraphError(400, "BadRequest", f"Invalid version: {version}.")
        answer = dispatch(self._routes, call, "/" + path)
        if answer is None:
            raise self._unknown(call)
        return answer

    def _unknown(self, call: Call) -> GraphError:
        segment = call.path.rstrip("/").rsplit("/", 1)[-1]
        return GraphError(400, "BadRequest", f"Resource not found for the segment '{segment}' (in the sandbox).")

    # Who may do what

    def _caller(self, call: Call) -> Caller:
        assert call.caller is not None
        return call.caller

    def _may_read(self, call: Call) -> None:
        if not self._caller(call).roles & _READERS:
            raise denied()

    def _may_write(self, call: Call, object_id: str | None) -> None:
        """Let a caller with the permission for everything pass, and one with that for its own if it is the owner."""
        caller = self._caller(call)
        if WRITE_ALL in caller.roles:
            return
        if WRITE_OWNED in caller.roles and (
            object_id is None or directory.is_owner(self._state, object_id, caller.object_id)
        ):
            return
        raise denied()

    # Objects

    def _object(self, call: Call, objects: str, object_id: str) -> tuple[Kind, sqlite3.Row]:
        kind = _KINDS.get(objects.lower())
        if kind is None:
            raise self._unknown(call)
        self._may_read(call)
        row = directory.get(self._state, kind, self._caller(call).tenant_id, object_id)
        if row is None:
            raise missing(object_id)
        return kind, row

    def _written(self, call: Call, objects: str, object_id: str) -> tuple[Kind, sqlite3.Row]:
        kind, row = self._object(call, objects, object_id)
        self._may_write(call, row["id"])
        return kind, row

    def _list(self, call: Call, objects: str) -> Answer:
        kind = _KINDS.get(objects.lower())
        if kind is None:
            raise self._unknown(call)
        self._may_read(call)
        rows = self._state.all(
            f"SELECT * FROM {kind} WHERE tenant_id = ? ORDER BY rowid",  # noqa: S608
            self._caller(call).tenant_id,
        )
        found = filtered(call, [directory.rendered(self._state, row) for row in rows], _FILTERABLE)
        context = self._context(call, objects)
        return Answer(content={"@odata.context": context, "value": [selected(call, document) for document in found]})

    def _create(self, call: Call, objects: str) -> Answer:
        kind = _KINDS.get(objects.lower())
        if kind is None:
            raise self._unknown(call)
        self._may_write(call, None)
        caller = self._caller(call)
        properties = body(call)
        owners = [caller.object_id]
        for reference in expected(properties.pop("owners@odata.bind", None), list, "owners") or ():
            owners.append(self._referenced(call, reference))
        time = self._time()
        if kind == "application":
            object_id = directory.add_application(
                self._state, tenant_id=caller.tenant_id, properties=properties, time=time
            )
        else:
            self._may_create_principal(call, str(properties.get("appId") or ""))
            object_id = directory.add_service_principal(
                self._state, tenant_id=caller.tenant_id, properties=properties, time=time
            )
        for owner in owners:
            directory.add_owner(self._state, object_id, owner)
        self._made("graph" if kind == "application" else "principal", object_id)
        self._made_certificates(object_id, set())
        row = directory.get(self._state, kind, caller.tenant_id, object_id)
        assert row is not None
        return Answer(201, self._shown(call, kind, row))

    def _may_create_principal(self, call: Call, app_id: str) -> None:
        """With the permission for its own only, a caller makes principals of applications of this tenant it owns."""
        caller = self._caller(call)
        if WRITE_ALL in caller.roles:
            return
        application = self._state.one("SELECT * FROM application WHERE app_id = ?", app_id.lower())
        if application is None:
            return
        if application["tenant_id"] != caller.tenant_id:
            raise GraphError(
                403,
                "Authorization_RequestDenied",
                "When using this permission, the backing application of the service principal being created must in "
                "the local tenant",
            )
        self._may_write(call, application["id"])

    def _get(self, call: Call, objects: str, object_id: str) -> Answer:
        kind, row = self._object(call, objects, object_id)
        return Answer(content=self._shown(call, kind, row))

    def _change(self, call: Call, objects: str, object_id: str) -> Answer:
        kind, row = self._written(call, objects, object_id)
        properties = body(call)
        known = credentials.certificate_ids(self._state, row["id"])
        if kind == "application":
            directory.update_application(self._state, row, properties)
        else:
            directory.update_service_principal(self._state, row, properties)
        self._made_certificates(row["id"], known)
        return Answer(204)

    def _delete(self, call: Call, objects: str, object_id: str) -> Answer:
        kind, row = self._written(call, objects, object_id)
        if kind == "application":
            directory.delete_application(self._state, row)
        else:
            directory.delete_service_principal(self._state, row)
        return Answer(204)

    def _made(self, what: str, key: str) -> None:
        propagation.made(self._state, what, key, self._clock())

    def _made_certificates(self, object_id: str, known: set[str]) -> None:
        for key_id in credentials.certificate_ids(self._state, object_id) - known:
            self._made("certificate", key_id)

    def _shown(self, call: Call, kind: Kind, row: sqlite3.Row) -> dict[str, Any]:
        name = "applications" if kind == "application" else "servicePrincipals"
        document = selected(call, directory.rendered(self._state, row))
        return {"@odata.context": self._context(call, f"{name}/$entity"), **document}

    def _context(self, call: Call, name: str) -> str:
        return f"{self._base}/{call.path.split('/')[2]}/$metadata#{name}"

    # Passwords

    def _add_password(self, call: Call, objects: str, object_id: str) -> Answer:
        _, row = self._written(call, objects, object_id)
        if propagation.unknown(self._state, "graph", row["id"], self._clock()):
            raise missing(object_id)
        document = body(call) if call.body else {}
        wanted = expected(document.get("passwordCredential"), dict, "passwordCredential") or {}
        name = expected(wanted.get("displayName"), str, "displayName")
        starts, ends = credentials.password_dates(wanted, self._clock())
        life = (credentials.time_of(starts, "startDateTime"), credentials.time_of(ends, "endDateTime"))
        admin.check_secret(self._state, row["tenant_id"], *life)
        secret = credentials.new_secret()
        key_id = credentials.add_password(
            self._state,
            row["id"],
            secret=secret,
            display_name=name,
            starts=starts,
            ends=ends,
        )
        self._made("secret", key_id)
        return Answer(
            content={
                "@odata.context": self._context(call, "microsoft.graph.passwordCredential"),
                "customKeyIdentifier": None,
                "displayName": name,
                "endDateTime": ends,
                "hint": secret[:3],
                "keyId": key_id,
                "secretText": secret,
                "startDateTime": starts,
            }
        )

    def _remove_password(self, call: Call, objects: str, object_id: str) -> Answer:
        _, row = self._written(call, objects, object_id)
        credentials.remove_password(self._state, row["id"], str(body(call).get("keyId") or ""))
        return Answer(204)

    # Owners

    def _list_owners(self, call: Call, objects: str, object_id: str) -> Answer:
        _, row = self._object(call, objects, object_id)
        owners = people.owners(self._state, row["tenant_id"], row["id"])
        value = [{"@odata.type": owner["@odata.type"], **selected(call, owner)} for owner in owners]
        context = self._context(call, "directoryObjects")
        return Answer(content={"@odata.context": context, "value": value})

    def _add_owner(self, call: Call, objects: str, object_id: str) -> Answer:
        _, row = self._written(call, objects, object_id)
        owner = self._referenced(call, body(call).get("@odata.id"))
        if directory.is_owner(self._state, row["id"], owner):
            message = "One or more added object references already exist for: 'owners'."
            raise GraphError(400, "Request_BadRequest", message)
        directory.add_owner(self._state, row["id"], owner)
        return Answer(204)

    def _remove_owner(self, call: Call, objects: str, object_id: str, owner_id: str) -> Answer:
        _, row = self._written(call, objects, object_id)
        if not directory.is_owner(self._state, row["id"], owner_id.lower()):
            raise missing(owner_id)
        self._state.run("DELETE FROM owner WHERE object_id = ? AND owner_id = ?", row["id"], owner_id.lower())
        return Answer(204)

    def _referenced(self, call: Call, reference: object) -> str:
        return referenced(self._state, self._caller(call).tenant_id, reference, "servicePrincipal", "user")

    # Federated identity credentials

    def _list_federated(self, call: Call, object_id: str) -> Answer:
        _, row = self._object(call, "applications", object_id)
        context = self._context(call, f"applications('{row['id']}')/federatedIdentityCredentials")
        known = credentials.federated_credentials(self._state, row["id"])
        value = filtered(call, known, {"name", "issuer", "subject"})
        return Answer(content={"@odata.context": context, "value": value})

    def _add_federated(self, call: Call, object_id: str) -> Answer:
        _, row = self._written(call, "applications", object_id)
        credential_id = credentials.put_federated_credential(self._state, row["id"], body(call))
        self._made("federated", credential_id)
        return Answer(201, self._federated(row["id"], credential_id))

    def _get_federated(self, call: Call, object_id: str, credential_id: str) -> Answer:
        _, row = self._object(call, "applications", object_id)
        return Answer(content=self._federated(row["id"], credential_id))

    def _change_federated(self, call: Call, object_id: str, credential_id: str) -> Answer:
        _, row = self._written(call, "applications", object_id)
        known = self._federated(row["id"], credential_id)
        properties = body(call)
        if properties.get("name", known["name"]) != known["name"]:
            raise GraphError(400, "Request_BadRequest", "Property 'name' of a federated credential cannot be changed.")
        credentials.put_federated_credential(self._state, row["id"], properties, known["id"])
        return Answer(204)

    def _delete_federated(self, call: Call, object_id: str, credential_id: str) -> Answer:
        _, row = self._written(call, "applications", object_id)
        known = self._federated(row["id"], credential_id)
        self._state.run("DELETE FROM federated_credential WHERE id = ?", known["id"])
        return Answer(204)

    def _federated(self, application_id: str, credential_id: str) -> dict[str, Any]:
        for entry in credentials.federated_credentials(self._state, application_id):
            if credential_id.lower() in (entry["id"], entry["name"].lower()):
                return entry
        raise missing(credential_id)

    # The tenant

    def _organization(self, call: Call) -> Answer:
        if not self._caller(call).roles & (_READERS | _DIRECTORY_READERS):
            raise denied()
        tenant = self._state.one("SELECT * FROM tenant WHERE id = ?", self._caller(call).tenant_id)
        assert tenant is not None
        domain = {
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": True,
            "isInitial": True,
            "name": tenant["default_domain"],
            "type": "Managed",
        }
        organization = {
            "id": tenant["id"],
            "displayName": tenant["display_name"],
            "tenantType": "AAD",
            "verifiedDomains": [domain],
        }
        context = self._context(call, "organization")
        return Answer(content={"@odata.context": context, "value": [selected(call, organization)]})

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
