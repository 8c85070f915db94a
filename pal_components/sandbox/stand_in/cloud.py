"""What both stand-in plugins need of a cloud: where its services are, tokens, and requests that say why not."""

import base64
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from pal_components.sandbox.stand_in.plugin import Provider, ProviderError

_TIMEOUT = (10, 60)  # seconds to connect, seconds between bytes
_POLL_SECONDS = 1.0
_PATIENCE_SECONDS = 300.0
_RETRY_SECONDS = (1, 2, 4, 8, 16)
_METADATA_PATH = "/metadata/endpoints"
_METADATA_VERSION = "2022-09-01"


class ServiceError(ProviderError):
    """A service refused a request: its status, its own code and message, and what was being done."""

    def __init__(self, doing: str, status: int, code: str, message: str, form: str) -> None:
        answer = form.format(status=status, reason=_phrase(status), code=code, message=message)
        super().__init__(f"{doing}: {answer}")
        self.status = status
        self.code = code
        self.message = message


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


@dataclass(frozen=True)
class Cloud:
    """Where a cloud's services are: base URLs without a trailing slash, and the audience that ARM's tokens are for."""

    login: str
    graph: str
    resource_manager: str
    arm_audience: str


_PUBLIC = Cloud(
    "https://login.microsoftonline.com",
    "https://graph.microsoft.com",
    "https://management.azure.com",
    "https://management.core.windows.net/",
)
_US_GOVERNMENT = Cloud(
    "https://login.microsoftonline.us",
    "https://graph.microsoft.us",
    "https://management.usgovcloudapi.net",
    "https://management.core.usgovcloudapi.net",
)
_US_DOD = Cloud(
    _US_GOVERNMENT.login, "https://dod-graph.microsoft.us", _US_GOVERNMENT.resource_manager, _US_GOVERNMENT.arm_audience
)
_CHINA = Cloud(
    "https://login.chinacloudapi.cn",
    "https://microsoftgraph.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "https://management.core.chinacloudapi.cn",
)
_CLOUDS = {
    **dict.fromkeys(("", "public", "global", "azurecloud"), _PUBLIC),
    **dict.fromkeys(("usgovernment", "usgovernmentl4", "usgov", "azureusgovernment"), _US_GOVERNMENT),
    **dict.fromkeys(("usgovernmentl5", "dod"), _US_DOD),
    **dict.fromkeys(("china", "azurechinacloud"), _CHINA),
}


class Settings:
    """A plugin's configuration: what Pulumi sent, else the environment."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def get(self, name: str, *environment: str) -> str:
        """Return setting `name`, else the first of these environment variables that is not empty, else ""."""
        return self._variables.get(name) or next((v for v in map(os.environ.get, environment) if v), "")

    def flag(self, name: str, environment: str) -> bool:
        """Return whether setting `name`, or this environment variable, says true."""
        return self.get(name, environment).lower() in ("true", "1")


@dataclass(frozen=True)
class ClientSecret:
    """How the plugin signs in: as this application (client id, a GUID), in this tenant (GUID or domain)."""

    tenant: str
    client_id: str
    secret: str


def find_cloud(settings: Settings) -> Cloud:
    """Return the cloud that a metadata host describes, else the named one.

    Both plugins read `metadataHost` or ARM_METADATA_HOSTNAME first, and only without one the `environment`.
    """
    host = settings.get("metadataHost", "ARM_METADATA_HOSTNAME")
    if host:
        return _described_cloud(host)
    name = settings.get("environment", "ARM_ENVIRONMENT", "AZURE_ENVIRONMENT")
    if name.lower() not in _CLOUDS:
        raise ProviderError(f"unknown environment {name!r}; one of {', '.join(sorted(filter(None, _CLOUDS)))}")
    return _CLOUDS[name.lower()]


def _described_cloud(host: str) -> Cloud:
    base = host if "://" in host else f"https://{host}"
    doing = f"retrieving the metadata of the cloud from {base}"
    with _connection(base, retries=0) as session:
        response = _send(session, doing, "GET", f"{base}{_METADATA_PATH}", params={"api-version": _METADATA_VERSION})
    if response.status_code != HTTPStatus.OK:
        raise ProviderError(f"{doing}: expected 200 but got {response.status_code}")
    document = _object(response)
    authentication = document.get("authentication") or {}
    found: dict[str, Any] = {
        "name": document.get("name"),
        "resourceManager": document.get("resourceManager"),
        "microsoftGraphResourceId": document.get("microsoftGraphResourceId"),
        "authentication.loginEndpoint": authentication.get("loginEndpoint"),
    }
    missing = [name for name, value in found.items() if not value]
    if missing:
        raise ProviderError(f"{doing}: {', '.join(missing)} missing from the answer")
    return Cloud(
        login=found["authentication.loginEndpoint"].rstrip("/"),
        graph=found["microsoftGraphResourceId"].rstrip("/"),
        resource_manager=found["resourceManager"].rstrip("/"),
        arm_audience=next(iter(authentication.get("audiences") or ()), ""),
    )


class SignIn:
    """Tokens for one application in one tenant, kept until shortly before they expire."""

    def __init__(self, cloud: Cloud, credential: ClientSecret, *, discover: bool) -> None:
        """Sign in with `credential`; with `discover`, ask OpenID discovery for the token endpoint, as MSAL does."""
        self.credential = credential
        self._tenant_url = f"{cloud.login}/{credential.tenant}"
        self._session = _connection(cloud.login)
        self._lock = threading.Lock()
        self._tokens: dict[str, tuple[str, float]] = {}
        self._endpoint = "" if discover else f"{self._tenant_url}/oauth2/v2.0/token"

    def token(self, scope: str) -> str:
        """Return an access token for `scope`, as in `https://graph.microsoft.com/.default`."""
        with self._lock:
            token, renew_at = self._tokens.get(scope, ("", 0.0))
            if time.monotonic() >= renew_at:
                token, lifetime = self._request(scope)
                self._tokens[scope] = (token, time.monotonic() + max(lifetime - 300, lifetime / 2))
            return token

    def claims(self, scope: str) -> dict[str, Any]:
        """Return what a token for `scope` says about its bearer (unverified: it is ours)."""
        parts = self.token(scope).split(".")
        if len(parts) != 3:
            raise ProviderError("the access token is not a JWT, so it does not say who signed in")
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return claims

    def _request(self, scope: str) -> tuple[str, float]:
        credential = self.credential
        doing = f"signing in to tenant {credential.tenant} as application {credential.client_id}"
        if not self._endpoint:
            response = _send(self._session, doing, "GET", f"{self._tenant_url}/v2.0/.well-known/openid-configuration")
            self._endpoint = self._accepted(doing, response)["token_endpoint"]
        form = {
            "grant_type": "client_credentials",
            "client_id": credential.client_id,
            "client_secret": credential.secret,
            "scope": scope,
        }
        answer = self._accepted(doing, _send(self._session, doing, "POST", self._endpoint, data=form))
        if not answer.get("access_token"):
            raise ProviderError(f"{doing}: the answer holds no access_token")
        return answer["access_token"], float(answer.get("expires_in", 3600))

    @staticmethod
    def _accepted(doing: str, response: requests.Response) -> dict[str, Any]:
        body = _object(response)
        if response.ok:
            return body
        # Entra appends trace id, correlation id and time on further lines.
        description = str(body.get("error_description") or response.text[:200]).partition("Trace ID:")[0]
        raise ServiceError(
            doing,
            response.status_code,
            str(body.get("error") or "error"),
            _one_line(description),
            "status {status} {code}: {message}",
        )


class Api:
    """Requests to one service, with a token, retried while it is busy, refused in its own words."""

    def __init__(self, base: str, sign_in: SignIn, scope: str, user_agent: str, error_form: str) -> None:
        """Talk to the service at `base`; `error_form` is the sentence for a refusal (status, reason, code, message)."""
        self.base = base
        self._sign_in = sign_in
        self._scope = scope
        self._error_form = error_form
        self._session = _connection(base)
        self._session.headers.update({"Accept": "application/json", "User-Agent": user_agent})

    def request(self, doing: str, method: str, path: str, **arguments: Any) -> requests.Response:
        """Send a request and return the answer, or raise ServiceError where it is not 2xx.

        `doing` starts the error's text ("creating application"); `arguments` are those of `requests` (params, json).
        """
        arguments["headers"] = {"Authorization": f"Bearer {self._sign_in.token(self._scope)}"}
        response = _send(self._session, doing, method, path if "://" in path else f"{self.base}{path}", **arguments)
        if response.ok:
            return response
        body = _object(response)
        nested = body.get("error")
        error: dict[str, Any] = nested if isinstance(nested, dict) else body
        raise ServiceError(
            doing,
            response.status_code,
            str(error.get("code") or _phrase(response.status_code).replace(" ", "")),
            _one_line(str(error.get("message") or response.text[:200])),
            self._error_form,
        )

    def get(self, doing: str, path: str, **params: str) -> dict[str, Any]:
        """Return the object at `path`."""
        return _object(self.request(doing, "GET", path, params=params))

    def find(self, doing: str, path: str, **params: str) -> dict[str, Any] | None:
        """Return the object at `path`, or None where there is none (404)."""
        try:
            return self.get(doing, path, **params)
        except ServiceError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def list_all(self, doing: str, path: str, **params: str) -> list[dict[str, Any]]:
        """Return the objects of a collection, page after page."""
        page = self.get(doing, path, **params)
        items: list[dict[str, Any]] = list(page.get("value") or [])
        while page.get("@odata.nextLink"):
            page = self.get(doing, page["@odata.nextLink"])
            items += page.get("value") or []
        return items

    def send(self, doing: str, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Send `body` as JSON and return the object in the answer, empty where it has none."""
        response = self.request(doing, method, path, json=body)
        return _object(response) if response.content else {}


_T = TypeVar("_T")


def wait_for(provider: Provider, what: str, probe: Callable[[], _T | None]) -> _T:
    """Return the first thing that `probe` finds, asking at once and then every second for up to five minutes."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while (found := probe()) is None:
        if time.monotonic() > deadline:
            raise ProviderError(f"timed out while waiting for {what}")
        if provider.cancelled.wait(_POLL_SECONDS):
            raise ProviderError(f"cancelled while waiting for {what}")
    return found


def retry_while(provider: Provider, busy: Callable[[ServiceError], bool], attempt: Callable[[], _T]) -> _T:
    """Return what `attempt` returns, trying again, ever more slowly, while its refusal is `busy`."""
    for delay in _RETRY_SECONDS:
        try:
            return attempt()
        except ServiceError as error:
            if not busy(error) or provider.cancelled.wait(delay):
                raise
    return attempt()


def _connection(url: str, retries: int = 5) -> requests.Session:
    session = requests.Session()
    # A Go client, like the real plugins, trusts SSL_CERT_FILE and never asks a proxy for a loopback address.
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or True
    session.trust_env = urlsplit(url).hostname not in ("localhost", "127.0.0.1", "::1")
    policy = Retry(
        total=retries,
        read=0,
        allowed_methods=None,
        status_forcelist=(408, 424, 429, 500, 502, 503, 504),
        backoff_factor=0.5,
        raise_on_status=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=policy, pool_maxsize=16))
    return session


def _send(session: requests.Session, doing: str, method: str, url: str, **arguments: Any) -> requests.Response:
    try:
        return session.request(method, url, timeout=_TIMEOUT, **arguments)
    except requests.RequestException as error:
        # The innermost cause says it in a few words; what wraps it repeats the whole request.
        cause: BaseException = error
        while cause.__context__ is not None:
            cause = cause.__context__
        raise ProviderError(f"{doing}: no answer from {urlsplit(url).netloc}: {_one_line(str(cause))}") from None


def _object(response: requests.Response) -> dict[str, Any]:
    try:
        body = json.loads(response.content.decode("utf-8-sig"))
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


def _one_line(text: str) -> str:
    return " ".join(text.split())
