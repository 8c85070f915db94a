"""Access tokens: real signed JWTs, made by the sign-in service and checked by every API."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pal_components.sandbox.certificates import write_private
from pal_components.sandbox.state import State

LIFETIME = 3599
KEY_FILE = "signing-key.pem"


@dataclass(frozen=True)
class Caller:
    """The service principal that a checked token speaks for; ``roles`` are its Microsoft Graph permissions."""

    tenant_id: str
    object_id: str
    app_id: str
    roles: frozenset[str] = field(default_factory=frozenset)


class TokenRefusedError(Exception):
    """A token that is not accepted; ``reason`` is one of missing, malformed, signature, expired, audience, issuer,
    principal.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Tokens:
    """Signs tokens with the state directory's own key and checks them."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime]) -> None:
        self._state = state
        self._url = url
        self._clock = clock
        self._key = _signing_key(state.directory / KEY_FILE)
        public = self._key.public_key()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
        self.key_id = digest.finalize().hex()[:40]
        self._public = public

    def issuer(self, tenant_id: str) -> str:
        """Return what the tokens of a tenant name as their issuer."""
        return f"{self._url}/{tenant_id}/"

    def public_key(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._public, as_dict=True)
        return {"kty": "RSA", "use": "sig", "kid": self.key_id, "n": key["n"], "e": key["e"], "alg": "RS256"}

    def issue(self, *, tenant_id: str, object_id: str, app_id: str, audience: str, roles: Collection[str]) -> str:
        """Return a signed token for a service principal."""
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self.issuer(tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": app_id,
            "appidacr": "1",
            "idp": self.issuer(tenant_id),
            "idtyp": "app",
            "oid": object_id,
            "sub": object_id,
            "tid": tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        if roles:
            claims["roles"] = sorted(roles)
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id, "x5t": self.key_id})

    def check(self, token: str | None, audiences: Collection[str]) -> Caller:
        """Return whom a token speaks for, if it is ours, for this audience, in time, and its principal lives.

        Raises:
            TokenRefusedError: with the first thing that is wrong.
        """
        if not token:
            raise TokenRefusedError("missing", "There is no access token.")
        try:
            claims = jwt.decode(
                token,
                self._public,
                algorithms=["RS256"],
                # Time is checked against the sandbox's own clock below; the audience where it can be named.
                options={"verify_aud": False, "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.InvalidSignatureError:
            raise TokenRefusedError("signature", "The access token's signature is not valid.") from None
        except jwt.PyJWTError:
            raise TokenRefusedError("malformed", "The access token is no JSON Web Token of this cloud.") from None
        now = self._clock().timestamp()
        tenant_id, object_id = str(claims.get("tid", "")), str(claims.get("oid", ""))
        if now >= float(claims.get("exp", 0)) or now < float(claims.get("nbf", now + 1)) - 1:
            raise TokenRefusedError("expired", "The access token is expired or not yet valid.")
        if str(claims.get("aud", "")).rstrip("/") not in {audience.rstrip("/") for audience in audiences}:
            raise TokenRefusedError("audience", str(claims.get("aud", "")))
        if claims.get("iss") != self.issuer(tenant_id):
            raise TokenRefusedError("issuer", "The access token is from the wrong issuer.")
        principal = self._state.one(
            "SELECT app_id, json_extract(document, '$.accountEnabled') AS enabled FROM service_principal"
            " WHERE id = ? AND tenant_id = ?",
            object_id,
            tenant_id,
        )
        if principal is None or not principal["enabled"]:
            raise TokenRefusedError("principal", "The access token's service principal is deleted or disabled.")
        return Caller(tenant_id, object_id, principal["app_id"], frozenset(claims.get("roles", ())))


def _signing_key(path: Path) -> rsa.RSAPrivateKey:
    if path.exists():
        loaded = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(loaded, rsa.RSAPrivateKey):
            return loaded
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_private(path, pem)
    return key
