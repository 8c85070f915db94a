"""OpenID Connect tokens: what the environment offers, and what such a token says of itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jwt

from pal_components.link.errors import NoOidcToken, ServiceUnavailable
from pal_components.link.principal import DEFAULT_AUDIENCE

_PIPELINES_VERSION = "7.1"
_TIMEOUT = 30


@dataclass(frozen=True)
class TokenSource:
    """Where the environment's OpenID Connect token comes from."""

    name: str
    """For a person: which variable or service."""
    fetch: Callable[[], str]
    """Return a token; asked anew at every sign-in. Raises NoOidcToken and ServiceUnavailable."""


def token_source(environment: Mapping[str, str], prefix: str = "", audience: str = DEFAULT_AUDIENCE) -> TokenSource:
    """Return the first source that the environment offers.

    In this order: a token (`ARM_OIDC_TOKEN`), a file with one (`ARM_OIDC_TOKEN_FILE_PATH`, or Kubernetes'
    `AZURE_FEDERATED_TOKEN_FILE`), GitHub Actions, Azure Pipelines, Pulumi Deployments. With a `prefix` such as
    `CONTOSO_` the two `ARM_` variables and the service connection are read under it.

    Raises NoOidcToken, which lists what was looked for.
    """

    def read(*names: str) -> str:
        return next((value for name in names if (value := environment.get(name, "").strip())), "")

    token = read(f"{prefix}ARM_OIDC_TOKEN")
    if token:
        return TokenSource(f"{prefix}ARM_OIDC_TOKEN", lambda: token)

    for variable in (f"{prefix}ARM_OIDC_TOKEN_FILE_PATH", f"{prefix}AZURE_FEDERATED_TOKEN_FILE"):
        if path := read(variable):
            return TokenSource(f"the file of {variable}", partial(_from_file, Path(path), variable))

    url = read("ARM_OIDC_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_URL")
    bearer = read("ARM_OIDC_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
    if url and bearer:
        return TokenSource(
            "GitHub Actions",
            lambda: _from_service("GitHub Actions", "GET", url, {"audience": audience}, bearer, "value"),
        )

    uri, access = read("SYSTEM_OIDCREQUESTURI"), read("SYSTEM_ACCESSTOKEN")
    connection = read(
        f"{prefix}ARM_OIDC_AZURE_SERVICE_CONNECTION_ID",
        f"{prefix}ARM_ADO_PIPELINE_SERVICE_CONNECTION_ID",
        "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID",
    )
    if uri and access and connection:
        query = {"api-version": _PIPELINES_VERSION, "serviceConnectionId": connection}
        return TokenSource(
            "Azure Pipelines",
            lambda: _from_service("Azure Pipelines", "POST", uri, query, access, "oidcToken"),
        )

    if token := read("PULUMI_OIDC_TOKEN"):
        return TokenSource("Pulumi Deployments (PULUMI_OIDC_TOKEN)", lambda: token)

    raise NoOidcToken(
        f"the environment offers no OpenID Connect token: there is no {prefix}ARM_OIDC_TOKEN, no "
        f"{prefix}ARM_OIDC_TOKEN_FILE_PATH, no {prefix}AZURE_FEDERATED_TOKEN_FILE, no ACTIONS_ID_TOKEN_REQUEST_URL "
        "with ACTIONS_ID_TOKEN_REQUEST_TOKEN (GitHub Actions: give the job `permissions: id-token: write`), no "
        "SYSTEM_OIDCREQUESTURI with SYSTEM_ACCESSTOKEN and a service connection (Azure Pipelines: map "
        f"SYSTEM_ACCESSTOKEN and set {prefix}ARM_OIDC_AZURE_SERVICE_CONNECTION_ID), and no PULUMI_OIDC_TOKEN"
    )


def claims_of(token: str) -> dict[str, Any]:
    """Return what a token says of itself, unverified; nothing for what is no token."""
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except jwt.PyJWTError:
        return {}


def _from_file(path: Path, variable: str) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise NoOidcToken(f"the token file {path} ({variable}) cannot be read: {type(error).__name__}") from None
    if not token:
        raise NoOidcToken(f"the token file {path} ({variable}) is empty")
    return token


def _from_service(name: str, method: str, url: str, query: dict[str, str], bearer: str, key: str) -> str:
    """Ask a pipeline's own service for a token."""
    import requests

    try:
        answer = requests.request(
            method,
            url,
            params=query,
            # The last one keeps Azure Pipelines from answering a refusal with a sign-in page.
            headers={"Authorization": f"Bearer {bearer}", "X-TFS-FedAuthRedirect": "Suppress"},
            timeout=_TIMEOUT,
        )
    except requests.RequestException as error:
        raise ServiceUnavailable(f"{name} gives no OpenID Connect token: {type(error).__name__}") from None
    if answer.status_code == 429 or answer.status_code >= 500:
        raise ServiceUnavailable(f"{name} gives no OpenID Connect token: it answers {answer.status_code}")
    try:
        if answer.ok:
            return str(answer.json()[key])
    except (ValueError, KeyError, TypeError):
        pass
    raise NoOidcToken(f"{name} gives no OpenID Connect token: it answers {answer.status_code} without one")
