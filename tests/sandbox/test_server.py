"""The running sandbox: TLS, the Azure SDK, restarts, ports, and who may hold a state directory."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.managementpartner import ACEProvisioningManagementPartnerAPI

from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.server import Sandbox, serving_port

CONTOSO = "c0000000-0000-4000-8000-000000000001"


KILLED = """
import os, signal, sys
from pathlib import Path

import requests

from pal_components.sandbox.server import Sandbox

with Sandbox(Path(sys.argv[1])) as sandbox:
    os.environ.update(sandbox.environment())
    form = {
        "client_id": os.environ["ARM_CLIENT_ID"],
        "client_secret": os.environ["ARM_CLIENT_SECRET"],
        "grant_type": "client_credentials",
        "scope": "https://management.azure.com/.default",
    }
    tenant = os.environ["ARM_TENANT_ID"]
    token = requests.post(f"{sandbox.url}/{tenant}/oauth2/v2.0/token", data=form).json()["access_token"]
    path = "/providers/Microsoft.ManagementPartner/partners/4567891?api-version=2018-02-01"
    answer = requests.put(sandbox.url + path, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    os.kill(os.getpid(), signal.SIGKILL)
"""


def credential(sandbox: Sandbox, tenant: str = CONTOSO, secret: str | None = None) -> ClientSecretCredential:
    """Return the deploying identity's credential; the CA bundle comes from the environment as for any client."""
    environment = sandbox.environment()
    return ClientSecretCredential(
        tenant,
        environment["AZURE_CLIENT_ID"],
        secret or environment["AZURE_CLIENT_SECRET"],
        authority=sandbox.url,
        disable_instance_discovery=True,
        connection_verify=environment["SSL_CERT_FILE"],
    )


def partners(sandbox: Sandbox, signed_in: ClientSecretCredential) -> ACEProvisioningManagementPartnerAPI:
    """Return the Azure SDK's client of Microsoft.ManagementPartner."""
    return ACEProvisioningManagementPartnerAPI(
        signed_in,
        base_url=sandbox.url,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=sandbox.environment()["SSL_CERT_FILE"],
    )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox of the test's own."""
    with Sandbox(tmp_path / "state") as sandbox:
        yield sandbox


def test_the_azure_sdk_walks_a_links_life(running: Sandbox) -> None:
    """azure-identity signs in and azure-mgmt-managementpartner reads every answer and maps every refusal."""
    with credential(running) as signed_in, partners(running, signed_in) as client:
        with pytest.raises(ResourceNotFoundError) as missing:
            client.partners.get()
        assert missing.value.error is not None
        assert missing.value.error.code == "ManagementPartnerNotFound"
        with pytest.raises(HttpResponseError) as invalid:
            client.partner.create("4567890")
        assert (invalid.value.status_code, invalid.value.error.code) == (400, "PartnerIdInvalid")  # type: ignore[union-attr]
        made = client.partner.create("4567891")
        assert (made.partner_id, made.version, made.etag, made.state) == ("4567891", 1, 1, "Active")
        assert made.tenant_id == CONTOSO
        with pytest.raises(ResourceExistsError):
            client.partner.create("5127255")
        switched = client.partner.update("5127255")
        assert (switched.partner_id, switched.version) == ("5127255", 2)
        assert switched.created_time == made.created_time
        assert client.partners.get().partner_name == "Adventure Works"
        assert client.partner.get("5127255").object_id == made.object_id
        client.partner.delete("5127255")
        with pytest.raises(ResourceNotFoundError):
            client.partners.get()
        assert len(list(client.operation.list())) == 4


def test_the_azure_sdk_understands_a_refused_sign_in(running: Sandbox) -> None:
    """The AADSTS code is in the message that azure-identity shows."""
    with (
        credential(running, secret="wrong") as signed_in,
        pytest.raises(ClientAuthenticationError, match="AADSTS7000215"),
    ):
        signed_in.get_token("https://management.azure.com/.default")


def test_a_world_survives_a_restart(tmp_path: Path) -> None:
    """The same URL, the same links, and tokens and journal go on."""
    state = tmp_path / "state"
    with Sandbox(state) as sandbox:
        url = sandbox.url
        with credential(sandbox) as signed_in, partners(sandbox, signed_in) as client:
            client.partner.create("4567891")
            token = signed_in.get_token("https://management.azure.com/.default").token
        shown, journal = sandbox.show(), sandbox.journal()
        assert [link["partnerId"] for link in shown["links"]] == ["4567891"]
    with Sandbox(state) as sandbox:
        assert sandbox.url == url
        assert sandbox.show() == shown
        assert sandbox.journal() == journal
        answer = requests.get(
            f"{url}/providers/Microsoft.ManagementPartner/partners?api-version=2018-02-01",
            headers={"Authorization": f"Bearer {token}"},
            verify=sandbox.environment()["REQUESTS_CA_BUNDLE"],
            timeout=10,
        )
        assert answer.json()["properties"]["partnerId"] == "4567891"
        assert [row["n"] for row in sandbox.journal(since=len(journal))] == [len(journal) + 1]


def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    """A sandbox that is killed right after an answer has kept what it answered, and its directory is free again."""
    state = tmp_path / "state"
    program = tmp_path / "program.py"
    program.write_text(KILLED, encoding="utf-8")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, program, state],
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    assert serving_port(state) is None
    with Sandbox(state) as sandbox:
        assert [link["partnerId"] for link in sandbox.show()["links"]] == ["4567891"]


def test_one_process_holds_a_state_directory(running: Sandbox) -> None:
    """A second sandbox on the same state is refused, and the first one's port can be found."""
    assert serving_port(running.state_dir) == running.port
    with pytest.raises(SandboxError, match="Another process serves"):
        Sandbox(running.state_dir).start()
    assert requests.get(
        f"{running.url}/metadata/endpoints?api-version=2022-09-01",
        verify=running.environment()["SSL_CERT_FILE"],
        timeout=10,
    ).ok


def test_requests_at_the_same_time_do_not_mix(running: Sandbox) -> None:
    """Eight clients at once: every one gets its answer, and each change is there once."""
    with credential(running) as signed_in:
        token = signed_in.get_token(f"{running.url}/graph/.default").token

    def create(number: int) -> str:
        answer = requests.post(
            f"{running.url}/graph/v1.0/applications",
            json={"displayName": f"pal-{number}"},
            headers={"Authorization": f"Bearer {token}"},
            verify=running.environment()["SSL_CERT_FILE"],
            timeout=30,
        )
        return f"{answer.status_code} {answer.json()['displayName']}"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(40)))
    assert answers == [f"201 pal-{number}" for number in range(40)]
    assert {row["displayName"] for row in running.show()["applications"]} == {f"pal-{number}" for number in range(40)}
    numbers = [row["n"] for row in running.journal()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_port_can_be_chosen(tmp_path: Path) -> None:
    """The port asked for, or a clear refusal; a port kept from before gives way where it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=f"Port {port} cannot be used"):
            Sandbox(tmp_path / "state", port=port).start()
    with Sandbox(tmp_path / "state", port=port) as sandbox:
        assert sandbox.url == f"https://localhost:{port}"
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with Sandbox(tmp_path / "state") as sandbox:
            assert sandbox.port != port


def test_it_listens_on_loopback_only(running: Sandbox) -> None:
    """Nobody else on the network reaches it."""
    for address in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if not str(address).startswith("127."):
            with pytest.raises(OSError, match="refused"):
                socket.create_connection((str(address), running.port), timeout=2)


def test_the_environment_is_all_that_clients_need(running: Sandbox) -> None:
    """Names of the azuread and azure-native providers, of azure-identity and of TLS libraries, all as text."""
    environment = running.environment()
    host = running.url.removeprefix("https://")
    assert environment["ARM_METADATA_HOSTNAME"] == host
    assert environment["ARM_TENANT_ID"] == environment["AZURE_TENANT_ID"] == CONTOSO
    assert environment["ARM_CLIENT_ID"] == environment["AZURE_CLIENT_ID"] == "d0000000-0000-4000-8000-00000000000d"
    assert environment["ARM_CLIENT_SECRET"] == environment["AZURE_CLIENT_SECRET"] == "sandbox-deployer-secret"
    assert environment["ARM_SUBSCRIPTION_ID"] == "11111111-1111-1111-1111-111111111111"
    assert environment["AZURE_AUTHORITY_HOST"] == running.url
    assert {environment[f"ARM_USE_{way}"] for way in ("CLI", "MSI", "OIDC", "AKS_WORKLOAD_IDENTITY")} == {"false"}
    assert environment["SSL_CERT_FILE"] == environment["REQUESTS_CA_BUNDLE"] == environment["CURL_CA_BUNDLE"]
    assert "localhost" in environment["NO_PROXY"].split(",")
    bundle = Path(environment["SSL_CERT_FILE"]).read_bytes()
    assert (running.state_dir / "ca.pem").read_bytes() in bundle
    assert bundle.count(b"BEGIN CERTIFICATE") > 50


def test_a_bundle_keeps_what_was_trusted_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's own authority, configured by the usual variable, is still trusted inside."""
    company = tmp_path / "company.pem"
    company.write_text("-----BEGIN CERTIFICATE-----\ncompany\n-----END CERTIFICATE-----\n", encoding="utf-8")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(company))
    with Sandbox(tmp_path / "state") as sandbox:
        assert company.read_bytes() in Path(sandbox.environment()["SSL_CERT_FILE"]).read_bytes()


def test_keys_are_for_their_owner_only(running: Sandbox) -> None:
    """The state directory and its keys cannot be read by other users, and the authority's key is nowhere."""
    assert stat.S_IMODE(running.state_dir.stat().st_mode) == 0o700
    for name in ("server.pem", "signing-key.pem"):
        assert stat.S_IMODE((running.state_dir / name).stat().st_mode) == 0o600
    assert b"PRIVATE KEY" not in (running.state_dir / "ca.pem").read_bytes()


def test_a_stopped_sandbox_says_so(tmp_path: Path) -> None:
    """Asking one that does not run is a mistake with a message."""
    with pytest.raises(SandboxError, match="not running"):
        Sandbox(tmp_path / "state").show()


def test_the_lock_names_process_and_port(running: Sandbox) -> None:
    """Somebody who looks for the process that holds a directory finds it."""
    assert json.loads((running.state_dir / "serving.lock").read_text()) == {"pid": os.getpid(), "port": running.port}
