"""Client assertions at the token endpoint: signed with a registered certificate, or by an issuer that is trusted."""

import base64
import binascii
import sqlite3
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import jwt

from pal_components.sandbox import credentials, directory, propagation
from pal_components.sandbox.errors import SignInError
from pal_components.sandbox.issuers import Issuers
from pal_components.sandbox.state import State

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_ALGORITHMS = ["RS256", "PS256", "ES256"]
_CLOCK_SKEW = 300
_CERTIFICATES = "https://learn.microsoft.com/entra/identity-platform/certificate-credentials"
_FEDERATION = "https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
_CHECK = (
    "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. "
    + _FEDERATION
)
_NO_RECORD = "No matching federated identity record found for presented assertion"


class Assertions:
    """Says whether an assertion is good for an application."""

    def __init__(self, state: State, url: str, clock: Callable[[], datetime], issuers: Issuers) -> None:
        self._state = state
        self._url = url
        self._clock = clock
        self._issuers = issuers

    def check(self, assertion: str, *, tenant: sqlite3.Row, principal: sqlite3.Row, application: sqlite3.Row) -> None:
        """Accept an assertion for a principal, or raise.

        Raises:
            SignInError: with Entra's code for what is wrong.
        """
        try:
            header = jwt.get_unverified_header(assertion)
            claims = jwt.decode(assertion, options={"verify_signature": False})
        except (jwt.PyJWTError, ValueError):
            raise SignInError(50027, "invalid_request", "JWT token is invalid or malformed.") from None
        issuer = str(claims.get("iss", ""))
        if issuer.lower() == application["app_id"] or (_thumbprints(header) and not issuer.startswith("https:")):
            self._check_own(assertion, header, claims, tenant, principal, application)
        else:
            self._check_federated(assertion, header, claims, application)

    # With a certificate

    def _check_own(
        self,
        assertion: str,
        header: Mapping[str, Any],
        claims: Mapping[str, Any],
        tenant: sqlite3.Row,
        principal: sqlite3.Row,
        application: sqlite3.Row,
    ) -> None:
        app_id = application["app_id"]
        if {str(claims.get(name, "")).lower() for name in ("iss", "sub")} != {app_id}:
            raise SignInError(
                700021,
                "invalid_client",
                "Client assertion application identifier doesn't match 'client_id' parameter. Review the "
                f"documentation at {_CERTIFICATES} .",
            )
        wanted = _thumbprints(header)
        if not wanted:
            raise SignInError(
                5002723,
                "invalid_client",
                "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId "
                "specified in token header.",
            )
        now = self._clock()
        for certificate in credentials.certificates(self._state, (application["id"], principal["id"])):
            if wanted & {certificate.sha1, certificate.sha256}:
                if propagation.unknown(self._state, "certificate", certificate.key_id, now):
                    continue
                self._check_certificate(assertion, certificate, now)
                break
        else:
            raise SignInError(
                700027,
                "invalid_client",
                "The certificate with identifier used to sign the client assertion is not registered on application. "
                f"[Reason - The key was not found., Thumbprint of key used by client: '{min(wanted, key=len)}', Please "
                "visit the Azure Portal, Graph Explorer or directly use MS Graph to see configured keys for app Id "
                f"'{app_id}'.]",
            )
        here = {tenant["id"], tenant["default_domain"].lower()}
        places = ("oauth2/v2.0/token", "oauth2/token", "v2.0", "")
        if str(claims.get("aud", "")).lower() not in {
            f"{self._url}/{name}/{place}" for name in here for place in places
        }:
            raise SignInError(
                700023,
                "invalid_client",
                "Client assertion audience claim does not match Realm issuer. Review the documentation at "
                f"{_CERTIFICATES} .",
            )
        self._check_time(claims)

    def _check_certificate(self, assertion: str, certificate: credentials.Certificate, now: datetime) -> None:
        found = (
            f"Thumbprint of key used by client: '{certificate.sha1}', Found key "
            f"'Start={certificate.starts:%m/%d/%Y %H:%M:%S}, End={certificate.ends:%m/%d/%Y %H:%M:%S}'"
        )
        if not certificate.starts <= now < certificate.ends:
            raise SignInError(
                700027,
                "invalid_client",
                "The certificate with identifier used to sign the client assertion is expired on application. "
                f"[Reason - The key used is expired., {found}]",
            )
        if not _signed_by(assertion, certificate.x509.public_key()):
            raise SignInError(
                700027,
                "invalid_client",
                "Client assertion contains an invalid signature. [Reason - The provided signature value did not match "
                f"the expected signature value., {found}]",
            )

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        begins, ends = _number(claims.get("nbf")), _number(claims.get("exp"))
        if begins - _CLOCK_SKEW <= now.timestamp() < ends:
            return
        raise SignInError(
            700024,
            "invalid_client",
            f"Client assertion is not within its valid time range. Current time: {_time(now.timestamp())}, assertion "
            f"valid from {_time(begins)}, expiry time of assertion {_time(ends)}. Review the documentation at "
            f"{_CERTIFICATES} .",
        )

    # Of an issuer

    def _check_federated(
        self, assertion: str, header: Mapping[str, Any], claims: Mapping[str, Any], application: sqlite3.Row
    ) -> None:
        issuer, subject, audience = (_text(claims.get(name)) for name in ("iss", "sub", "aud"))
        presented = {"issuer": issuer, "subject": subject, "audience": audience}
        known = credentials.federated_credentials(self._state, application["id"])
        differences = [_differences(credential, presented) for credential in known]
        if [] not in differences:
            raise self._mismatch(application, known, min(differences, key=len, default=[]), presented)
        trusted = known[differences.index([])]
        if propagation.unknown(self._state, "federated", trusted["id"], self._clock()):
            raise _no_match(presented)
        key = self._issuers.key(issuer)
        if key is None:
            raise SignInError(90061, "invalid_request", "Request to External OIDC endpoint failed.")
        if not _signed_by(assertion, key):
            raise SignInError(
                50013,
                "invalid_client",
                "Assertion failed signature validation. [Reason - The provided signature value did not match the "
                f"expected signature value., Thumbprint of key used by client: '{_text(header.get('kid'))}']",
            )
        self._check_time(claims)

    def _mismatch(
        self,
        application: sqlite3.Row,
        known: list[dict[str, Any]],
        differences: list[str],
        presented: Mapping[str, str],
    ) -> SignInError:
        """Say which one value differs from the credential that is nearest, or show all where several do."""
        if not known:
            name = directory.name_of(application)
            message = f"The client '{application['app_id']}'({name}) has no configured federated identity credentials."
            return SignInError(70025, "invalid_client", message)
        if len(differences) > 1:
            return _no_match(presented)
        what = differences[0]
        value = presented[what]
        if what == "subject" and any(
            credential["subject"].lower() == value.lower() and _differences(credential, presented) == [what]
            for credential in known
        ):
            return SignInError(
                7002138,
                "invalid_client",
                f"{_NO_RECORD} subject '{value}'. The subject matches with case-insensitive comparison, but not with "
                f"case-sensitive comparison. {_CHECK}",
            )
        number = {"issuer": 700211, "audience": 700212, "subject": 700213}[what]
        return SignInError(number, "invalid_client", f"{_NO_RECORD} {what} '{value}'. {_CHECK}")


def _no_match(presented: Mapping[str, str]) -> SignInError:
    return SignInError(
        70021,
        "invalid_request",
        f"{_NO_RECORD}. Assertion Issuer: '{presented['issuer']}'. Assertion Subject: '{presented['subject']}'. "
        f"Assertion Audience: '{presented['audience']}'. {_FEDERATION}",
    )


def _differences(credential: Mapping[str, Any], presented: Mapping[str, str]) -> list[str]:
    """Return what a presented token has otherwise than a federated credential; letters' case matters."""
    expected = {**credential, "audience": credential["audiences"][0]}
    return [what for what, value in presented.items() if value != expected[what]]


def _signed_by(assertion: str, key: Any) -> bool:
    try:
        jwt.PyJWS().decode(assertion, key, algorithms=_ALGORITHMS)
    except (jwt.PyJWTError, TypeError, ValueError):
        return False
    return True


def _thumbprints(header: Mapping[str, Any]) -> set[str]:
    """Return the thumbprints that a header names, as upper-case hex.

    msal writes base64 with padding as `x5t` (SHA-1) or `x5t#S256`, the azuread provider SHA-1 as `kid`; others write
    hex there.
    """
    found = set()
    for name in ("x5t", "x5t#S256", "kid"):
        text = _text(header.get(name)).strip()
        if len(text) in (40, 64) and all(letter in "0123456789abcdefABCDEF" for letter in text):
            found.add(text.upper())
            continue
        try:
            raw = base64.urlsafe_b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4))
        except (ValueError, binascii.Error):
            continue
        if len(raw) in (20, 32):
            found.add(raw.hex().upper())
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and abs(value) < 2**33 else 0.0


def _time(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
