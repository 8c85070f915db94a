"""The world a sandbox starts with, and the world as it stands.

A world is a JSON file; ``world.json`` beside this module is the one that is used where no other is named, and the
example to start from. Identifiers that a file leaves out are derived from what it says, so that they never change.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pal_components.sandbox import credentials, directory, lighthouse, people
from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.roles import built_in_roles, role_named
from pal_components.sandbox.state import State

_NAMESPACE = uuid.UUID("3f1d3c8a-6a0e-4c39-9a51-6f2f3d0d7b5e")
_SEEDED_TIME = "2026-01-05T08:00:00Z"
_MANAGEMENT_GROUPS = "/providers/Microsoft.Management/managementGroups/"


def seed(state: State, world: Path | None) -> None:
    """Fill an empty state from a world file, or the built-in world where it is ``None``.

    Raises:
        SandboxError: the file cannot be read or says something impossible, or the state was filled from another one.
    """
    source = "the built-in world" if world is None else str(world)
    try:
        text = (files(__package__) / "world.json" if world is None else world).read_text(encoding="utf-8")
    except OSError as error:
        raise SandboxError(f"The world file {source} cannot be read: {error.strerror}.") from None
    digest = hashlib.sha256(text.encode()).hexdigest()
    with state.transaction():
        known = state.setting("world")
        if known is not None:
            if world is not None and known != digest:
                raise SandboxError(
                    f"The state in {state.directory} was started with another world than {source}: remove that "
                    "directory to start again, or name another one with --state."
                )
            return
        try:
            _Seeder(state).fill(json.loads(text))
        except json.JSONDecodeError as error:
            raise SandboxError(f"The world file {source} is no JSON: {error}.") from None
        except _WorldError as error:
            raise SandboxError(f"The world file {source}: {error}.") from None
        state.keep("world", digest)


class _WorldError(Exception):
    """Something that a world file says and cannot mean."""


class _Entry:
    """One object of the file that knows where it stands, for messages that can be acted on."""

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, Mapping):
            raise _WorldError(f"{place} is no object")
        self.value = value
        self.place = place

    def text(self, key: str, default: str | None = None) -> str:
        value = self.value.get(key, default)
        if not isinstance(value, str) or not value:
            raise _WorldError(f"{self.place}.{key} is missing or no text")
        return value

    def guid(self, key: str, default: str | None = None) -> str:
        text = self.text(key, default)
        try:
            return str(uuid.UUID(text))
        except ValueError:
            raise _WorldError(f"{self.place}.{key} is no GUID: {text}") from None

    def texts(self, key: str) -> list[str]:
        values = self.value.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _WorldError(f"{self.place}.{key} is no list of texts")
        return values

    def entries(self, key: str) -> "list[_Entry]":
        values = self.value.get(key, [])
        if not isinstance(values, list):
            raise _WorldError(f"{self.place}.{key} is no list")
        return [_Entry(value, f"{self.place}.{key}[{index}]".lstrip(".")) for index, value in enumerate(values)]

    def entry(self, key: str) -> "_Entry":
        return _Entry(self.value.get(key), f"{self.place}.{key}".lstrip("."))


class _Seeder:
    def __init__(self, state: State) -> None:
        self._state = state

    def fill(self, content: Any) -> None:
        world = _Entry(content, "")
        for partner in world.entries("partners"):
            account = partner.text("account")
            if account not in ("global", "location"):
                raise _WorldError(f"{partner.place}.account is neither global nor location: {account}")
            self._state.run(
                "INSERT INTO partner VALUES (?, ?, ?)", partner.text("partnerId"), partner.text("name"), account
            )
        for tenant in world.entries("tenants"):
            self._tenant(tenant)
        for application in world.entries("applications"):
            self._application(application)
        deployer = world.entry("deployer")
        self._state.keep(
            "deployer",
            json.dumps(
                {
                    "clientId": deployer.guid("clientId"),
                    "clientSecret": deployer.text("clientSecret"),
                    "tenantId": deployer.guid("tenantId"),
                    "subscriptionId": deployer.guid("subscriptionId"),
                }
            ),
        )

    def _tenant(self, tenant: _Entry) -> None:
        tenant_id = tenant.guid("tenantId")
        name = tenant.text("displayName")
        self._state.run("INSERT INTO tenant VALUES (?, ?, ?)", tenant_id, name, tenant.text("defaultDomain"))
        root = _MANAGEMENT_GROUPS + tenant_id
        self._scope(tenant_id, root, "managementGroup", tenant_id, None, {"displayName": "Tenant Root Group"})
        groups = {tenant_id: root}
        for group in tenant.entries("managementGroups"):
            group_name = group.text("name")
            parent = group.text("parent", tenant_id)
            if parent not in groups:
                raise _WorldError(f"{group.place}.parent is no management group named before it: {parent}")
            groups[group_name] = _MANAGEMENT_GROUPS + group_name
            self._scope(
                tenant_id,
                groups[group_name],
                "managementGroup",
                group_name,
                groups[parent],
                {"displayName": group.text("displayName", group_name)},
            )
        for subscription in tenant.entries("subscriptions"):
            parent = subscription.text("managementGroup", tenant_id)
            if parent not in groups:
                raise _WorldError(f"{subscription.place}.managementGroup is none of this tenant: {parent}")
            self._subscription(tenant_id, subscription, groups[parent])

    def _subscription(self, tenant_id: str, subscription: _Entry, parent: str) -> None:
        subscription_id = subscription.guid("subscriptionId")
        path = f"/subscriptions/{subscription_id}"
        if self._state.one("SELECT 1 FROM scope WHERE id = ?", path):
            raise _WorldError(f"{subscription.place}.subscriptionId is there twice: {subscription_id}")
        name = subscription.text("displayName")
        self._scope(tenant_id, path, "subscription", subscription_id, parent, {"displayName": name})
        for group in subscription.entries("resourceGroups"):
            group_path = f"{path}/resourceGroups/{group.text('name')}"
            location = group.text("location", "westeurope")
            self._scope(
                tenant_id, group_path, "resourceGroup", group.text("name"), path, {"location": location, "tags": {}}
            )
            for resource in group.texts("resources"):
                parts = resource.split("/")
                if len(parts) < 3 or len(parts) % 2 == 0 or "." not in parts[0]:
                    raise _WorldError(f"{group.place}.resources: {resource} is not Namespace/type/name")
                kind = "/".join([parts[0], *parts[1::2]])
                details = {"location": location, "type": kind}
                self._scope(tenant_id, f"{group_path}/providers/{resource}", "resource", parts[-1], group_path, details)

    def _scope(
        self, tenant_id: str, path: str, kind: str, name: str, parent: str | None, document: dict[str, Any]
    ) -> None:
        self._state.run(
            "INSERT INTO scope VALUES (?, ?, ?, ?, ?, ?)", tenant_id, path, kind, name, parent, json.dumps(document)
        )

    def _application(self, application: _Entry) -> None:
        app_id = application.guid("appId")
        home = application.guid("tenantId")
        self._need_tenant(application, home)
        object_id = _derived("application", app_id)
        properties = {
            "displayName": application.text("displayName"),
            "signInAudience": "AzureADMultipleOrgs" if application.value.get("multiTenant") else "AzureADMyOrg",
        }
        directory.add_application(
            self._state,
            tenant_id=home,
            properties=properties,
            time=_SEEDED_TIME,
            object_id=object_id,
            app_id=app_id,
            seeded=True,
        )
        for number, secret in enumerate(application.texts("secrets")):
            credentials.add_password(
                self._state,
                object_id,
                secret=secret,
                key_id=_derived("password", app_id, str(number)),
                display_name="seeded",
                starts=_SEEDED_TIME,
                ends="2099-12-31T00:00:00Z",
            )
        for principal in application.entries("servicePrincipals"):
            self._principal(principal, app_id)

    def _principal(self, principal: _Entry, app_id: str) -> None:
        tenant_id = principal.guid("tenantId")
        self._need_tenant(principal, tenant_id)
        object_id = principal.guid("objectId", _derived("servicePrincipal", tenant_id, app_id))
        directory.add_service_principal(
            self._state,
            tenant_id=tenant_id,
            properties={"appId": app_id},
            time=_SEEDED_TIME,
            object_id=object_id,
            seeded=True,
        )
        for permission in principal.texts("permissions"):
            self._state.run("INSERT INTO graph_permission VALUES (?, ?)", object_id, permission)
        for assignment in principal.entries("roleAssignments"):
            role = role_named(assignment.text("role"))
            if role is None:
                raise _WorldError(f"{assignment.place}.role is no built-in role: {assignment.text('role')}")
            scope = self._state.one(
                "SELECT id FROM scope WHERE tenant_id = ? AND id = ?", tenant_id, assignment.text("scope")
            )
            if scope is None:
                raise _WorldError(f"{assignment.place}.scope is none of the tenant: {assignment.text('scope')}")
            document = {
                "description": None,
                "condition": None,
                "conditionVersion": None,
                "createdOn": _SEEDED_TIME,
                "updatedOn": _SEEDED_TIME,
                "createdBy": "",
                "updatedBy": "",
            }
            self._state.run(
                "INSERT INTO role_assignment VALUES (?, ?, ?, ?, ?, ?, ?, 1)",
                tenant_id,
                _derived("roleAssignment", object_id, role.guid, scope["id"]),
                scope["id"],
                object_id,
                "ServicePrincipal",
                role.guid,
                json.dumps(document),
            )

    def _need_tenant(self, entry: _Entry, tenant_id: str) -> None:
        if not self._state.one("SELECT 1 FROM tenant WHERE id = ?", tenant_id):
            raise _WorldError(f"{entry.place}.tenantId is none of the tenants: {tenant_id}")


def _derived(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


def show(state: State, *, seeded: bool = False) -> dict[str, list[dict[str, Any]]]:
    """Return what stands: ``links`` (not removed ones), ``servicePrincipals``, ``applications``,
    ``roleAssignments``, ``registrations``, ``users``, ``groups``.

    What the world started with is left out unless ``seeded``. A link or assignment is ``orphaned`` where its principal
    is gone.
    """
    hidden = -1 if seeded else 1
    return {
        "links": [
            {
                "tenantId": row["tenant_id"],
                "objectId": row["object_id"],
                "partnerId": row["partner_id"],
                "partnerName": row["name"],
                "state": row["state"],
                "version": row["version"],
                "createdTime": row["created"],
                "updatedTime": row["updated"],
                "orphaned": row["principal"] is None,
            }
            for row in state.all(
                "SELECT partner_link.*, partner.name, service_principal.id AS principal"
                " FROM partner_link LEFT JOIN partner USING (partner_id)"
                " LEFT JOIN service_principal ON service_principal.id = partner_link.object_id"
                " AND service_principal.tenant_id = partner_link.tenant_id"
                " WHERE state != 'Deleted' ORDER BY created, object_id"
            )
        ],
        "servicePrincipals": [
            _directory_row(state, row, "accountEnabled", "appOwnerOrganizationId")
            for row in state.all("SELECT * FROM service_principal WHERE seeded != ? ORDER BY rowid", hidden)
        ],
        "applications": [
            {
                **_directory_row(state, row, "signInAudience"),
                "federatedCredentials": len(
                    state.all("SELECT 1 FROM federated_credential WHERE application_id = ?", row["id"])
                ),
            }
            for row in state.all("SELECT * FROM application WHERE seeded != ? ORDER BY rowid", hidden)
        ],
        "roleAssignments": [
            {
                "id": f"{row['scope']}/providers/Microsoft.Authorization/roleAssignments/{row['name']}",
                "scope": row["scope"],
                "tenantId": row["tenant_id"],
                "principalId": row["principal_id"],
                "principalType": row["principal_type"],
                "roleDefinitionId": f"/providers/Microsoft.Authorization/roleDefinitions/{row['role']}",
                "roleName": built_in_roles()[row["role"]].name,
                "orphaned": row["principal"] is None,
            }
            for row in state.all(
                "SELECT role_assignment.*, principal.id AS principal FROM role_assignment"
                " LEFT JOIN principal ON principal.id = role_assignment.principal_id"
                " AND principal.tenant_id = role_assignment.tenant_id"
                " WHERE role_assignment.seeded != ? ORDER BY role_assignment.rowid",
                hidden,
            )
        ],
        "registrations": lighthouse.show(state),
        "users": people.show_users(state),
        "groups": people.show_groups(state),
    }


def _directory_row(state: State, row: Any, *properties: str) -> dict[str, Any]:
    document = json.loads(row["document"])
    return {
        "tenantId": row["tenant_id"],
        "objectId": row["id"],
        "appId": row["app_id"],
        "displayName": document["displayName"],
        **{name: document[name] for name in properties},
        "passwords": len(state.all("SELECT 1 FROM password WHERE object_id = ?", row["id"])),
        "certificates": len(state.all("SELECT 1 FROM certificate WHERE object_id = ?", row["id"])),
    }
