"""Credentials of applications and service principals: client secrets, certificates and federated credentials.

Of secrets only salted hashes are kept. The forms follow Microsoft Graph v1.0.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from pal_components.sandbox.errors import GraphError, expected, invalid_property
from pal_components.sandbox.state import State

_PASSWORD_LIFE = timedelta(days=730)
_MOST_FEDERATED_CREDENTIALS = 20


def passwords_shown(state: State, object_id: str) -> list[dict[str, Any]]:
    """Return an object's client secrets as they are shown, without the secrets."""
    return [
        {
            "customKeyIdentifier": None,
            "displayName": password["display_name"],
            "endDateTime": password["ends"],
            "hint": password["hint"],
            "keyId": password["key_id"],
            "secretText": None,
            "startDateTime": password["starts"],
        }
        for password in state.all("SELECT * FROM password WHERE object_id = ? ORDER BY rowid", object_id)
    ]


def new_secret() -> str:
    """Return a client secret of the length that Entra gives out."""
    return f"sandbox~{secrets.token_urlsafe(30)}"


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
        ends = ends or _stamp(time_of(starts, "startDateTime") + _PASSWORD_LIFE)
    except OverflowError:
        raise GraphError(400, "Request_BadRequest", "Key credential end date is invalid.") from None
    if time_of(ends, "endDateTime") <= time_of(starts, "startDateTime"):
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
) -> tuple[Literal["yes", "expired", "no"], str]:
    """Say whether a secret is one of these objects' and still good, and its key id if it is."""
    verdict: Literal["expired", "no"] = "no"
    for object_id in object_ids:
        for row in state.all("SELECT * FROM password WHERE object_id = ?", object_id):
            if not hmac.compare_digest(hashlib.sha256(row["salt"] + secret.encode()).digest(), row["hash"]):
                continue
            if now >= time_of(row["ends"], "endDateTime"):
                verdict = "expired"
            elif now >= time_of(row["starts"], "startDateTime"):
                return "yes", row["key_id"]
    return verdict, ""


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
            raise invalid_property(key)
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


@dataclass(frozen=True)
class Certificate:
    """A registered certificate and the time within which it may be used."""

    key_id: str
    x509: x509.Certificate
    starts: datetime
    ends: datetime

    @property
    def sha1(self) -> str:
        """Its thumbprint, upper-case hex."""
        return self.x509.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 a name, not a proof

    @property
    def sha256(self) -> str:
        """Its SHA-256 thumbprint, upper-case hex."""
        return self.x509.fingerprint(hashes.SHA256()).hex().upper()


def certificates(state: State, object_ids: tuple[str, ...]) -> list[Certificate]:
    """Return the certificates of these objects."""
    found = []
    for object_id in object_ids:
        for row in state.all("SELECT * FROM certificate WHERE object_id = ? ORDER BY rowid", object_id):
            entry = json.loads(row["document"])
            found.append(
                Certificate(
                    row["key_id"],
                    _loaded(base64.b64decode(entry["key"])),
                    time_of(entry["startDateTime"], "startDateTime"),
                    time_of(entry["endDateTime"], "endDateTime"),
                )
            )
    return found


def certificate_ids(state: State, object_id: str) -> set[str]:
    """Return the key ids of an object's certificates."""
    return {row["key_id"] for row in state.all("SELECT key_id FROM certificate WHERE object_id = ?", object_id)}


def certificates_shown(state: State, object_id: str) -> list[dict[str, Any]]:
    """Return an object's certificates as they are shown, without the certificates."""
    return [
        {**json.loads(row["document"]), "key": None}
        for row in state.all("SELECT document FROM certificate WHERE object_id = ? ORDER BY rowid", object_id)
    ]


def replace_certificates(state: State, object_id: str, entries: Any) -> None:
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
        certificate = _loaded(raw)
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


def _loaded(raw: bytes) -> x509.Certificate:
    # Clients send the certificate as base64 of DER or, as the azuread provider does, of the whole PEM text.
    return x509.load_pem_x509_certificate(raw) if b"-----BEGIN" in raw else x509.load_der_x509_certificate(raw)


def _stamp(time: datetime) -> str:
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def time_of(text: str, name: str) -> datetime:
    """Return the time that a property says.

    Raises:
        GraphError: it says none.
    """
    try:
        # Fractions beyond microseconds, which .NET writes and Python 3.10 cannot read, are not worth keeping.
        head, dot, tail = text.partition(".")
        zone = tail.lstrip("0123456789") if dot else ""
        time = datetime.fromisoformat((head + zone).replace("Z", "+00:00").replace("z", "+00:00"))
    except ValueError:
        raise GraphError(400, "Request_BadRequest", f"'{name}' is no ISO 8601 time: {text}") from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)
