"""Where an OpenID Connect token comes from."""

from pathlib import Path

import pytest

from pal_components.link.errors import NoOidcToken, ServiceUnavailable
from pal_components.link.federation import claims_of, token_source
from pal_components.sandbox.server import Sandbox

GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://localhost:9/token", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}
PIPELINES = {"SYSTEM_OIDCREQUESTURI": "https://localhost:9/oidc", "SYSTEM_ACCESSTOKEN": "x"}
CONNECTION = {"ARM_OIDC_AZURE_SERVICE_CONNECTION_ID": "00000000-0000-4000-8000-00000000000c"}


@pytest.mark.parametrize(
    ("environment", "prefix", "name"),
    [
        ({"ARM_OIDC_TOKEN": "t", "ARM_OIDC_TOKEN_FILE_PATH": "f", **GITHUB}, "", "ARM_OIDC_TOKEN"),
        ({"ARM_OIDC_TOKEN_FILE_PATH": "f", **GITHUB}, "", "the file of ARM_OIDC_TOKEN_FILE_PATH"),
        ({"AZURE_FEDERATED_TOKEN_FILE": "f", **GITHUB}, "", "the file of AZURE_FEDERATED_TOKEN_FILE"),
        ({**GITHUB, **PIPELINES, **CONNECTION}, "", "GitHub Actions"),
        ({**PIPELINES, **CONNECTION, "PULUMI_OIDC_TOKEN": "t"}, "", "Azure Pipelines"),
        ({**PIPELINES, "PULUMI_OIDC_TOKEN": "t"}, "", "Pulumi Deployments (PULUMI_OIDC_TOKEN)"),
        ({"ARM_OIDC_TOKEN": "t", **GITHUB}, "CONTOSO_", "GitHub Actions"),
        ({"CONTOSO_ARM_OIDC_TOKEN": "t", **GITHUB}, "CONTOSO_", "CONTOSO_ARM_OIDC_TOKEN"),
    ],
)
def test_the_order(environment: dict[str, str], prefix: str, name: str) -> None:
    """The first source that the environment offers, under the prefix where there is one."""
    assert token_source(environment, prefix).name == name


@pytest.mark.parametrize("environment", [{}, {"ACTIONS_ID_TOKEN_REQUEST_URL": "u"}, PIPELINES, {"ARM_OIDC_TOKEN": " "}])
def test_none(environment: dict[str, str]) -> None:
    """Half of a source is none; the error lists what was looked for."""
    with pytest.raises(NoOidcToken, match=r"(?s)ARM_OIDC_TOKEN.*GitHub Actions.*Azure Pipelines.*PULUMI_OIDC_TOKEN"):
        token_source(environment)


def test_a_token_file_is_read_anew(tmp_path: Path) -> None:
    """Kubernetes renews the file: every sign-in reads it."""
    path = tmp_path / "token"
    source = token_source({"AZURE_FEDERATED_TOKEN_FILE": str(path)})
    with pytest.raises(NoOidcToken, match="cannot be read: FileNotFoundError"):
        source.fetch()
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(NoOidcToken, match="is empty"):
        source.fetch()
    path.write_text("first\n", encoding="utf-8")
    assert source.fetch() == "first"
    path.write_text("second", encoding="utf-8")
    assert source.fetch() == "second"


@pytest.mark.parametrize("issuer", ["github", "azure-pipelines"])
def test_a_pipelines_service(sandbox: Sandbox, issuer: str) -> None:
    """It is asked with its own bearer token; a busy one is waited for, a refusal is told without the bearer."""
    source = token_source(sandbox.issuer_environment(issuer, subject="contoso:infra"))
    assert claims_of(source.fetch())["sub"] == "contoso:infra"
    sandbox.fault("status", status=503, path="issuers")
    with pytest.raises(ServiceUnavailable, match="answers 503") as busy:
        source.fetch()
    assert busy.value.transient
    sandbox.fault("status", status=403, path="issuers")
    with pytest.raises(NoOidcToken, match="answers 403"):
        source.fetch()
    sandbox.fault("cut_before", path="issuers")
    with pytest.raises(ServiceUnavailable, match="ConnectionError"):
        source.fetch()
    sandbox.clear_faults()


def test_claims_of_what_is_no_token() -> None:
    """What is no token says nothing of itself."""
    assert claims_of("no.token") == {}
