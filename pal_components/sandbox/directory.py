"""The directory of every tenant, without HTTP: applications, service principals, owners and credentials.

The forms of objects follow Microsoft Graph v1.0. Who may do what is decided by :mod:`pal_components.sandbox.graph`.
"""

import base64
import binascii
import copy
import hashlib
import hmac
import json
import secrets
import sqlite3
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pal_components.sandbox.errors import GraphError
from pal_components.sandbox.state import State

Kind = Literal["application", "service_principal"]
_Kind = TypeVar("_Kind")

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

_PASSWORD_LIFE = timedelta(days=730)
_MOST_FEDERATED_CREDENTIALS = 20


def get(state: State, kind: Kind, tenant_id: str, object_id: str) -> sqlite3.Row | None:
    """Return the row of an object of a tenant, if it exists."""
    return state.one(f"SELECT * FROM {kind} WHERE id = ? AND tenant_id = ?", object_id.lower(), tenant_id)  # noqa: S608


def rendered(state: State, row: sqlite3.Row) -> dict[str, Any]:
    """Return an object as Microsoft Graph shows it, credentials without their secrets included."""
    document: dict[str, Any] = json.loads(row["document"])
    return {
        "id": row["id"],
        "deletedDateTime": None,
        **document,
        "keyCredentials": _certificates(state, row["id"]),
        "passwordCredentials": [
            {
                "customKeyIdentifier": None,
                "displayName": password["display_name"],
                "endDateTime": password["ends"],
                "hint": password["hint"],
                "keyId": password["key_id"],
                "secretText": None,
                "startDateTime": password["starts"],
            }
            for password in state.all("SELECT * FROM password WHERE object_id = ? ORDER BY rowid", row["id"])
        ],
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
        **_merged(_APPLICATION, properties, _APPLICATION_READ_ONLY),
        "appId": app_id,
        "applicationTemplateId": None,
        "createdDateTime": time,
        "disabledByMicrosoftStatus": None,
        "publisherDomain": tenant["default_domain"] if tenant else None,
    }
    state.run(
        "INSERT INTO application VALUES (?, ?, ?, ?, ?)", object_id, tenant_id, app_id, json.dumps(document), seeded
    )
    _replace_certificates(state, object_id, properties.get("keyCredentials"))
    return object_id


def update_application(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of an application; its principal in the same tenant takes over the name."""
    document = json.loads(row["document"])
    changed = {**document, **_merged(document, properties, _APPLICATION_READ_ONLY, row["id"])}
    if not changed["displayName"]:
        raise GraphError(400, "Request_BadRequest", "Property 'displayName' of resource 'Application' is required.")
    state.run("UPDATE application SET document = ? WHERE id = ?", json.dumps(changed), row["id"])
    if "keyCredentials" in properties:
        _replace_certificates(state, row["id"], properties["keyCredentials"])
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
        **_merged(_SERVICE_PRINCIPAL, own, _SERVICE_PRINCIPAL_READ_ONLY),
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
    _replace_certificates(state, object_id, properties.get("keyCredentials"))
    return object_id


def update_service_principal(state: State, row: sqlite3.Row, properties: Mapping[str, Any]) -> None:
    """Change properties of a service principal."""
    document = json.loads(row["document"])
    changed = {**document, **_merged(document, properties, _SERVICE_PRINCIPAL_READ_ONLY, row["id"])}
    state.run("UPDATE service_principal SET document = ? WHERE id = ?", json.dumps(changed), row["id"])
    if "keyCredentials" in properties:
        _replace_certificates(state, row["id"], properties["keyCredentials"])


def delete_service_principal(state: State, row: sqlite3.Row) -> None:
    """Delete a service principal; its role assignments and its partner link's record stay behind."""
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


def new_secret() -> str:
    """Return a client secret of the length that Entra gives out."""
    return secrets.token_urlsafe(30)


def add_password(
    state: State,
    object_id: str,
    *,
    secret: str,
    display_name: str | None,
    starts: str,
    ends: str,
    key_id: str | None = None,
) -> str:
    """Add a client secret, of which only a salted hash is kept, and return its key id."""
    key_id = key_id or str(uuid.uuid4())
    salt = secrets.token_bytes(16)
    state.run(
        "INSERT INTO password VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        key_id,
        object_id,
        display_name,
        starts,
        ends,
        secret[:3],
        salt,
        hashlib.sha256(salt + secret.encode()).digest(),
    )
    return key_id


def password_dates(credential: Mapping[str, Any], now: datetime) -> tuple[str, str]:
    """Return start and end of a new secret: what was asked, word for word, else from now for two years."""
    starts = expected(credential.get("startDateTime"), str, "startDateTime") or _stamp(now)
    ends = expected(credential.get("endDateTime"), str, "endDateTime")
    try:
        ends = ends or _stamp(_time(starts, "startDateTime") + _PASSWORD_LIFE)
    except OverflowError:
        raise GraphError(400, "Request_BadRequest", "Key credential end date is invalid.") from None
    if _time(ends, "endDateTime") <= _time(starts, "startDateTime"):
        raise GraphError(400, "Request_BadRequest", "Key credential end date is invalid.")
    return starts, ends


def remove_password(state: State, object_id: str, key_id: str) -> None:
    """Remove a client secret.

    Raises:
        GraphError: the object has no secret with this key id.
    """
    if not state.one("SELECT 1 FROM password WHERE object_id = ? AND key_id = ?", object_id, key_id):
        raise GraphError(400, "Request_BadRequest", f"No password credential found with keyId {key_id}.")
    state.run("DELETE FROM password WHERE key_id = ?", key_id)


def accepts_secret(
    state: State, object_ids: tuple[str, ...], secret: str, now: datetime
) -> Literal["yes", "expired", "no"]:
    """Say whether a secret is one of these objects' and still good."""
    verdict: Literal["expired", "no"] = "no"
    for object_id in object_ids:
        for row in state.all("SELECT * FROM password WHERE object_id = ?", object_id):
            if not hmac.compare_digest(hashlib.sha256(row["salt"] + secret.encode()).digest(), row["hash"]):
                continue
            if now >= _time(row["ends"], "endDateTime"):
                verdict = "expired"
            elif now >= _time(row["starts"], "startDateTime"):
                return "yes"
    return verdict


def federated_credentials(state: State, application_id: str) -> list[dict[str, Any]]:
    """Return an application's federated identity credentials, oldest first."""
    return [
        {"id": row["id"], **json.loads(row["document"])}
        for row in state.all(
            "SELECT * FROM federated_credential WHERE application_id = ? ORDER BY rowid", application_id
        )
    ]


def put_federated_credential(
    state: State, application_id: str, properties: Mapping[str, Any], credential_id: str | None = None
) -> str:
    """Add a federated identity credential, or change the one with this id, and return its id."""
    known = federated_credentials(state, application_id)
    document: dict[str, Any] = {
        "audiences": [],
        "claimsMatchingExpression": None,
        "description": None,
        "issuer": None,
        "name": None,
        "subject": None,
    }
    for entry in known:
        if entry["id"] == credential_id:
            document.update({key: entry[key] for key in document})
    for key, value in properties.items():
        if key in document:
            document[key] = (
                value
                if key == "claimsMatchingExpression"
                else expected(value, list if key == "audiences" else str, key)
            )
        elif not (key.startswith("@") or (key == "id" and value in (None, credential_id))):
            raise _invalid_property(key)
    for key in ("name", "issuer", "subject"):
        if not document[key]:
            raise GraphError(400, "Request_BadRequest", f"Property '{key}' of a federated credential is required.")
    if len(document["audiences"] or ()) != 1:
        raise GraphError(400, "Request_BadRequest", "FederatedIdentityCredential must have exactly one audience.")
    others = [entry for entry in known if entry["id"] != credential_id]
    if any(entry["name"] == document["name"] for entry in others):
        message = f"FederatedIdentityCredential with name {document['name']} already exists."
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
    if any((entry["issuer"], entry["subject"]) == (document["issuer"], document["subject"]) for entry in others):
        message = (
            "The combination of issuer and subject must be unique for every federated identity credential on an "
            "application."
        )
        raise GraphError(400, "Request_BadRequest", message)
    if credential_id is None:
        if len(others) >= _MOST_FEDERATED_CREDENTIALS:
            raise GraphError(400, "Request_BadRequest", "There can be no more than 20 federated credentials.")
        credential_id = str(uuid.uuid4())
    state.run(
        "INSERT INTO federated_credential VALUES (?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, document = excluded.document",
        credential_id,
        application_id,
        document["name"],
        json.dumps(document),
    )
    return credential_id


def _merged(
    known: Mapping[str, Any], given: Mapping[str, Any], read_only: set[str], object_id: str | None = None
) -> dict[str, Any]:
    """Return ``known`` with what was given, as Graph takes it: null empties a list, objects merge."""
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
            raise _invalid_property(key)
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


def expected(value: Any, kind: type[_Kind], name: str) -> _Kind | None:
    """Return a value from a request if it has the type that its property has, or is null.

    Raises:
        GraphError: it has another one.
    """
    if value is None or isinstance(value, kind):
        return value
    raise GraphError(400, "Request_BadRequest", f"Property '{name}' has a value of the wrong type.")


def _without_annotations(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: inner for key, inner in value.items() if not key.startswith("@")}


def _invalid_property(key: str) -> GraphError:
    return GraphError(400, "Request_BadRequest", f"Invalid property '{key}'.")


def _certificates(state: State, object_id: str) -> list[dict[str, Any]]:
    return [
        {**json.loads(row["document"]), "key": None}
        for row in state.all("SELECT document FROM certificate WHERE object_id = ? ORDER BY rowid", object_id)
    ]


def _replace_certificates(state: State, object_id: str, entries: Any) -> None:
    """Make these the object's certificates; an entry without its key keeps the one that is known by its key id."""
    known = {
        row["key_id"]: row["document"] for row in state.all("SELECT * FROM certificate WHERE object_id = ?", object_id)
    }
    state.run("DELETE FROM certificate WHERE object_id = ?", object_id)
    for entry in expected(entries, list, "keyCredentials") or ():
        if not isinstance(entry, Mapping):
            raise GraphError(400, "Request_BadRequest", "An entry of 'keyCredentials' is no object.")
        for name in ("displayName", "endDateTime", "key", "keyId", "startDateTime"):
            expected(entry.get(name), str, name)
        key_id = (entry.get("keyId") or str(uuid.uuid4())).lower()
        if entry.get("key"):
            document = json.dumps(_certificate(entry, key_id))
        elif key_id in known:
            document = known[key_id]
        else:
            raise GraphError(400, "Request_BadRequest", f"Key credential {key_id} has no key.")
        state.run("INSERT INTO certificate VALUES (?, ?, ?)", key_id, object_id, document)


def _certificate(entry: Mapping[str, Any], key_id: str) -> dict[str, Any]:
    if (entry.get("type"), entry.get("usage")) != ("AsymmetricX509Cert", "Verify"):
        raise GraphError(400, "Request_BadRequest", "Key credential type or usage is not supported by the sandbox.")
    try:
        raw = base64.b64decode(entry["key"], validate=True)
        # Clients send the certificate as base64 of DER or, as the azuread provider does, of the whole PEM text.
        certificate = (
            x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)
        )
    except (ValueError, binascii.Error):
        raise GraphError(400, "Request_BadRequest", "Key credential's key is no certificate.") from None
    thumbprint = certificate.fingerprint(hashes.SHA1())  # noqa: S303
    return {
        "customKeyIdentifier": base64.b64encode(thumbprint).decode(),
        "displayName": entry.get("displayName") or certificate.subject.rfc4514_string(),
        "endDateTime": entry.get("endDateTime") or _stamp(certificate.not_valid_after_utc),
        "key": base64.b64encode(raw).decode(),
        "keyId": key_id,
        "startDateTime": entry.get("startDateTime") or _stamp(certificate.not_valid_before_utc),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def _stamp(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: str, name: str) -> datetime:
    try:
        # Fractions beyond microseconds, which .NET writes and Python 3.10 cannot read, are not worth keeping.
        head, dot, tail = text.partition(".")
        zone = tail.lstrip("0123456789") if dot else ""
        time = datetime.fromisoformat((head + zone).replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise GraphError(400, "Request_BadRequest", f"'{name}' is no ISO 8601 time: {text}") from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
