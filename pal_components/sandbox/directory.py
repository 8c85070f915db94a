"""The directory of every tenant, without HTTP: applications, service principals and their owners.

The forms of objects follow Microsoft Graph v1.0. Who may do what is decided by :mod:`pal_components.sandbox.graph`.
"""

import copy
import json
import sqlite3
import uuid
from collections.abc import Mapping
from typing import Any, Literal

from pal_components.sandbox import credentials
from pal_components.sandbox.errors import GraphError, expected, invalid_property
from pal_components.sandbox.state import State

Kind = Literal["application", "service_principal"]

# What Microsoft Graph answers for an application of which nothing but the name was said.
_APPLICATION: dict[str, Any] = {
    "addIns": [],
    "api": {
        "acceptMappedClaims": None,
        "knownClientApplications": [],
        "oauth2PermissionScopes": [],
        "preAuthorizedApplications": [],
        "requestedAccessTokenVersion": None,
    },
    "appRoles": [],
    "certification": None,
    "defaultRedirectUri": None,
    "description": None,
    "displayName": None,
    "groupMembershipClaims": None,
    "identifierUris": [],
    "info": {
        "logoUrl": None,
        "marketingUrl": None,
        "privacyStatementUrl": None,
        "supportUrl": None,
        "termsOfServiceUrl": None,
    },
    "isDeviceOnlyAuthSupported": None,
    "isFallbackPublicClient": None,
    "nativeAuthenticationApisEnabled": None,
    "notes": None,
    "oauth2RequirePostResponse": False,
    "optionalClaims": None,
    "parentalControlSettings": {"countriesBlockedForMinors": [], "legalAgeGroupRule": "Allow"},
    "publicClient": {"redirectUris": []},
    "requestSignatureVerification": None,
    "requiredResourceAccess": [],
    "samlMetadataUrl": None,
    "serviceManagementReference": None,
    "servicePrincipalLockConfiguration": None,
    "signInAudience": "AzureADMyOrg",
    "spa": {"redirectUris": []},
    "tags": [],
    "tokenEncryptionKeyId": None,
    "verifiedPublisher": {"addedDateTime": None, "displayName": None, "verifiedPublisherId": None},
    "web": {
        "homePageUrl": None,
        "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False},
        "logoutUrl": None,
        "redirectUriSettings": [],
        "redirectUris": [],
    },
}
_APPLICATION_READ_ONLY = {
    "appId",
    "applicationTemplateId",
    "createdDateTime",
    "deletedDateTime",
    "disabledByMicrosoftStatus",
    "publisherDomain",
}

_SERVICE_PRINCIPAL: dict[str, Any] = {
    "accountEnabled": True,
    "addIns": [],
    "alternativeNames": [],
    "appDescription": None,
    "appRoleAssignmentRequired": False,
    "appRoles": [],
    "customSecurityAttributes": None,
    "description": None,
    "homepage": None,
    "info": copy.deepcopy(_APPLICATION["info"]),
    "loginUrl": None,
    "logoutUrl": None,
    "notes": None,
    "notificationEmailAddresses": [],
    "oauth2PermissionScopes": [],
    "preferredSingleSignOnMode": None,
    "preferredTokenSigningKeyThumbprint": None,
    "replyUrls": [],
    "resourceSpecificApplicationPermissions": [],
    "samlMetadataUrl": None,
    "samlSingleSignOnSettings": None,
    "servicePrincipalNames": [],
    "servicePrincipalType": "Application",
    "tags": [],
    "tokenEncryptionKeyId": None,
    "verifiedPublisher": copy.deepcopy(_APPLICATION["verifiedPublisher"]),
}
_SERVICE_PRINCIPAL_READ_ONLY = {
    "appDisplayName",
    "appId",
    "appOwnerOrganizationId",
    "applicationTemplateId",
    "createdDateTime",
    "deletedDateTime",
    "disabledByMicrosoftStatus",
    "displayName",
    "signInAudience",
}


def get(state: State, kind: Kind, tenant_id: str, object_id: str) -> sqlite3.Row | None:
    """Return the row of an object of a tenant, if it exists."""
    return state.one(f"SELECT * FROM {kind} WHERE id = ? AND tenant_id = ?", object_id.lower(), tenant_id)  # noqa: S608


def name_of(row: sqlite3.Row) -> str:
    """Return the display name of an application or service principal."""
    return str(json.loads(row["document"])["displayName"])


def rendered(state: State, row: sqlite3.Row) -> dict[str, Any]:
    """Return an object as Microsoft Graph shows it, credentials without their secrets included."""
    document: dict[str, Any] = json.loads(row["document"])
    return {
        "id": row["id"],
        "deletedDateTime": None,
        **document,
        "keyCredentials": credentials.certificates_shown(state, row["id"]),
        "passwordCredentials": credentials.passwords_shown(state, row["id"]),
    }


def add_application(
    state: State,
    *,
    tenant_id: str,
    properties: Mapping[str, Any],
    time: str,
    object_id: str | None = None,
    app_id: str | None = None,
    seeded: bool = False,
) -> str:
    """Register an application and return its object id."""
    if not properties.get("displayName"):
        raise GraphError(
            400, "Request_BadRequest", "A value is required for property 'displayName' of resource 'Application'."
        )
    object_id, app_id = object_id or str(uuid.uuid4()), app_id or str(uuid.uuid4())
    tenant = state.one("SELECT default_domain FROM tenant WHERE id = ?", tenant_id)
    document = {
        **merged(_APPLICATION, properties, _APPLICATION_READ_ONLY),
        "appId": app_id,
        "applicationTemplateId": None,
        "createdDateTime": time,
        "disabledByMicrosoftStatus": None,
        "publisherDomain": tenant["default_domain"] if tenant else None,
    }
    state.run(
        "INSERT INTO application VALUES (?, ?, ?, ?, ?)", object_id, tenant_id, app_id, json.dumps(document), seeded
    )
    credentials.replace_certificates(state, object_id, properties.get("keyCredentials"))
    return object_id


def update_application(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of an application; its principal in the same tenant takes over the name."""
    document = json.loads(row["document"])
    changed = {**document, **merged(document, properties, _APPLICATION_READ_ONLY, row["id"])}
    if not changed["displayName"]:
        raise GraphError(400, "Request_BadRequest", "Property 'displayName' of resource 'Application' is required.")
    state.run("UPDATE application SET document = ? WHERE id = ?", json.dumps(changed), row["id"])
    if "keyCredentials" in properties:
        credentials.replace_certificates(state, row["id"], properties["keyCredentials"])
    state.run(
        "UPDATE service_principal SET document ="
        " json_set(document, '$.displayName', ?1, '$.appDisplayName', ?1, '$.signInAudience', ?2)"
        " WHERE app_id = ?3 AND tenant_id = ?4",
        changed["displayName"],
        changed["signInAudience"],
        row["app_id"],
        row["tenant_id"],
    )


def delete_application(state: State, row: sqlite3.Row) -> None:
    """Delete an application and its principal in the same tenant; principals elsewhere stay."""
    principal = state.one(
        "SELECT * FROM service_principal WHERE app_id = ? AND tenant_id = ?", row["app_id"], row["tenant_id"]
    )
    if principal is not None:
        delete_service_principal(state, principal)
    state.run("DELETE FROM federated_credential WHERE application_id = ?", row["id"])
    _forget(state, row["id"])
    state.run("DELETE FROM application WHERE id = ?", row["id"])


def add_service_principal(
    state: State,
    *,
    tenant_id: str,
    properties: Mapping[str, Any],
    time: str,
    object_id: str | None = None,
    seeded: bool = False,
) -> str:
    """Create the service principal of an application in a tenant and return its object id."""
    app_id = str(properties.get("appId") or "").lower()
    application = state.one("SELECT * FROM application WHERE app_id = ?", app_id)
    registered = None if application is None else json.loads(application["document"])
    if (
        application is None
        or registered is None
        or (application["tenant_id"] != tenant_id and registered["signInAudience"] == "AzureADMyOrg")
    ):
        message = f"The appId '{app_id}' of the service principal does not reference a valid application object."
        detail = {"code": "NoBackingApplicationObject", "message": message, "target": "appId"}
        raise GraphError(400, "Request_BadRequest", message, [detail])
    if state.one("SELECT 1 FROM service_principal WHERE app_id = ? AND tenant_id = ?", app_id, tenant_id):
        message = (
            "The service principal cannot be created, updated, or restored because the service principal name "
            f"{app_id} is already in use."
        )
        detail = {"code": "ObjectConflict", "message": message, "target": "servicePrincipalNames"}
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message, [detail])
    object_id = object_id or str(uuid.uuid4())
    own = {key: value for key, value in properties.items() if key != "appId"}
    document = {
        **merged(_SERVICE_PRINCIPAL, own, _SERVICE_PRINCIPAL_READ_ONLY),
        "appDisplayName": registered["displayName"],
        "appId": app_id,
        "appOwnerOrganizationId": application["tenant_id"],
        "applicationTemplateId": None,
        "createdDateTime": time,
        "disabledByMicrosoftStatus": None,
        "displayName": registered["displayName"],
        "signInAudience": registered["signInAudience"],
    }
    document["servicePrincipalNames"] = [app_id, *registered["identifierUris"]]
    document["replyUrls"] = registered["web"]["redirectUris"]
    state.run(
        "INSERT INTO service_principal VALUES (?, ?, ?, ?, ?)",
        object_id,
        tenant_id,
        app_id,
        json.dumps(document),
        seeded,
    )
    credentials.replace_certificates(state, object_id, properties.get("keyCredentials"))
    return object_id


def update_service_principal(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of a service principal."""
    document = json.loads(row["document"])
    changed = {**document, **merged(document, properties, _SERVICE_PRINCIPAL_READ_ONLY, row["id"])}
    state.run("UPDATE service_principal SET document = ? WHERE id = ?", json.dumps(changed), row["id"])
    if "keyCredentials" in properties:
        credentials.replace_certificates(state, row["id"], properties["keyCredentials"])


def delete_service_principal(state: State, row: sqlite3.Row) -> None:
    """Delete a service principal; its role assignments and its partner link's record stay behind."""
    state.run("DELETE FROM group_member WHERE member_id = ?", row["id"])
    state.run("DELETE FROM graph_permission WHERE principal_id = ?", row["id"])
    state.run("DELETE FROM owner WHERE owner_id = ?", row["id"])
    _forget(state, row["id"])
    state.run("DELETE FROM service_principal WHERE id = ?", row["id"])


def _forget(state: State, object_id: str) -> None:
    for table in ("owner", "password", "certificate"):
        state.run(f"DELETE FROM {table} WHERE object_id = ?", object_id)  # noqa: S608


def is_owner(state: State, object_id: str, owner_id: str) -> bool:
    """Whether a principal owns an application or service principal."""
    return state.one("SELECT 1 FROM owner WHERE object_id = ? AND owner_id = ?", object_id, owner_id) is not None


def add_owner(state: State, object_id: str, owner_id: str) -> None:
    """Make a principal an owner, also where it is one already."""
    state.run("INSERT OR IGNORE INTO owner VALUES (?, ?)", object_id, owner_id)


def merged(
    known: Mapping[str, Any], given: Mapping[str, Any], read_only: set[str], object_id: str | None = None
) -> dict[str, Any]:
    """Return what is known of an object with what was given, as Graph takes it: null empties a list, objects merge."""
    result = copy.deepcopy(dict(known))
    for key, value in given.items():
        if key.startswith("@") or "@odata." in key or key == "keyCredentials" or (key == "id" and value == object_id):
            continue
        if key == "passwordCredentials":
            if value:
                raise GraphError(400, "Request_BadRequest", "Property 'passwordCredentials' is set by addPassword.")
        elif key in read_only:
            if value != known.get(key):
                raise GraphError(400, "Request_BadRequest", f"Property '{key}' is read-only and cannot be set.")
        elif key not in known:
            raise invalid_property(key)
        elif isinstance(known[key], list):
            result[key] = expected(value, list, key) or []
        elif isinstance(known[key], dict):
            change = expected(value, dict, key) or {}
            result[key] = {**known[key], **_without_annotations(change)}
            for inner, before in known[key].items():
                if isinstance(before, list):
                    result[key][inner] = expected(result[key][inner], list, f"{key}/{inner}") or []
        elif isinstance(known[key], (bool, str)) or key == "displayName":
            result[key] = expected(value, str if key == "displayName" else type(known[key]), key)
        else:
            result[key] = value
    return result


def _without_annotations(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if not key.startswith("@")}
