"""The issuers that the sandbox plays: discovery, keys, and the ways in which jobs get their tokens."""

import stat
from pathlib import Path
from typing import Any

import jwt
import pytest

from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.issuers import AUDIENCE, ISSUERS, SERVICE_CONNECTION, Issuers

URL = "https://localhost:8443"


@pytest.fixture
def issuers(azure: Any) -> Issuers:
    """The issuers of a world."""
    return Issuers(azure.state, URL, lambda: azure.now)


def verified(azure: Any, token: str, audience: str = AUDIENCE) -> dict[str, Any]:
    """Return a token's claims, checked as anybody would: from its issuer to the discovery document to the key."""
    issuer = jwt.decode(token, options={"verify_signature": False})["iss"]
    document = azure.call("GET", f"{issuer}/.well-known/openid-configuration").json()
    assert document["issuer"] == issuer
    keys = azure.call("GET", document["jwks_uri"]).json()["keys"]
    key = next(key for key in keys if key["kid"] == jwt.get_unverified_header(token)["kid"])
    return jwt.decode(
        token,
        jwt.PyJWK(key).key,
        algorithms=["RS256"],
        audience=audience,
        options={"verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )


def get(azure: Any, variables: dict[str, str], **query: str) -> Any:
    """Ask as GitHub's toolkit does: the audience is added to the URL."""
    url = variables["ACTIONS_ID_TOKEN_REQUEST_URL"] + "".join(f"&{name}={value}" for name, value in query.items())
    return azure.call("GET", url, variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])


def post(azure: Any, variables: dict[str, str], **query: str) -> Any:
    """Ask as azure-identity does in a pipeline."""
    params = {"api-version": "7.1", "serviceConnectionId": variables["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"]}
    return azure.call(
        "POST", variables["SYSTEM_OIDCREQUESTURI"], variables["SYSTEM_ACCESSTOKEN"], params={**params, **query}
    )


@pytest.mark.parametrize("name", ISSUERS)
def test_every_issuer_says_what_it_is(azure: Any, issuers: Issuers, name: str) -> None:
    """Its own URL and its own key; the subject is the usual one or the one asked for."""
    assert issuers.url(name) == f"{URL}/issuers/{name}"
    claims = verified(azure, issuers.token(name, "somebody", "api://x"), "api://x")
    assert (claims["iss"], claims["sub"]) == (issuers.url(name), "somebody")
    assert claims["nbf"] == claims["iat"] == int(azure.now.timestamp()) < claims["exp"]
    for given, expected in (("me", "me"), (None, ISSUERS[name].subject)):
        variables = issuers.environment(name, given)
        assert variables["PAL_SANDBOX_ISSUER"] == issuers.url(name)
        assert variables["PAL_SANDBOX_SUBJECT"] == expected
    keys = [issuers.key(issuers.url(other)) for other in ISSUERS]
    assert len({key.public_numbers().n for key in keys if key is not None}) == len(ISSUERS)


def test_github_gives_a_token_for_the_audience_asked_for(azure: Any, issuers: Issuers) -> None:
    """The job's subject, whatever audience it names."""
    variables = issuers.environment("github", "repo:a/b:environment:prod")
    answer = get(azure, variables, audience="api://x")
    claims = verified(azure, answer.json()["value"], "api://x")
    assert claims["sub"] == "repo:a/b:environment:prod"
    assert answer.json()["count"] == len(answer.json()["value"])
    assert verified(azure, get(azure, variables).json()["value"])["aud"] == AUDIENCE


def test_azure_pipelines_gives_a_token_for_a_service_connection(azure: Any, issuers: Issuers) -> None:
    """With the audience of the job, the api-version and the connection that it has."""
    variables = issuers.environment("azure-pipelines", None, "api://x")
    claims = verified(azure, post(azure, variables).json()["oidcToken"], "api://x")
    assert claims["sub"] == ISSUERS["azure-pipelines"].subject
    assert variables["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"] == SERVICE_CONNECTION
    assert post(azure, variables, serviceConnectionId="other").status_code == 404
    assert post(azure, variables, **{"api-version": "5.0"}).status_code == 400


def test_pulumi_deployments_has_its_token_in_a_variable(azure: Any, issuers: Issuers) -> None:
    """No request is needed."""
    variables = issuers.environment("pulumi", "pulumi:deploy:org:x")
    assert verified(azure, variables["PULUMI_OIDC_TOKEN"])["sub"] == "pulumi:deploy:org:x"


def test_kubernetes_has_its_token_in_a_file(azure: Any, issuers: Issuers) -> None:
    """In the state directory, for its owner only."""
    file = Path(issuers.environment("kubernetes", None)["AZURE_FEDERATED_TOKEN_FILE"])
    assert file.parent == azure.state.directory
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert verified(azure, file.read_text())["sub"] == ISSUERS["kubernetes"].subject


def test_only_a_job_gets_tokens(azure: Any, issuers: Issuers) -> None:
    """Not without its request token, not with another issuer's, not with an issued one, and not after a day."""
    variables = issuers.environment("github", None)
    pipelines = issuers.environment("azure-pipelines", None)
    issued = get(azure, variables).json()["value"]
    for token in ("", "x", pipelines["SYSTEM_ACCESSTOKEN"], issued):
        assert get(azure, {**variables, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token}).status_code == 401
    azure.later(days=1)
    assert get(azure, variables).status_code == 401


def test_there_are_no_other_issuers(azure: Any, issuers: Issuers) -> None:
    """An unknown name is 404 over HTTP, and a mistake with a message in a program."""
    assert azure.call("GET", "/issuers/gitlab/.well-known/openid-configuration").status_code == 404
    assert azure.call("GET", "/issuers/pulumi/token").status_code == 404
    with pytest.raises(SandboxError, match="gitlab is no issuer that the sandbox plays: one of github"):
        issuers.environment("gitlab", None)
    assert issuers.key("https://token.actions.githubusercontent.com") is None


def test_keys_outlive_the_process(azure: Any, issuers: Issuers) -> None:
    """A token from before a restart still verifies."""
    token = issuers.token("github", "me", AUDIENCE)
    again = Issuers(azure.state, URL, lambda: azure.now)
    key = again.key(again.url("github"))
    assert key is not None
    assert jwt.PyJWS().decode(token, key, algorithms=["RS256"])
