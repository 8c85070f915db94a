"""``pal sandbox`` as a user meets it: a process with output and an exit code."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from pal_components.cli import main
from pal_components.sandbox.server import Sandbox, serving_port

ROOT = Path(__file__).parents[2]
LINK = """
import os, requests
url = os.environ["AZURE_AUTHORITY_HOST"]
form = {
    "client_id": os.environ["ARM_CLIENT_ID"],
    "client_secret": os.environ["ARM_CLIENT_SECRET"],
    "grant_type": "client_credentials",
    "scope": "https://management.azure.com/.default",
}
token = requests.post(f"{url}/{os.environ['ARM_TENANT_ID']}/oauth2/v2.0/token", data=form).json()["access_token"]
path = "/providers/Microsoft.ManagementPartner/partners/4567891?api-version=2018-02-01"
print(requests.put(url + path, headers={"Authorization": f"Bearer {token}"}).status_code)
"""


def environment(**changes: str) -> dict[str, str]:
    """Return a user's environment without anything of Azure or Pulumi."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("ARM_", "AZURE_", "PULUMI_"))}
    return {**keep, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **changes}


def pal(*arguments: object, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "pal_components.cli", *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def variables(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return what `env -0` printed."""
    assert answer.returncode == 0, answer.stderr
    return dict(line.split("=", 1) for line in answer.stdout.split("\0") if line)


def test_a_command_runs_against_the_sandbox(tmp_path: Path) -> None:
    """It finds its world by the variables it gets, and what it made is shown afterwards, without a server."""
    assert pal("sandbox", "run", "--", sys.executable, "-c", LINK, cwd=tmp_path).stdout == "200\n"
    answer = pal("sandbox", "show", "--json", cwd=tmp_path)
    shown = json.loads(answer.stdout)
    assert set(shown) == {
        *("links", "servicePrincipals", "applications", "roleAssignments"),
        *("registrations", "users", "groups"),
    }
    assert [link["partnerId"] for link in shown["links"]] == ["4567891"]
    table = pal("sandbox", "show", cwd=tmp_path).stdout
    assert "4567891" in table
    assert "Northwind Services" in table
    assert "Role assignments: none" in table


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_the_commands_exit_code_is_passed_on(tmp_path: Path, script: str, code: int) -> None:
    """As a shell does, a signal included."""
    assert pal("sandbox", "run", "--", "sh", "-c", script, cwd=tmp_path).returncode == code


def test_a_command_that_is_not_there_is_127(tmp_path: Path) -> None:
    """With one clear line."""
    answer = pal("sandbox", "run", "--", "no-such-command", "--flag", cwd=tmp_path)
    assert (answer.returncode, answer.stderr) == (127, "pal: no-such-command: command not found\n")


def test_no_command_is_a_mistake(tmp_path: Path) -> None:
    """It says how to name one, and starts nothing."""
    answer = pal("sandbox", "run", cwd=tmp_path)
    assert answer.returncode == 2
    assert "pal sandbox run -- COMMAND" in answer.stderr
    assert not (tmp_path / ".sandbox").exists()


def test_nothing_of_a_sandbox_lands_elsewhere(tmp_path: Path) -> None:
    """No other way to sign in, the backend in the state directory, stand-ins and this Python first on PATH."""
    state = tmp_path / "state"
    found = variables(
        pal(
            *("sandbox", "run", "--state", state, "--", "env", "-0"),
            cwd=tmp_path,
            ARM_CLIENT_CERTIFICATE_PATH="/customer.pfx",
            ARM_ENVIRONMENT="usgovernment",
            ARM_CLIENT_SECRET="a real one",
            ARM_OIDC_TOKEN="x",
            PULUMI_IGNORE_AMBIENT_PLUGINS="true",
        )
    )
    assert "ARM_CLIENT_CERTIFICATE_PATH" not in found
    assert "ARM_ENVIRONMENT" not in found
    assert "ARM_OIDC_TOKEN" not in found
    assert "PULUMI_IGNORE_AMBIENT_PLUGINS" not in found
    assert found["ARM_CLIENT_SECRET"] == "sandbox-deployer-secret"
    assert found["PULUMI_BACKEND_URL"] == (state / "pulumi").as_uri()
    assert (state / "pulumi").is_dir()
    assert found["PULUMI_CONFIG_PASSPHRASE"] == "sandbox"
    assert found["PULUMI_SKIP_UPDATE_CHECK"] == found["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert found["PATH"].split(os.pathsep)[:2] == [str(state / "bin"), str(Path(sys.executable).parent)]
    for name in ("pulumi-resource-azuread", "pulumi-resource-azure-native"):
        launcher = state / "bin" / name
        assert os.access(launcher, os.X_OK)
        assert f"{sys.executable} -m pal_components.sandbox.stand_in." in launcher.read_text(encoding="utf-8")


def test_what_the_user_set_for_pulumi_stays(tmp_path: Path) -> None:
    """A backend and a passphrase of one's own are left alone; with `--providers path`, the providers too."""
    found = variables(
        pal(
            *("sandbox", "run", "--providers", "path", "--", "env", "-0"),
            cwd=tmp_path,
            PULUMI_BACKEND_URL="file:///elsewhere",
            PULUMI_CONFIG_PASSPHRASE_FILE="/passphrase",
        )
    )
    assert found["PULUMI_BACKEND_URL"] == "file:///elsewhere"
    assert "PULUMI_CONFIG_PASSPHRASE" not in found
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" not in found
    assert not (tmp_path / ".sandbox" / "bin").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_reaches_the_command(tmp_path: Path, number: signal.Signals) -> None:
    """The command ends in its own way, and its exit code is passed on."""
    script = (
        "import signal, sys, time\n"
        "def stop(*_): sys.exit(3)\n"
        f"signal.signal({int(number)}, stop)\n"
        "print('ready', flush=True)\n"
        "time.sleep(30)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pal_components.cli", "sandbox", "run", "--", sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(timeout=30) == 3


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """A `pal sandbox serve` and the variables that it printed, as a shell reads them."""
    state = tmp_path / "state"
    output = tmp_path / "sandbox.env"
    with output.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pal_components.cli", "sandbox", "serve", "--state", state],
            env=environment(),
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
        )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Serving https://localhost:")
        read = subprocess.run(
            ["/bin/sh", "-c", f". {output} && env -0"],
            env=environment(ARM_USE_OIDC="x"),
            capture_output=True,
            text=True,
        )
        yield state, variables(read)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    assert serving_port(state) is None


def test_a_served_sandbox_is_used_by_others(served: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    """A shell with the printed variables, `run`, `show` and `journal` all meet the world that `serve` keeps running."""
    state, found = served
    assert found["ARM_USE_OIDC"] == "false"
    host = found["ARM_METADATA_HOSTNAME"]
    answer = requests.get(
        f"https://{host}/metadata/endpoints?api-version=2022-09-01", verify=found["SSL_CERT_FILE"], timeout=10
    )
    assert answer.json()["name"] == "PalSandbox"
    run = pal("sandbox", "run", "--state", state, "--", sys.executable, "-c", LINK, cwd=tmp_path)
    assert run.stdout == "200\n"
    assert requests.get(f"https://{host}/tenants", verify=found["SSL_CERT_FILE"], timeout=10).status_code == 401
    shown = json.loads(pal("sandbox", "show", "--state", state, "--json", cwd=tmp_path).stdout)
    assert [link["partnerId"] for link in shown["links"]] == ["4567891"]
    rows: list[dict[str, Any]] = json.loads(pal("sandbox", "journal", "--state", state, "--json", cwd=tmp_path).stdout)
    assert [row["path"] for row in rows] == [
        "/metadata/endpoints",
        "/c0000000-0000-4000-8000-000000000001/oauth2/v2.0/token",
        "/providers/Microsoft.ManagementPartner/partners/4567891",
        "/tenants",
    ]
    lines = pal("sandbox", "journal", "--state", state, cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 4
    assert "PUT" in lines[2]
    again = pal("sandbox", "serve", "--state", state, cwd=tmp_path)
    assert again.returncode == 1
    assert f"serves {state} already, on port {host.split(':')[1]}" in again.stderr
    other = pal("sandbox", "run", "--state", state, "--port", 1, "--", "true", cwd=tmp_path)
    assert (other.returncode, "already, on port" in other.stderr) == (1, True)


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    """No state, a bad world file, a bad port: said, without a traceback."""
    for arguments, code, text in (
        (("show",), 1, "There is no sandbox in"),
        (("journal",), 1, "There is no sandbox in"),
        (("run", "--world", "none.json", "--", "true"), 1, "The world file none.json cannot be read"),
        (("run", "--port", "99999", "--", "true"), 2, "99999 is no port"),
    ):
        answer = pal("sandbox", *arguments, cwd=tmp_path)
        assert answer.returncode == code
        assert text in answer.stderr
        assert "Traceback" not in answer.stderr


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    """Without the sandbox's libraries the command says how to get them; help needs none of them."""
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(name='uvicorn')", encoding="utf-8")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    answer = pal("sandbox", "run", "--", "true", cwd=tmp_path, PYTHONPATH=path)
    assert answer.returncode == 1
    assert answer.stderr == (
        "pal: the sandbox needs libraries that are not installed (uvicorn): pip install 'pal-components[sandbox]'\n"
    )
    assert pal("sandbox", "run", "--help", cwd=tmp_path, PYTHONPATH=path).returncode == 0


@pytest.mark.parametrize(
    "verb",
    [
        *("run", "show", "serve", "journal"),
        *("fault add", "fault list", "fault clear", "fault delay", "fault put"),
        *("admin policy", "admin remove-tenant", "admin link-state", "admin expire-secrets"),
    ],
)
def test_help_explains(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every subcommand ends its help with an example, in lines that fit a terminal."""
    with pytest.raises(SystemExit, match="0"):
        main(["sandbox", *verb.split(), "--help"])
    text = capsys.readouterr().out
    assert f"  pal sandbox {verb}" in text.partition("\nexample")[2]
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("arguments", [[], ["sandbox"], ["fly"]])
def test_an_incomplete_command_is_a_mistake(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """It says what is missing and shows the usage."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert capsys.readouterr().err.startswith("usage: pal")


def test_a_sandbox_in_a_program_is_found_too(tmp_path: Path) -> None:
    """`pal sandbox run` joins a sandbox that a test or program runs in the same directory."""
    with Sandbox(tmp_path / "state") as sandbox:
        run = pal("sandbox", "run", "--state", tmp_path / "state", "--", sys.executable, "-c", LINK, cwd=tmp_path)
        assert run.stdout == "200\n"
        assert [link["partnerId"] for link in sandbox.show()["links"]] == ["4567891"]
