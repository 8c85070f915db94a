"""``pal sandbox fault``, ``pal sandbox admin`` and ``--issuer``: another process changes what a sandbox does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pal_components.cli import main
from pal_components.sandbox.server import Sandbox, opened

CONTOSO = "c0000000-0000-4000-8000-000000000001"
FABRIKAM = "f0000000-0000-4000-8000-000000000002"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox that serves while commands are given."""
    with Sandbox(tmp_path / "state") as running:
        yield running


@pytest.fixture
def pal(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> Any:
    """Give a command on its state directory; return its exit code and what it wrote."""

    def give(*arguments: str) -> tuple[int, str, str]:
        code = main(["sandbox", *arguments, "--state", str(sandbox.state_dir)])
        written = capsys.readouterr()
        return code, written.out, written.err

    return give


def get(sandbox: Sandbox, path: str) -> requests.Response:
    """Send a request without a token."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{sandbox.url}{path}", verify=str(sandbox.state_dir / "ca.pem"), timeout=10)


def test_a_fault_works_at_once_in_a_running_sandbox(sandbox: Sandbox, pal: Any) -> None:
    """As told, as often as told, seen in the list before and in the journal afterwards."""
    options = ["--path", "TENANTS", "--method", "get", "--times", "2", "--skip", "1", "--retry-after", "2"]
    assert pal("fault", "add", "status", "--status", "429", "--code", "Slow", *options) == (0, "Fault 1.\n", "")
    assert pal("fault", "add", "cut_before", "--path", "nowhere", "--times", "always")[:2] == (0, "Fault 2.\n")
    lines = pal("fault", "list")[1].splitlines()
    assert lines[0].startswith("fault 1: status method=GET path=TENANTS times=2 skip=1 status=429 code=Slow")
    assert lines[1] == "fault 2: cut_before path=nowhere times=always skip=0"
    answers = [get(sandbox, "/tenants") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 429, 429, 401]
    assert (answers[1].headers["Retry-After"], answers[1].json()["error"]["code"]) == ("2", "Slow")
    assert [line.endswith("(status)") for line in pal("journal")[1].splitlines()] == [False, True, True, False]
    assert pal("fault", "clear")[0] == 0
    assert pal("fault", "list")[1] == "put on an existing link: conflict\n"


def test_delays_and_the_put_are_set_and_listed(pal: Any) -> None:
    """As JSON for programs too."""
    assert pal("fault", "delay", "secret", "--requests", "3")[0] == 0
    assert pal("fault", "delay", "principal", "--seconds", "1.5")[0] == 0
    assert pal("fault", "put", "ignore")[0] == 0
    assert pal("fault", "list")[1].splitlines() == [
        "delay: principal seconds=1.5",
        "delay: secret requests=3",
        "put on an existing link: ignore",
    ]
    assert json.loads(pal("fault", "list", "--json")[1]) == {
        "faults": [],
        "delays": [
            {"what": "principal", "requests": None, "seconds": 1.5},
            {"what": "secret", "requests": 3, "seconds": None},
        ],
        "putOnExisting": "ignore",
    }


def test_an_administrator_changes_the_world(sandbox: Sandbox, pal: Any) -> None:
    """Each command does what its Python counterpart does."""
    assert pal("admin", "policy", CONTOSO, "forbidden")[0] == 0
    assert pal("admin", "remove-tenant", "fabrikam.onmicrosoft.com")[0] == 0
    deployer = sandbox.show(seeded=True)["applications"][0]["objectId"]
    assert pal("admin", "expire-secrets", deployer)[0] == 0
    assert get(sandbox, f"/{FABRIKAM}/v2.0/.well-known/openid-configuration").status_code == 400
    with opened(sandbox.state_dir) as state:
        assert [row["secrets"] for row in state.all("SELECT * FROM policy")] == ["forbidden"]
        state.run("INSERT INTO partner_link VALUES ('t', 'o', '4567891', 'Active', 1, 'x', 'x')")
    assert pal("admin", "link-state", "t", "o", "Suspended")[0] == 0
    assert [row["state"] for row in sandbox.show()["links"]] == ["Suspended"]
    assert pal("admin", "policy", CONTOSO, "none")[0] == 0
    with opened(sandbox.state_dir) as state:
        assert state.all("SELECT * FROM policy") == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fault", "add", "explode"], "explode is no fault: one of status"),
        (["fault", "add", "slow"], "has seconds"),
        (["fault", "delay", "secret"], "give one of the two"),
        (["fault", "put", "explode"], "one of conflict"),
        (["admin", "remove-tenant", "nowhere"], "There is no tenant nowhere"),
        (["run", "--issuer", "gitlab", "--", "true"], "gitlab is no issuer"),
    ],
)
def test_a_mistake_is_one_line(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    """On standard error, with exit code 1."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    arguments = [*arguments[:end], "--state", str(sandbox.state_dir), *arguments[end:]]
    assert main(["sandbox", *arguments]) == 1
    error = capsys.readouterr().err
    assert text in error
    assert error.count("\n") == 1


def test_without_a_state_there_is_nothing_to_spoil(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fault is for a world that exists."""
    assert main(["sandbox", "fault", "clear", "--state", str(tmp_path)]) == 1
    assert "There is no sandbox in" in capsys.readouterr().err


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize(
    ("issuer", "variable"),
    [
        ("github=repo:a/b:ref:refs/heads/main", "ACTIONS_ID_TOKEN_REQUEST_URL"),
        ("azure-pipelines", "SYSTEM_OIDCREQUESTURI"),
        ("pulumi", "PULUMI_OIDC_TOKEN"),
        ("kubernetes", "AZURE_FEDERATED_TOKEN_FILE"),
    ],
)
def test_a_command_runs_as_a_job_of_an_issuer(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    served: bool,
    issuer: str,
    variable: str,
) -> None:
    """With the variables of that one issuer and of no other, whoever serves the sandbox."""
    monkeypatch.setenv("PULUMI_OIDC_TOKEN", "foreign")
    state = tmp_path / "state"
    arguments = ["sandbox", "run", "--state", str(state), "--issuer", issuer, "--", "env", "-0"]
    if served:
        with Sandbox(state):
            assert main(arguments) == 0
    else:
        assert main(arguments) == 0
    found = dict(line.split("=", 1) for line in capfd.readouterr().out.split("\0") if line)
    name, _, subject = issuer.partition("=")
    assert found["PAL_SANDBOX_ISSUER"] == f"https://{found['ARM_METADATA_HOSTNAME']}/issuers/{name}"
    assert subject in found["PAL_SANDBOX_SUBJECT"]
    variables = {"ACTIONS_ID_TOKEN_REQUEST_URL", "SYSTEM_OIDCREQUESTURI", "PULUMI_OIDC_TOKEN"}
    assert found[variable] != "foreign"
    assert not (variables - {variable}) & set(found)
