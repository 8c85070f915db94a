"""What the tests share: a sandbox per test module, and principals in it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from pal_components.link.principal import CredentialKind, Principal
from pal_components.sandbox.certificates import AUTHORITY_FILE
from pal_components.sandbox.server import Sandbox

_ARM = "https://management.azure.com/"
CONTOSO = "c0000000-0000-4000-8000-000000000001"


@dataclass
class Directory:
    """The customer's directory, seen by the deploying identity over raw HTTP."""

    sandbox: Sandbox
    tenant_id: str = CONTOSO

    def graph(self, method: str, path: str, body: Any = None) -> requests.Response:
        """Call Microsoft Graph as the deploying identity."""
        token = self._token(f"{self.sandbox.url}/graph/.default")
        answer = requests.request(
            method,
            f"{self.sandbox.url}/graph/v1.0{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            verify=self.sandbox.environment()["REQUESTS_CA_BUNDLE"],
            timeout=30,
        )
        answer.raise_for_status()
        return answer

    def principal(self, kind: str = CredentialKind.EPHEMERAL, **changes: Any) -> Principal:
        """Make an application with a service principal; with a secret for the kinds that have one."""
        kind = CredentialKind(kind)
        application = self.graph("POST", "/applications", {"displayName": "test"}).json()
        service_principal = self.graph("POST", "/servicePrincipals", {"appId": application["appId"]}).json()
        values: dict[str, Any] = {
            "kind": kind,
            "tenant_id": self.tenant_id,
            "client_id": application["appId"],
            "application_id": application["id"],
            "object_id": service_principal["id"],
        }
        if kind in (CredentialKind.SECRET, CredentialKind.GIVEN):
            answer = self.graph("POST", f"/applications/{application['id']}/addPassword", {"passwordCredential": {}})
            values["client_secret"] = answer.json()["secretText"]
        return Principal(**(values | changes))

    def links(self) -> dict[str, str]:
        """Return the partner ID of every active link by its principal's object id."""
        return {link["objectId"]: link["partnerId"] for link in self.sandbox.show()["links"]}

    def link_deployer(self, partner_id: str) -> None:
        """Link the deploying identity itself, as somebody else would have done."""
        self._arm("PUT", partner_id, self._token(f"{_ARM}.default"))

    def unlink(self, tenant_id: str) -> None:
        """Remove the one link of a tenant, as its principal."""
        link = self._link_of(tenant_id)
        self._arm("DELETE", link["partnerId"], self._token_of(link))

    def switch(self, tenant_id: str, partner_id: str) -> None:
        """Switch the one link of a tenant, as its principal."""
        self._arm("PATCH", partner_id, self._token_of(self._link_of(tenant_id)))

    def _link_of(self, tenant_id: str) -> dict[str, Any]:
        return next(link for link in self.sandbox.show()["links"] if link["tenantId"] == tenant_id)

    def _token_of(self, link: dict[str, Any]) -> str:
        """Sign in as a linked principal, with a secret that is added for it and taken away again."""
        principals = self.sandbox.show()["servicePrincipals"]
        client_id = next(row["appId"] for row in principals if row["objectId"] == link["objectId"])
        application = self.graph("GET", f"/applications?$filter=appId eq '{client_id}'").json()["value"][0]
        path = f"/applications/{application['id']}"
        added = self.graph("POST", f"{path}/addPassword", {"passwordCredential": {}}).json()
        try:
            return self._token(f"{_ARM}.default", client_id, added["secretText"])
        finally:
            self.graph("POST", f"{path}/removePassword", {"keyId": added["keyId"]})

    def _token(self, scope: str, client_id: str | None = None, client_secret: str | None = None) -> str:
        environment = self.sandbox.environment()
        answer = requests.post(
            f"{self.sandbox.url}/{self.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": client_id or environment["ARM_CLIENT_ID"],
                "client_secret": client_secret or environment["ARM_CLIENT_SECRET"],
                "scope": scope,
            },
            verify=environment["REQUESTS_CA_BUNDLE"],
            timeout=30,
        )
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def _arm(self, method: str, partner_id: str, token: str) -> None:
        requests.request(
            method,
            f"{self.sandbox.url}/providers/Microsoft.ManagementPartner/partners/{partner_id}?api-version=2018-02-01",
            headers={"Authorization": f"Bearer {token}"},
            verify=self.sandbox.environment()["REQUESTS_CA_BUNDLE"],
            timeout=30,
        ).raise_for_status()

    def passwords(self, principal: Principal) -> int:
        """Count the secrets of a principal's application."""
        return len(self.graph("GET", f"/applications/{principal.application_id}").json()["passwordCredentials"])


@pytest.fixture(autouse=True)
def whole_tracebacks() -> Iterator[None]:
    """Undo what the link's provider does for the terminal when it runs in this process."""
    yield
    sys.__dict__.pop("tracebacklimit", None)


@pytest.fixture(scope="module")
def module_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox with the seeded world, for the tests of one module."""
    with Sandbox(tmp_path_factory.mktemp("sandbox") / "state") as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(module_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The module's sandbox, with the environment pointed at it."""
    for name, value in module_sandbox.environment().items():
        monkeypatch.setenv(name, value)
    # Loading every public authority anew for each connection would take most of the time.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(module_sandbox.state_dir / AUTHORITY_FILE))
    return module_sandbox


@pytest.fixture
def directory(sandbox: Sandbox) -> Directory:
    """The first customer's directory."""
    return Directory(sandbox)


@pytest.fixture
def directory_of() -> type[Directory]:
    """Return what gives the first customer's directory in any sandbox."""
    return Directory
