"""Users, groups and memberships of every tenant, without HTTP; the forms of objects follow Microsoft Graph.

Who may do what is decided by :mod:`pal_components.sandbox.graph_people`.
"""

import json
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pal_components.sandbox import directory
from pal_components.sandbox.errors import expected
from pal_components.sandbox.odata import Document, bad_request, missing
from pal_components.sandbox.state import State

Kind = Literal["user", "group"]
_TABLES: dict[Kind, str] = {"user": "directory_user", "group": "directory_group"}

_ON_PREMISES: dict[str, Any] = {
    "onPremisesDomainName": None,
    "onPremisesLastSyncDateTime": None,
    "onPremisesSamAccountName": None,
    "onPremisesSecurityIdentifier": None,
    "onPremisesSyncEnabled": None,
}
# What Microsoft Graph answers for a user of whom nothing was said.
_USER: dict[str, Any] = {
    **_ON_PREMISES,
    "aboutMe": None,
    "accountEnabled": True,
    "ageGroup": None,
    "businessPhones": [],
    "city": None,
    "companyName": None,
    "consentProvidedForMinor": None,
    "country": None,
    "creationType": None,
    "department": None,
    "displayName": None,
    "employeeHireDate": None,
    "employeeId": None,
    "employeeOrgData": None,
    "employeeType": None,
    "externalUserState": None,
    "faxNumber": None,
    "givenName": None,
    "imAddresses": [],
    "jobTitle": None,
    "mail": None,
    "mailNickname": None,
    "mobilePhone": None,
    "officeLocation": None,
    "onPremisesDistinguishedName": None,
    "onPremisesImmutableId": None,
    "onPremisesUserPrincipalName": None,
    "otherMails": [],
    "passwordPolicies": None,
    "postalCode": None,
    "preferredLanguage": None,
    "proxyAddresses": [],
    "showInAddressList": None,
    "state": None,
    "streetAddress": None,
    "surname": None,
    "usageLocation": None,
    "userPrincipalName": None,
    "userType": "Member",
}
_USER_READ_ONLY = {"createdDateTime", "creationType", "deletedDateTime", "imAddresses", "proxyAddresses"}
_USER_REQUIRED = ("accountEnabled", "displayName", "mailNickname", "passwordProfile", "userPrincipalName")

_GROUP: dict[str, Any] = {
    **_ON_PREMISES,
    "classification": None,
    "description": None,
    "displayName": None,
    "groupTypes": [],
    "isAssignableToRole": None,
    "mail": None,
    "mailEnabled": False,
    "mailNickname": None,
    "membershipRule": None,
    "membershipRuleProcessingState": None,
    "onPremisesNetBiosName": None,
    "preferredLanguage": None,
    "proxyAddresses": [],
    "resourceBehaviorOptions": [],
    "resourceProvisioningOptions": [],
    "securityEnabled": True,
    "theme": None,
    "visibility": None,
}
_GROUP_READ_ONLY = {"createdDateTime", "deletedDateTime", "mail", "proxyAddresses"}
_GROUP_REQUIRED = ("displayName", "mailEnabled", "mailNickname", "securityEnabled")


def get(state: State, kind: Kind, tenant_id: str, object_id: str) -> sqlite3.Row | None:
    """Return the row of a user (also by user principal name) or group of a tenant, if there is one."""
    found = state.one(
        f"SELECT * FROM {_TABLES[kind]} WHERE id = ? AND tenant_id = ?",  # noqa: S608
        object_id.lower(),
        tenant_id,
    )
    return found or (user_named(state, tenant_id, object_id) if kind == "user" else None)


def every(state: State, kind: Kind, tenant_id: str) -> list[sqlite3.Row]:
    """Return the rows of a tenant's users or groups."""
    return state.all(f"SELECT * FROM {_TABLES[kind]} WHERE tenant_id = ? ORDER BY rowid", tenant_id)  # noqa: S608


def user_named(state: State, tenant_id: str, name: str) -> sqlite3.Row | None:
    """Return the row of the user with this user principal name."""
    return state.one("SELECT * FROM directory_user WHERE tenant_id = ? AND name = ?", tenant_id, name)


def rendered(row: sqlite3.Row) -> Document:
    """Return a user or group as Microsoft Graph shows it."""
    return {"id": row["id"], "deletedDateTime": None, **json.loads(row["document"])}


def principal(state: State, tenant_id: str, object_id: str) -> Document | None:
    """Return a user, group or service principal of a tenant with its `@odata.type`."""
    known = state.one("SELECT type FROM principal WHERE id = ? AND tenant_id = ?", object_id.lower(), tenant_id)
    if known is None:
        return None
    kind = known["type"]
    if kind == "ServicePrincipal":
        row = directory.get(state, "service_principal", tenant_id, object_id)
        assert row is not None
        document = directory.rendered(state, row)
    else:
        row = get(state, "user" if kind == "User" else "group", tenant_id, object_id)
        assert row is not None
        document = rendered(row)
    return {"@odata.type": f"#microsoft.graph.{kind[0].lower()}{kind[1:]}", **document}


def add_user(state: State, tenant_id: str, properties: Mapping[str, Any], time: str) -> str:
    """Create a member of the directory and return its object id. Its password is checked for being there, not kept."""
    _require(properties, _USER_REQUIRED, "User")
    profile = expected(properties["passwordProfile"], dict, "passwordProfile") or {}
    if not expected(profile.get("password"), str, "passwordProfile/password"):
        raise bad_request("The specified password does not comply with password complexity requirements.")
    return _insert_user(state, tenant_id, properties, {"createdDateTime": time, "creationType": None})


def invite(state: State, tenant_id: str, email: str, properties: Mapping[str, Any], time: str) -> str:
    """Create the guest that an invitation is for, or find the one who was invited before, and return its object id."""
    local, at, domain = email.partition("@")
    if not (local and at and domain):
        raise bad_request(f"The invited user email address '{email}' is not valid.")
    if domain.lower() == _domain(state, tenant_id):
        raise bad_request("The invited user's email address belongs to a verified domain of this directory.")
    name = f"{local}_{domain}#EXT#@{_domain(state, tenant_id)}"
    known = user_named(state, tenant_id, name)
    if known is not None:
        return str(known["id"])
    guest = {
        "displayName": properties.get("invitedUserDisplayName") or local,
        "mail": email,
        "mailNickname": name.partition("@")[0],
        "userPrincipalName": name,
        "userType": properties.get("invitedUserType") or "Guest",
        "externalUserState": "PendingAcceptance",
        "otherMails": [email],
    }
    return _insert_user(state, tenant_id, guest, {"createdDateTime": time, "creationType": "Invitation"})


def _insert_user(state: State, tenant_id: str, properties: Mapping[str, Any], fixed: Mapping[str, Any]) -> str:
    document = {**_user(_USER, properties), **fixed}
    name = _checked_name(state, tenant_id, document, None)
    object_id = str(uuid.uuid4())
    state.run("INSERT INTO directory_user VALUES (?, ?, ?, ?)", object_id, tenant_id, name, json.dumps(document))
    return object_id


def update_user(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of a user."""
    known = json.loads(row["document"])
    document = {**known, **_user(known, properties, row["id"])}
    if not document["displayName"]:
        raise bad_request("A value is required for property 'displayName' of resource 'User'.")
    name = _checked_name(state, row["tenant_id"], document, row["id"])
    state.run("UPDATE directory_user SET name = ?, document = ? WHERE id = ?", name, json.dumps(document), row["id"])


def _user(known: Mapping[str, Any], properties: Mapping[str, Any], object_id: str | None = None) -> Document:
    given = {key: value for key, value in properties.items() if key != "passwordProfile"}
    for key in ("mailNickname", "userPrincipalName"):
        expected(given.get(key), str, key)
    return directory.merged(known, given, _USER_READ_ONLY, object_id)


def _checked_name(state: State, tenant_id: str, document: Document, object_id: str | None) -> str:
    """Return a user's principal name, if its domain is the tenant's and nobody else has it."""
    name = str(document["userPrincipalName"] or "")
    local, _, domain = name.rpartition("@")
    if not local or domain.lower() != _domain(state, tenant_id):
        raise bad_request(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the verified domain "
            "names in your organization.",
            "InvalidValue",
            "userPrincipalName",
        )
    known = user_named(state, tenant_id, name)
    if known is not None and known["id"] != object_id:
        raise bad_request(
            "Another object with the same value for property userPrincipalName already exists.",
            "ObjectConflict",
            "userPrincipalName",
        )
    return name


def _domain(state: State, tenant_id: str) -> str:
    row = state.one("SELECT default_domain FROM tenant WHERE id = ?", tenant_id)
    return str(row["default_domain"]).lower() if row else ""


def add_group(state: State, tenant_id: str, properties: Mapping[str, Any], time: str) -> str:
    """Create a security group and return its object id."""
    _require(properties, _GROUP_REQUIRED, "Group")
    document = {**_group(_GROUP, properties), "createdDateTime": time}
    object_id = str(uuid.uuid4())
    state.run("INSERT INTO directory_group VALUES (?, ?, ?)", object_id, tenant_id, json.dumps(document))
    return object_id


def update_group(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of a group."""
    known = json.loads(row["document"])
    document = {**known, **_group(known, properties, row["id"])}
    if not document["displayName"]:
        raise bad_request("A value is required for property 'displayName' of resource 'Group'.")
    if bool(document["isAssignableToRole"]) != bool(known["isAssignableToRole"]):
        raise bad_request("Property 'isAssignableToRole' is immutable.", "ImmutableProperty", "isAssignableToRole")
    state.run("UPDATE directory_group SET document = ? WHERE id = ?", json.dumps(document), row["id"])


def _group(known: Mapping[str, Any], properties: Mapping[str, Any], object_id: str | None = None) -> Document:
    document = directory.merged(known, properties, _GROUP_READ_ONLY, object_id)
    if document["groupTypes"] or document["mailEnabled"] or not document["securityEnabled"]:
        raise bad_request("The sandbox has security groups only: no mail, no Microsoft 365, no dynamic membership.")
    return document


def _require(properties: Mapping[str, Any], names: tuple[str, ...], resource: str) -> None:
    for name in names:
        if properties.get(name) in (None, ""):
            raise bad_request(f"A value is required for property '{name}' of resource '{resource}'.")


def delete(state: State, kind: Kind, row: sqlite3.Row) -> None:
    """Delete a user or group with its memberships; its role assignments stay behind as orphans."""
    state.run("DELETE FROM group_member WHERE member_id = ?1 OR group_id = ?1", row["id"])
    state.run("DELETE FROM owner WHERE owner_id = ?1 OR object_id = ?1", row["id"])
    state.run(f"DELETE FROM {_TABLES[kind]} WHERE id = ?", row["id"])  # noqa: S608


def members(state: State, row: sqlite3.Row) -> list[Document]:
    """Return the direct members of a group."""
    found = state.all("SELECT member_id FROM group_member WHERE group_id = ? ORDER BY rowid", row["id"])
    return _principals(state, row["tenant_id"], [entry["member_id"] for entry in found])


def groups_of(state: State, row: sqlite3.Row) -> list[Document]:
    """Return the groups that a user or group is a direct member of."""
    found = state.all("SELECT group_id FROM group_member WHERE member_id = ? ORDER BY rowid", row["id"])
    return _principals(state, row["tenant_id"], [entry["group_id"] for entry in found])


def owners(state: State, tenant_id: str, object_id: str) -> list[Document]:
    """Return the owners of an application, service principal or group."""
    found = state.all("SELECT owner_id FROM owner WHERE object_id = ? ORDER BY rowid", object_id)
    return _principals(state, tenant_id, [entry["owner_id"] for entry in found])


def _principals(state: State, tenant_id: str, ids: list[str]) -> list[Document]:
    return [found for object_id in ids if (found := principal(state, tenant_id, object_id)) is not None]


def add_member(state: State, row: sqlite3.Row, member_id: str) -> None:
    """Make a principal a member of a group."""
    if member_id == row["id"]:
        raise bad_request("A group cannot be a member of itself.")
    if state.one("SELECT 1 FROM group_member WHERE group_id = ? AND member_id = ?", row["id"], member_id):
        raise bad_request(
            "One or more added object references already exist for the following modified properties: 'members'."
        )
    state.run("INSERT INTO group_member VALUES (?, ?)", row["id"], member_id)


def remove_member(state: State, row: sqlite3.Row, member_id: str) -> None:
    """Take a principal out of a group."""
    member_id = member_id.lower()
    if not state.one("SELECT 1 FROM group_member WHERE group_id = ? AND member_id = ?", row["id"], member_id):
        raise missing(member_id)
    state.run("DELETE FROM group_member WHERE group_id = ? AND member_id = ?", row["id"], member_id)


def show_users(state: State) -> list[Document]:
    """Return every user, guests included."""
    names = ("userPrincipalName", "displayName", "mail", "userType")
    return [
        {
            "tenantId": row["tenant_id"],
            "objectId": row["id"],
            **{name: json.loads(row["document"])[name] for name in names},
        }
        for row in state.all("SELECT * FROM directory_user ORDER BY rowid")
    ]


def show_groups(state: State) -> list[Document]:
    """Return every group with the object ids of its direct members."""
    return [
        {
            "tenantId": row["tenant_id"],
            "objectId": row["id"],
            "displayName": json.loads(row["document"])["displayName"],
            "members": [member["id"] for member in members(state, row)],
        }
        for row in state.all("SELECT * FROM directory_group ORDER BY rowid")
    ]
