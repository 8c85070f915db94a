"""From what the services and the Azure SDK raise to a LinkError: which class, which words, whether waiting may help."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)

from pal_components.link.errors import (
    FederationMismatch,
    LinkError,
    PrincipalGone,
    ServiceRefused,
    ServiceUnavailable,
    SignInFailed,
    TenantNotFound,
    UnreadableAnswer,
)
from pal_components.link.identity import TRANSIENT_STATUS
from pal_components.link.principal import Principal

_CODE = re.compile(r"AADSTS(\d{5,7})")


@dataclass(frozen=True)
class _SignInCode:
    """What a code of Microsoft Entra means here."""

    text: str
    settles: Literal["principal", "credential"] | None = None
    """What fails like this, while it is fresh, until it is known everywhere."""
    error: type[SignInFailed] = SignInFailed


_NO_FEDERATION = _SignInCode(
    "no federated credential of the application trusts the token", settles="credential", error=FederationMismatch
)
_BLOCKED = _SignInCode(
    "a conditional access policy of the tenant blocks it; the tenant's administrators can exclude this identity"
)
_SIGN_IN_CODES = {
    "7000215": _SignInCode("its client secret is wrong: give the secret's value, not its id", settles="credential"),
    "7000222": _SignInCode("its client secret has expired: rotate it, then run the same command again"),
    "700016": _SignInCode("its application does not exist in the tenant", settles="principal", error=PrincipalGone),
    "7000229": _SignInCode(
        "the application has no service principal in the tenant: create the enterprise application there",
        settles="principal",
        error=PrincipalGone,
    ),
    "70021": _NO_FEDERATION,
    "70025": _NO_FEDERATION,
    "7002138": _NO_FEDERATION,
    "700211": _NO_FEDERATION,
    "700212": _NO_FEDERATION,
    "700213": _NO_FEDERATION,
    "700023": _SignInCode("its token is meant for another audience than the sign-in service", error=FederationMismatch),
    "700024": _SignInCode("its assertion is expired or not valid yet: the clocks differ, or the token is an old one"),
    "700027": _SignInCode(
        "its certificate is not registered with the application, or has expired there", settles="credential"
    ),
    "50013": _SignInCode("its token is not signed by the issuer that it names"),
    "50027": _SignInCode("its token is no valid JWT"),
    "5002723": _SignInCode("its token is no valid JWT"),
    "90002": _SignInCode("the tenant does not exist in this cloud: check tenant_id", error=TenantNotFound),
    "50034": _SignInCode("the account does not exist in the tenant"),
    "50057": _SignInCode("the account is disabled"),
    "7000112": _SignInCode("the application is disabled in the tenant"),
    "53003": _BLOCKED,
    "530004": _BLOCKED,
}


def explain_sign_in(error: AzureError, principal: Principal | None) -> LinkError:
    """Turn a failed sign-in of a principal, or of the deploying identity where it is None, into a LinkError.

    What was made moments ago is fresh: not being known everywhere yet is then the likely reason, and waiting helps.
    """
    who = str(principal or "the deploying identity")
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return _network(error, f"{who} cannot sign in")
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status in TRANSIENT_STATUS:
        return ServiceUnavailable(
            f"{who} cannot sign in: the sign-in service answers {status}", retry_after=_retry_after(response)
        )
    text = str(error.message or error)
    match = _CODE.search(text) or _CODE.search(_causes(error))
    if match is None:
        return SignInFailed(f"{who} cannot sign in: {_first_sentences(text)}")
    code = f"AADSTS{match[1]}"
    known = _SIGN_IN_CODES.get(match[1])
    if known is None:
        rest = _first_sentences(match.string[match.end() :].lstrip(": "))
        return SignInFailed(f"{who} cannot sign in ({code}): {rest}", code)
    transient = principal is not None and (
        (known.settles == "principal" and principal.fresh)
        or (known.settles == "credential" and principal.fresh_credential)
    )
    return known.error(f"{who} cannot sign in ({code}): {known.text}", code, transient=transient)


def explain_answer(error: AzureError, what: str, *, fresh: bool = False) -> LinkError:
    """Turn a failed call of a service into a LinkError. `what` says what was being done."""
    if isinstance(error, (ServiceRequestError, ServiceResponseError)):
        return _network(error, what)
    if isinstance(error, DecodeError):
        return UnreadableAnswer(f"{what}: the answer is no JSON")
    if not isinstance(error, HttpResponseError):
        return ServiceRefused(f"{what}: {type(error).__name__}")
    status = error.status_code
    code, message = wire_error(error)
    said = f"{status}" + (f" {code}" if code else "") + (f": {message}" if message else "")
    if status in TRANSIENT_STATUS:
        return ServiceUnavailable(f"{what}: the service answers {said}", retry_after=_retry_after(error.response))
    # A principal that was made moments ago is not known to every replica: it may sign in and still be a stranger here.
    return ServiceRefused(f"{what}: the service answers {said}", transient=fresh and status == 401)


def wire_error(error: HttpResponseError) -> tuple[str | None, str | None]:
    """Return code and message of an error body, whether in ARM's or in Graph's form; None for what is not there."""
    response: Any = error.response
    try:
        body = response.json()
        inner = body.get("error") or body
        code, message = inner.get("code"), inner.get("message")
    except (AttributeError, ValueError, AzureError):
        return None, None
    return (code if isinstance(code, str) else None), (_first_sentences(message) if isinstance(message, str) else None)


def is_authentication(error: AzureError) -> bool:
    """Whether getting a token failed, rather than the call that the token was for."""
    response = getattr(error, "response", None)
    request = getattr(response, "request", None)
    return isinstance(error, ClientAuthenticationError) and (request is None or "/oauth2/" in str(request.url))


def _causes(error: BaseException) -> str:
    """Return what the libraries below said: msal keeps the service's own words about a tenant to itself."""
    said: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(said) < 10:
        said.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    return "\n".join(said)


def _network(error: AzureError, what: str) -> ServiceUnavailable:
    cause = error.inner_exception or error
    return ServiceUnavailable(f"{what}: the connection failed ({type(cause).__name__})")


def _retry_after(response: Any) -> float | None:
    headers = getattr(response, "headers", None) or {}
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        return max(0.0, float(headers["Retry-After"])) if "Retry-After" in headers else None
    except ValueError:
        return None


def _first_sentences(text: str) -> str:
    """Drop the identifiers that Microsoft Entra appends, and keep what fits a line or two."""
    text = re.split(r"\s*(?:Trace ID|Correlation ID)\s*:", text, maxsplit=1)[0].strip()
    return text if len(text) <= 400 else f"{text[:400]}..."
