"""Who deploys: found in the environment in azure-native's order."""

import json
from pathlib import Path
from typing import Any

import pytest

from pal_components.client_certificate import self_signed
from pal_components.link import identity
from pal_components.link.cloud import cloud_from_environment
from pal_components.link.decide import OnConflict
from pal_components.link.deployer import deploying_credential
from pal_components.link.errors import NoDeployingIdentity, NoOidcToken, SignInFailed
from pal_components.link.lifecycle import Operation, establish, remove
from pal_components.link.principal import CredentialKind, Principal
from pal_components.sandbox.server import Sandbox

TENANT = "c0000000-0000-4000-8000-000000000001"
ID = {"ARM_CLIENT_ID": "d0000000-0000-4000-8000-00000000000d"}
SECRET = {"ARM_CLIENT_SECRET": "s"}
OIDC = {"ARM_USE_OIDC": "true", "ARM_OIDC_TOKEN": "t"}
MSI = {"ARM_USE_MSI": "true"}


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """Return the variable of a certificate that can be read."""
    public, key, _ = self_signed("deployer")
    path = tmp_path / "deployer.pem"
    path.write_text(key + public, encoding="utf-8")
    return {"ARM_CLIENT_CERTIFICATE_PATH": str(path)}


@pytest.mark.parametrize(
    ("environment", "kind"),
    [
        ({**ID, **SECRET, **OIDC, **MSI}, "ClientSecretCredential"),
        ({"AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}, "ClientSecretCredential"),
        ({**ID, **OIDC, **MSI}, "ClientAssertionCredential"),
        ({**ID, **MSI}, "ManagedIdentityCredential"),
        ({**SECRET}, "AzureCliCredential"),
        ({}, "AzureCliCredential"),
    ],
)
def test_the_order(environment: dict[str, str], kind: str) -> None:
    """Client secret, OpenID Connect, managed identity, Azure CLI: the first that is complete."""
    credential: Any = deploying_credential(cloud_from_environment({}), TENANT, environment)
    inner = credential._credential if isinstance(credential, identity._Credential) else credential
    assert type(inner).__name__ == kind


def test_a_certificate_comes_first(certificate: dict[str, str]) -> None:
    """Before everything else; one that cannot be read is told."""
    cloud = cloud_from_environment({})
    credential: Any = deploying_credential(cloud, TENANT, {**ID, **SECRET, **certificate})
    assert type(credential._credential).__name__ == "CertificateCredential"
    with pytest.raises(NoDeployingIdentity, match="CONTOSO_ARM_CLIENT_CERTIFICATE_PATH"):
        environment = {"CONTOSO_ARM_CLIENT_ID": "c", "CONTOSO_ARM_CLIENT_CERTIFICATE_PATH": "nowhere.pem"}
        deploying_credential(cloud, TENANT, environment, "CONTOSO_")


@pytest.mark.parametrize(
    ("environment", "prefix", "error", "says"),
    [
        ({"ARM_USE_OIDC": "true"}, "", NoDeployingIdentity, "ARM_CLIENT_ID is not"),
        ({**ID, "ARM_USE_OIDC": "true"}, "", NoOidcToken, "offers no OpenID Connect token"),
        ({**ID, **SECRET}, "CONTOSO_", NoDeployingIdentity, "set CONTOSO_ARM_CLIENT_ID with"),
    ],
)
def test_half_an_identity(environment: dict[str, str], prefix: str, error: type[Exception], says: str) -> None:
    """A choice that is not complete is told, with the variable that is missing."""
    with pytest.raises(error, match=says):
        deploying_credential(cloud_from_environment({}), TENANT, environment, prefix)


def azure_cli(folder: Path, answer: str) -> None:
    """Put an `az` in the way that answers every call alike."""
    folder.mkdir(exist_ok=True)
    script = folder / "az"
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n", encoding="utf-8")
    script.chmod(0o755)


def test_signed_in_with_the_azure_cli(
    sandbox: Sandbox, directory: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind `ambient` links whoever signed in with `az login`, and says so where nobody did."""
    token = directory._token("https://management.azure.com/.default")
    answer = {"accessToken": token, "expiresOn": "2099-01-01 00:00:00.000000", "expires_on": 4070908800}
    azure_cli(tmp_path / "bin", json.dumps(answer))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    environment = {"ARM_METADATA_HOSTNAME": sandbox.environment()["ARM_METADATA_HOSTNAME"]}
    operation = Operation(Principal(CredentialKind.AMBIENT, TENANT), environment=environment)
    made = establish(operation, "4567891", OnConflict.FAIL)
    assert directory.links()[made.link.object_id] == "4567891"
    assert remove(operation, "4567891") is None

    azure_cli(tmp_path / "bin", "Please run 'az login' to setup account.")
    with pytest.raises(SignInFailed, match="the identity that runs the program"):
        establish(operation, "4567891", OnConflict.FAIL)
