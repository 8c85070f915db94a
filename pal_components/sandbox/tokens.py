"""Access tokens: real signed JWTs, made by the sign-in service and checked by every API."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jwt

from pal_components.sandbox import propagation
from pal_components.sandbox.keys import SigningKey
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
        self._key = SigningKey(state.directory / KEY_FILE)

    def issuer(self, tenant_id: str) -> str:
        """Return what the tokens of a tenant name as their issuer."""
        return f"{self._url}/{tenant_id}/"

    def public_key(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key."""
        return self._key.published()

    def issue(
        self,
        *,
        tenant_id: str,
        object_id: str,
        app_id: str,
        audience: str,
        roles: Collection[str],
        by_assertion: bool = False,
    ) -> str:
        """Return a signed token for a service principal, which signed in with an assertion or with a secret."""
        now = int(self._clock().timestamp())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": self.issuer(tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "appid": app_id,
            "appidacr": "2" if by_assertion else "1",
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
        return self._key.sign(claims)

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
                self._key.public,
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
        if propagation.unknown(self._state, "principal at an API", object_id, self._clock()):
            raise TokenRefusedError("principal", "The access token's service principal is not known yet.")
        return Caller(tenant_id, object_id, principal["app_id"], frozenset(claims.get("roles", ())))
