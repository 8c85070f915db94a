"""Azure Resource Manager: the token check, tenants, subscriptions, groups, and the providers behind it."""

import json
import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pal_components.sandbox.authorization import Authorization, Scope
from pal_components.sandbox.entra import ARM_AUDIENCES
from pal_components.sandbox.errors import ArmError, ServiceError
from pal_components.sandbox.lighthouse import Lighthouse
from pal_components.sandbox.state import State
from pal_components.sandbox.tokens import TokenRefusedError, Tokens
from pal_components.sandbox.wire import Answer, Call, Route, dispatch

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview|-alpha|-beta)?", re.IGNORECASE)
_REFUSALS = {
    "missing": ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."),
    "malformed": ("InvalidAuthenticationToken", "The access token is invalid."),
    "signature": ("InvalidAuthenticationToken", "The access token is invalid: its signature does not verify."),
    "expired": ("ExpiredAuthenticationToken", "The access token is expired or not yet valid."),
    "issuer": ("InvalidAuthenticationToken", "The access token is from the wrong issuer."),
    "principal": ("InvalidAuthenticationToken", "The access token's principal is deleted or disabled."),
}


def authenticate(call: Call, tokens: Tokens, url: str) -> None:
    """Check the token of a request to ARM and note whose it is.

    Raises:
        ArmError: 401 with ARM's code for what is wrong and a WWW-Authenticate header.
    """
    try:
        call.caller = tokens.check(call.bearer(), ARM_AUDIENCES)
    except TokenRefusedError as refused:
        if refused.reason == "audience":
            allowed = ",".join(f"'{audience}'" for audience in ARM_AUDIENCES)
            code = "InvalidAuthenticationTokenAudience"
            message = (
                f"The access token has been obtained for wrong audience or resource '{refused}'. It should exactly "
                f"match with one of the allowed audiences {allowed}."
            )
        else:
            code, message = _REFUSALS[refused.reason]
        error = "invalid_token" if refused.reason != "missing" else "invalid_request"
        challenge = f'Bearer authorization_uri="{url}/common", error="{error}", error_description="{message}"'
        raise ArmError(401, code, message, {"WWW-Authenticate": challenge}) from None
    call.tenant = call.caller.tenant_id


def api_version(call: Call) -> str:
    """Return the request's api-version.

    Raises:
        ArmError: it is missing or no date.
    """
    versions = [value for name, value in call.query.items() if name.lower() == "api-version"]
    if not versions or not versions[0]:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if not _API_VERSION.fullmatch(versions[0]):
        raise ArmError(400, "InvalidApiVersionParameter", f"The api-version '{versions[0]}' is invalid.")
    return versions[0]


class ResourceManager:
    """ARM for every tenant of the world; the caller's token says which."""

    def __init__(self, state: State, tokens: Tokens, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._tokens = tokens
        self._url = url
        self._authorization = Authorization(state, url, clock)
        self._lighthouse = Lighthouse(state, self._authorization)
        subscription = "/subscriptions/{subscription_id}"
        groups = "/providers/Microsoft.Management/managementGroups"
        self._routes = (
            Route.to("GET", "/tenants", self._tenants),
            Route.to("GET", "/subscriptions", self._subscriptions),
            Route.to("GET", subscription, self._subscription),
            Route.to("GET", subscription + "/providers", self._providers),
            Route.to("GET", subscription + "/providers/{namespace}", self._provider),
            Route.to("GET", subscription + "/resourceGroups", self._resource_groups),
            Route.to("GET", subscription + "/resourceGroups/{name}", self._resource_group),
            Route.to("PUT", subscription + "/resourceGroups/{name}", self._put_resource_group),
            Route.to("DELETE", subscription + "/resourceGroups/{name}", self._delete_resource_group),
            Route.to("GET", groups, self._management_groups),
            Route.to("GET", groups + "/{name}", self._management_group),
            Route.to("GET", subscription + "/resourceGroups/{group}/providers/{resource...}", self._resource),
        )

    def owns(self, path: str) -> bool:  # noqa: ARG002
        """ARM has every path that no other service has."""
        return True

    def failure(self, status: int, code: str | None, message: str | None) -> ServiceError:
        """Return a refusal in ARM's form."""
        return ArmError.usual(status, code, message)

    def answer(self, call: Call) -> Answer:
        """Carry the request out."""
        authenticate(call, self._tokens, self._url)
        api_version(call)
        answer = self._authorization.answer(call) or self._lighthouse.answer(call) or dispatch(self._routes, call)
        if answer is None:
            message = f"The sandbox does not serve {call.method} {call.path}: see its fidelity page."
            raise ArmError(404, "NotServedBySandbox", message)
        return answer

    def _scope(self, call: Call, path: str, action: str) -> Scope:
        assert call.caller is not None
        return self._authorization.scope(call.caller, path, action)

    def _row(self, place: Scope) -> sqlite3.Row:
        row = self._state.one("SELECT * FROM scope WHERE tenant_id = ? AND id = ?", place.tenant_id, place.id)
        assert row is not None
        return row

    def _visible(self, call: Call, kind: str) -> list[sqlite3.Row]:
        """Return what a caller sees of its tenant's management groups or subscriptions."""
        assert call.caller is not None
        found = []
        for row in self._state.all(
            "SELECT * FROM scope WHERE tenant_id = ? AND kind = ? ORDER BY rowid", call.caller.tenant_id, kind
        ):
            place = self._authorization.known(row["tenant_id"], row["id"])
            if place is not None and self._authorization.visible(call.caller, place):
                found.append(row)
        return found

    def _tenants(self, call: Call) -> Answer:
        row = self._state.one("SELECT * FROM tenant WHERE id = ?", call.tenant)
        assert row is not None
        tenant = {
            "id": f"/tenants/{row['id']}",
            "tenantId": row["id"],
            "displayName": row["display_name"],
            "domains": [row["default_domain"]],
            "defaultDomain": row["default_domain"],
            "tenantCategory": "Home",
            "tenantType": "AAD",
        }
        return Answer(content={"value": [tenant]})

    def _subscriptions(self, call: Call) -> Answer:
        return Answer(content={"value": [_subscription(row) for row in self._visible(call, "subscription")]})

    def _subscription(self, call: Call, subscription_id: str) -> Answer:
        place = self._scope(call, f"/subscriptions/{subscription_id}", "Microsoft.Resources/subscriptions/read")
        return Answer(content=_subscription(self._row(place)))

    def _providers(self, call: Call, subscription_id: str) -> Answer:
        self._scope(call, f"/subscriptions/{subscription_id}", "Microsoft.Resources/subscriptions/providers/read")
        names = (
            "Microsoft.Authorization",
            "Microsoft.ManagedServices",
            "Microsoft.ManagementPartner",
            "Microsoft.Resources",
        )
        return Answer(content={"value": [_provider(subscription_id, name) for name in names]})

    def _provider(self, call: Call, subscription_id: str, namespace: str) -> Answer:
        self._scope(call, f"/subscriptions/{subscription_id}", "Microsoft.Resources/subscriptions/providers/read")
        return Answer(content=_provider(subscription_id, namespace))

    def _management_groups(self, call: Call) -> Answer:
        return Answer(content={"value": [self._group(row) for row in self._visible(call, "managementGroup")]})

    def _management_group(self, call: Call, name: str) -> Answer:
        path = f"/providers/Microsoft.Management/managementGroups/{name}"
        place = self._scope(call, path, "Microsoft.Management/managementGroups/read")
        row = self._row(place)
        group = self._group(row)
        if row["parent"] is not None:
            parent = self._state.one(
                "SELECT * FROM scope WHERE tenant_id = ? AND id = ?", row["tenant_id"], row["parent"]
            )
            assert parent is not None
            details = {"id": parent["id"], "name": parent["name"], **json.loads(parent["document"])}
            group["properties"]["details"] = {"parent": details}
        return Answer(content=group)

    def _group(self, row: sqlite3.Row) -> dict[str, Any]:
        return {
            "id": row["id"],
            "type": "Microsoft.Management/managementGroups",
            "name": row["name"],
            "properties": {"tenantId": row["tenant_id"], **json.loads(row["document"])},
        }

    def _resource_groups(self, call: Call, subscription_id: str) -> Answer:
        path = f"/subscriptions/{subscription_id}"
        place = self._scope(call, path, "Microsoft.Resources/subscriptions/resourceGroups/read")
        rows = self._state.all(
            "SELECT * FROM scope WHERE parent = ? AND kind = 'resourceGroup' ORDER BY rowid", place.id
        )
        return Answer(content={"value": [_resource_group(row) for row in rows]})

    def _resource_group(self, call: Call, subscription_id: str, name: str) -> Answer:
        path = f"/subscriptions/{subscription_id}/resourceGroups/{name}"
        place = self._scope(call, path, "Microsoft.Resources/subscriptions/resourceGroups/read")
        return Answer(content=_resource_group(self._row(place)))

    def _put_resource_group(self, call: Call, subscription_id: str, name: str) -> Answer:
        subscription = self._scope(
            call, f"/subscriptions/{subscription_id}", "Microsoft.Resources/subscriptions/resourceGroups/write"
        )
        try:
            body = json.loads(call.body)
            location = str(body["location"]).replace(" ", "").lower()
        except (ValueError, KeyError, TypeError):
            raise ArmError(400, "LocationRequired", "The location property is required for this definition.") from None
        path = f"{subscription.id}/resourceGroups/{name}"
        known = self._state.one("SELECT * FROM scope WHERE tenant_id = ? AND id = ?", subscription.tenant_id, path)
        if known is not None and json.loads(known["document"])["location"] != location:
            raise ArmError(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in another location.",
            )
        self._state.run(
            "INSERT INTO scope VALUES (?, ?, 'resourceGroup', ?, ?, ?)"
            " ON CONFLICT (tenant_id, id) DO UPDATE SET document = excluded.document",
            subscription.tenant_id,
            path,
            name,
            subscription.id,
            json.dumps({"location": location, "tags": body.get("tags") or {}}),
        )
        row = self._state.one("SELECT * FROM scope WHERE tenant_id = ? AND id = ?", subscription.tenant_id, path)
        assert row is not None
        return Answer(200 if known else 201, _resource_group(row))

    def _delete_resource_group(self, call: Call, subscription_id: str, name: str) -> Answer:
        path = f"/subscriptions/{subscription_id}/resourceGroups/{name}"
        place = self._scope(call, path, "Microsoft.Resources/subscriptions/resourceGroups/delete")
        below = place.id + "/"
        for table, column in (("role_assignment", "scope"), ("registration_assignment", "scope"), ("scope", "id")):
            self._state.run(
                f"DELETE FROM {table} WHERE tenant_id = ? AND"  # noqa: S608
                f" ({column} = ? OR substr({column}, 1, ?) = ? COLLATE NOCASE)",
                place.tenant_id,
                place.id,
                len(below),
                below,
            )
        return Answer(200)

    def _resource(self, call: Call, subscription_id: str, group: str, resource: str) -> Answer:
        path = f"/subscriptions/{subscription_id}/resourceGroups/{group}/providers/{resource}"
        parts = resource.split("/")
        action = "/".join([parts[0], *parts[1::2], "read"])
        row = self._row(self._scope(call, path, action))
        details = json.loads(row["document"])
        return Answer(
            content={
                "id": row["id"],
                "name": row["name"],
                "type": details["type"],
                "location": details["location"],
                "properties": {},
            }
        )


def _subscription(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": row["name"],
        "tenantId": row["tenant_id"],
        "displayName": json.loads(row["document"])["displayName"],
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "Sponsored_2016-01-01",
            "spendingLimit": "Off",
        },
    }


def _resource_group(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "type": "Microsoft.Resources/resourceGroups",
        **json.loads(row["document"]),
        "properties": {"provisioningState": "Succeeded"},
    }


def _provider(subscription_id: str, namespace: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": [],
    }
