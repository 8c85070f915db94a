"""Microsoft.ManagementPartner, api-version 2018-02-01: the partner link of whoever calls.

Answers follow public recordings of the service. What was never recorded is decided in functions whose docstring begins
with "Guess".
"""

import re
import sqlite3
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from pal_components.sandbox import admin
from pal_components.sandbox.arm import api_version, authenticate
from pal_components.sandbox.errors import ManagementPartnerError, ServiceError
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import Caller, Tokens
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

VERSION = "2018-02-01"
_ROOT = "/providers/Microsoft.ManagementPartner"
_OWNED = re.compile(re.escape(_ROOT) + "(/.*)?", re.IGNORECASE)


class ManagementPartner:
    """Links of every tenant; the caller's token says whose, and nothing else does."""

    def __init__(self, state: State, tokens: Tokens, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._tokens = tokens
        self._url = url
        self._clock = clock
        partner = _ROOT + "/partners/{partner_id}"
        self._routes = (
            Route.to("GET", _ROOT + "/operations", self._operations),
            Route.to("GET", _ROOT + "/partners", self._get),
            Route.to("GET", partner, self._get),
            Route.to("PUT", partner, self._put),
            Route.to("PATCH", partner, self._patch),
            Route.to("DELETE", partner, self._delete),
        )

    def owns(self, path: str) -> bool:
        """Whether a path is the resource provider's."""
        return _OWNED.fullmatch(path) is not None

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal in the provider's doubled form."""
        return ManagementPartnerError.usual(status, code, message)

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""
        authenticate(call, self._tokens, self._url)
        version = api_version(call)
        if version != VERSION:
            raise ServiceError(
                400,
                "InvalidResourceType",
                "The resource type could not be found in the namespace 'Microsoft.ManagementPartner' for api version "
                f"'{version}'. The supported api-versions are '{VERSION}'.",
            )
        answer = dispatch(self._routes, call)
        if answer is None:
            message = f"The sandbox does not serve {call.method} {call.path}."
            raise ManagementPartnerError(404, "NotServedBySandbox", message)
        kind = "reads" if call.method == "GET" else "writes"
        left = {"reads": "14999", "writes": "1199"}[kind]
        return Answer(answer.status, answer.content, {f"x-ms-ratelimit-remaining-tenant-{kind}": left})

    def _operations(self, call: Call) -> Answer:  # noqa: ARG002
        display = {"provider": "Microsoft Management Partner", "resource": "Management Partner"}
        return Answer(
            content={
                "value": [
                    {
                        "name": f"Microsoft.ManagementPartner/partners/{verb}",
                        "display": {**display, "operation": f"{verb} partner", "description": f"{verb} partner"},
                        "origin": "user,system",
                    }
                    for verb in ("read", "write", "action", "delete")
                ]
            }
        )

    def _get(self, call: Call, partner_id: str | None = None) -> Answer:
        link = self._active(_caller(call))
        if link is None or partner_id not in (None, link["partner_id"]):
            raise _not_linked()
        return Answer(content=_shown(link, self._name(link["partner_id"])))

    def _put(self, call: Call, partner_id: str) -> Answer:
        caller = _caller(call)
        self._check(partner_id)
        link = self._active(caller)
        return self._write(caller, partner_id) if link is None else self._put_over_a_link(caller, link, partner_id)

    def _put_over_a_link(self, caller: Caller, link: sqlite3.Row, partner_id: str) -> Answer:
        """Guess: a PUT where the caller is linked already, to whichever partner, is a conflict and changes nothing.

        The other guesses are played on request.
        """
        mode = admin.put_mode(self._state)
        if mode == "overwrite":
            return self._write(caller, partner_id)
        if mode == "ignore":
            return Answer(content=_shown(link, self._name(link["partner_id"])))
        raise ManagementPartnerError(
            409,
            "PartnerIdAlreadyLinked",
            f"This user or service principal is already linked with the Partner ID {link['partner_id']}",
        )

    def _patch(self, call: Call, partner_id: str) -> Answer:
        caller = _caller(call)
        if self._active(caller) is None:
            raise _not_linked()
        self._check(partner_id)
        return self._write(caller, partner_id)

    def _delete(self, call: Call, partner_id: str) -> Answer:
        caller = _caller(call)
        link = self._active(caller)
        if link is not None and self._deletes(link, partner_id):
            self._state.run(
                "UPDATE partner_link SET state = 'Deleted', version = version + 1, updated = ?"
                " WHERE tenant_id = ? AND object_id = ?",
                self._time(),
                caller.tenant_id,
                caller.object_id,
            )
        return Answer(200)

    def _deletes(self, link: sqlite3.Row, partner_id: str) -> bool:
        """Guess: a DELETE that names another partner than the linked one leaves the link alone, and answers 200."""
        return bool(link["partner_id"] == partner_id)

    def _check(self, partner_id: str) -> None:
        row = self._state.one("SELECT kind FROM partner WHERE partner_id = ?", partner_id)
        if row is None or row["kind"] != "location":
            raise ManagementPartnerError(400, "PartnerIdInvalid", "The Partner ID is not valid")

    def _active(self, caller: Caller) -> sqlite3.Row | None:
        return self._state.one(
            "SELECT * FROM partner_link WHERE tenant_id = ? AND object_id = ? AND state != 'Deleted'",
            caller.tenant_id,
            caller.object_id,
        )

    def _write(self, caller: Caller, partner_id: str) -> Answer:
        """Make the caller's record an active link to a partner; its creation time and its counter go on."""
        now = self._time()
        self._state.run(
            "INSERT INTO partner_link VALUES (?, ?, ?, 'Active', 1, ?, ?) ON CONFLICT (tenant_id, object_id) DO UPDATE"
            " SET partner_id = excluded.partner_id, state = 'Active', version = version + 1,"
            " updated = excluded.updated",
            caller.tenant_id,
            caller.object_id,
            partner_id,
            now,
            now,
        )
        link = self._active(caller)
        assert link is not None
        return Answer(content=_shown(link, self._name(partner_id)))

    def _name(self, partner_id: str) -> str | None:
        row = self._state.one("SELECT name FROM partner WHERE partner_id = ?", partner_id)
        return None if row is None else str(row["name"])

    def _time(self) -> str:
        return self._clock().astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"


def _caller(call: Call) -> Caller:
    assert call.caller is not None
    return call.caller


def _not_linked() -> ManagementPartnerError:
    return ManagementPartnerError(
        404,
        "ManagementPartnerNotFound",
        "This user or service principal is not linked with a Partner ID",
    )


def _shown(link: sqlite3.Row, name: str | None) -> dict[str, Any]:
    properties = {
        "partnerId": link["partner_id"],
        "partnerName": name,
        "tenantId": link["tenant_id"],
        "objectId": link["object_id"],
        "version": link["version"],
        "updatedTime": link["updated"],
        "createdTime": link["created"],
        "state": link["state"],
    }
    if name is None:
        del properties["partnerName"]
    return {
        "id": f"{_ROOT}/partners/{link['partner_id']}".lower(),
        "type": "Microsoft.ManagementPartner/partners",
        "name": link["partner_id"],
        "etag": link["version"],
        "properties": properties,
    }
