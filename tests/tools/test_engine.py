"""How a machine gets its engine: tools/engine/engine.py, run as `make engine` runs it, on machines made of fakes."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "engine" / "engine.py"
FILES = ("pulumi", "pulumi-language-python", "pulumi-language-python-exec", "pulumi-resource-pulumi-python")

NO_NETWORK = """
    echo "curl: (6) Could not resolve host" >&2
    exit 6
"""

# What the vendor's installer is to us: it puts an engine where --install-root says.
INSTALLER = """
    while [ $# -gt 0 ]; do
        case $1 in -o) target=$2 ;; esac
        shift
    done
    cat >"$target" <<'INSTALLER'
    PATH=/usr/bin:/bin
    echo "installer $*" >>"$LOG"
    mkdir "$3/bin"
    for name in pulumi pulumi-language-python pulumi-language-python-exec pulumi-resource-pulumi-python \\
        pulumi-analyzer-policy-python pulumi-language-go; do
        printf '#!/bin/sh\\necho v%s\\n' "$5" >"$3/bin/$name"
        chmod +x "$3/bin/$name"
    done
    INSTALLER
"""

# A Go that knows the SDK's directory and builds a script; where $GATE is named, it builds only once that file is there.
GO = """
    case $1 in
        env) echo go1.99.0 ;;
        build)
            while [ "$1" != -o ]; do shift; done
            tries=0
            while [ -n "${GATE:-}" ] && [ ! -e "$GATE" ] && [ $((tries += 1)) -lt 500 ]; do sleep 0.02; done
            printf '#!/bin/sh\\necho v3.259.0\\n' >"$2"
            chmod +x "$2"
            ;;
        list)
            case $* in *-m*) echo "$SDK" ;; *) printf 'fmt\\nruntime\\n' ;; esac
            ;;
    esac
"""


class Machine:
    """A machine with the commands that a test gives it, a home of its own and a virtual environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands = root / "commands"
        self.links = root / "venv" / "bin"
        self.cache = root / "home" / ".cache" / "pal-components" / "engine"
        self.log = root / "log"
        for directory in (self.commands, self.links):
            directory.mkdir(parents=True)
        for script in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
            file = root / "sdk" / "python" / script
            file.parent.mkdir(parents=True)
            file.write_text("#!/bin/sh\n")
        self.environ = {
            "PATH": f"{self.links}{os.pathsep}{self.commands}",
            "HOME": str(root / "home"),
            "LOG": str(self.log),
            "SDK": str(root / "sdk"),
        }

    def has(self, name: str, body: str) -> None:
        """Install a command that logs how it is called and then does `body`."""
        log = f'printf "{name} %s\\n" "$*" >>"$LOG"'
        text = f"#!/bin/sh\nPATH=/usr/bin:/bin\n{log}\n{textwrap.dedent(body)}\n"
        (self.commands / name).write_text(text)
        (self.commands / name).chmod(0o755)

    def has_pulumi(self, version: str, files: tuple[str, ...] = FILES) -> None:
        """Install an engine on PATH."""
        for name in files:
            self.has(name, f"echo {version}")

    def start(self, **environ: str) -> subprocess.Popen[str]:
        """Start the script; its output is one stream."""
        return subprocess.Popen(
            [sys.executable, SCRIPT, self.links],
            env={**self.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **environ: str) -> tuple[int, str]:
        """Run the script to its end; its exit code and output."""
        with self.start(**environ) as process:
            output, _ = process.communicate(timeout=30)
        return process.returncode, output

    def calls(self, name: str) -> int:
        """How often a command, with the beginning of its arguments, was called."""
        return sum(line.startswith(name) for line in self.log.read_text().splitlines()) if self.log.exists() else 0

    def linked(self) -> dict[str, Path]:
        """What stands in the virtual environment, and where it points."""
        return {file.name: file.readlink() for file in self.links.iterdir()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """An empty machine: no pulumi, no curl, no go."""
    return Machine(tmp_path)


@pytest.fixture
def engine() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("engine", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Read the process's output up to the line that contains `text`."""
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"the process ended without saying {text!r}")


def test_uses_the_engine_on_path(machine: Machine) -> None:
    """An engine on PATH is used as it is: nothing is downloaded, built or linked."""
    machine.has_pulumi("v3.201.0")
    machine.has("curl", NO_NETWORK)
    machine.has("go", GO)

    code, output = machine.run()

    assert code == 0
    assert "Pulumi v3.201.0 on PATH" in output
    assert (machine.calls("curl"), machine.calls("go"), machine.linked()) == (0, 0, {})


def test_finds_the_rest_beside_a_linked_pulumi(machine: Machine) -> None:
    """Where only `pulumi` is linked onto PATH, the files beside the real one count: the engine finds them there."""
    machine.has_pulumi("v3.259.0")
    vendor = machine.root / "vendor"
    machine.commands.rename(vendor)
    machine.commands.mkdir()
    (machine.commands / "pulumi").symlink_to(vendor / "pulumi")

    code, output = machine.run()

    assert (code, "on PATH" in output) == (0, True)


@pytest.mark.parametrize(
    ("version", "files", "reason"),
    [
        ("v3.100.0", FILES, "is v3.100.0, older than 3.200"),
        ("v3.259.0", FILES[:1], "comes without pulumi-language-python, "),
        ("nothing", FILES, "does not run"),
    ],
)
def test_passes_over_an_engine_that_will_not_do(
    machine: Machine, version: str, files: tuple[str, ...], reason: str
) -> None:
    """An engine on PATH that is too old, incomplete or broken is named, and another one is got."""
    machine.has_pulumi(version, files)
    machine.has("go", GO)

    code, output = machine.run()

    assert code == 0
    assert reason in output
    assert set(machine.linked()) == set(FILES)


def test_prefers_the_installer_to_a_build(machine: Machine) -> None:
    """With network, the pinned version comes from the vendor's installer, which edits nothing outside the cache."""
    machine.has("curl", INSTALLER)
    machine.has("go", GO)

    code, output = machine.run()

    assert code == 0, output
    assert machine.calls("go") == 0
    assert machine.calls("installer --no-edit-path --install-root ") == 1
    assert machine.log.read_text().endswith(" --version 3.259.0\n")
    assert set(machine.linked()) == {*FILES, "pulumi-analyzer-policy-python"}
    assert all(target.is_file() and machine.cache in target.parents for target in machine.linked().values())


def test_builds_where_nothing_can_be_downloaded(machine: Machine) -> None:
    """Without network access to the vendor, one line says so and Go builds the engine and the language host."""
    machine.has("curl", NO_NETWORK)
    machine.has("go", GO)

    code, output = machine.run()

    assert code == 0, output
    assert output.count("curl: (6) Could not resolve host") == 1
    assert machine.calls("go build ") == 2
    assert "version.Version=v3.259.0" in machine.log.read_text()
    assert set(machine.linked()) == set(FILES)
    assert all(os.access(target, os.X_OK) for target in machine.linked().values())


def test_second_call_does_nothing(machine: Machine) -> None:
    """What is in the cache is used again, by another virtual environment too, without asking curl or Go anything."""
    machine.has("curl", NO_NETWORK)
    machine.has("go", GO)
    machine.run()
    machine.log.unlink()
    shutil.rmtree(machine.links)
    machine.links.mkdir()

    code, output = machine.run()

    assert (code, machine.log.exists()) == (0, False)
    assert set(machine.linked()) == set(FILES)
    assert len(output.splitlines()) == 1


def test_an_engine_that_appears_on_path_replaces_the_links(machine: Machine) -> None:
    """Once the machine has an engine of its own, the links that would hide it are gone; other files stay."""
    machine.has("go", GO)
    machine.run()
    (machine.links / "pulumi-of-somebody").symlink_to(machine.root)
    machine.has_pulumi("v3.300.0")

    code, output = machine.run()

    assert (code, "Pulumi v3.300.0 on PATH" in output) == (0, True)
    assert set(machine.linked()) == {"pulumi-of-somebody"}


def test_says_what_to_install_when_nothing_works(machine: Machine) -> None:
    """Without any way, each one's reason is given and what to install; nothing is linked or left in the cache."""
    code, output = machine.run()

    assert code == 1
    assert "nothing to use on PATH: no pulumi" in output
    assert "the official installer did not work: curl is not installed" in output
    assert "a build from source did not work: Go is not installed; Go 1.25.11 or newer is needed" in output
    assert output.splitlines()[-1].startswith("engine: no Pulumi engine here and no way to get one. Install Pulumi")
    assert machine.linked() == {}
    assert [file.name for file in machine.cache.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("go", "reason"),
    [
        ("echo go1.19.8", "is go1.19.8"),
        ("echo 'go: go.mod requires go >= 1.25.11 (running go 1.22.2)' >&2; exit 1", "(running go 1.22.2)"),
    ],
)
def test_says_when_go_is_too_old(machine: Machine, go: str, reason: str) -> None:
    """A Go that is too old is told from a missing one, with the version it is and the one it takes."""
    machine.has("go", go)

    code, output = machine.run()

    assert code == 1
    assert "did not work: Go 1.25.11 or newer is needed, and " in output
    assert reason in output


def test_a_failed_build_shows_the_compiler_and_leaves_nothing(machine: Machine) -> None:
    """When the build fails, what Go said is shown, and no half of an engine is in the cache."""
    machine.has("go", GO.replace("while [ -n", "echo 'no space left on device' >&2; exit 2; while [ -n"))

    code, output = machine.run()

    assert code == 1
    assert "a build from source did not work: go failed with exit code 2: no space left on device" in output
    assert [file.name for file in machine.cache.iterdir()] == [".lock"]


def test_two_at_once_build_once(machine: Machine) -> None:
    """Of two calls at the same time one builds and the other waits, saying so; both end with the engine."""
    machine.has("go", GO)
    gate = machine.root / "gate"
    with machine.start(GATE=str(gate)) as first:
        wait_for(first, "building Pulumi")
        with machine.start(GATE=str(gate)) as second:
            wait_for(second, "waiting for another run")
            gate.touch()
            second.communicate(timeout=30)
        first.communicate(timeout=30)

    assert (first.returncode, second.returncode) == (0, 0)
    assert machine.calls("go build ") == 2


def test_termination_ends_the_build(machine: Machine) -> None:
    """A terminated call takes its build with it and leaves nothing but the lock; the next call builds."""
    machine.has("go", GO.replace("while [ -n", '[ -z "${GATE:-}" ] || echo $$ >"$GATE.pid"; while [ -n'))
    gate = machine.root / "gate"
    with machine.start(GATE=str(gate)) as process:
        wait_for(process, "building Pulumi")
        while not (pid := machine.root / "gate.pid").exists() or not pid.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)

    assert process.returncode == 128 + signal.SIGTERM
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert [file.name for file in machine.cache.iterdir()] == [".lock"]
    assert machine.run()[0] == 0


def test_what_a_killed_call_left_is_cleared(machine: Machine) -> None:
    """The scratch directory of a killed call and an incomplete engine are cleared away, not trusted."""
    machine.has("go", GO)
    machine.run()
    (entry,) = (file for file in machine.cache.iterdir() if file.is_dir())
    (entry / "bin" / "pulumi-language-python").unlink()
    (machine.cache / ".new-killed").mkdir()

    code, output = machine.run()

    assert code == 0, output
    assert {file.name for file in machine.cache.iterdir()} == {".lock", entry.name}
    assert all(target.is_file() for target in machine.linked().values())


def test_the_cache_follows_xdg_cache_home(machine: Machine) -> None:
    """XDG_CACHE_HOME says where engines are kept, unless it is relative, which its specification tells to ignore."""
    machine.has("go", GO)
    elsewhere = machine.root / "elsewhere"

    assert machine.run(XDG_CACHE_HOME=str(elsewhere))[0] == 0
    assert (elsewhere / "pal-components" / "engine").is_dir()
    assert machine.run(XDG_CACHE_HOME="relative")[0] == 0
    assert machine.cache.is_dir()


def test_needs_a_directory_for_the_links(machine: Machine) -> None:
    """Called before there is a virtual environment, it says which command makes one."""
    machine.links.rmdir()

    code, output = machine.run()

    assert (code, "make engine" in output) == (2, True)


def test_other_pins_are_another_engine(engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of a pin, in either module, names another cache entry, so nobody keeps an engine that is no longer
    the pinned one.
    """
    before = engine.cache_key()
    shutil.copytree(SCRIPT.parent, tmp_path / "engine")
    monkeypatch.setattr(engine, "HERE", tmp_path / "engine")
    assert engine.cache_key() == before

    with (tmp_path / "engine" / "language-python" / "go.sum").open("a") as pins:
        pins.write("example.com/another v1.0.0 h1:0=\n")
    assert engine.cache_key() != before


def test_progress_is_shown_while_a_command_runs(
    engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every so often a line says how long it has taken and what the output so far amounts to."""
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0.02)
    gate = tmp_path / "gate"
    waiter = tmp_path / "waiter.sh"
    waiter.write_text('echo fmt; while [ ! -e "$1" ]; do sleep 0.01; done')

    def describe(lines: list[str]) -> str:
        if lines:
            gate.touch()
        return str(engine.compiled("pulumi", {"fmt", "runtime"}, lines))

    assert engine.run(["/bin/sh", str(waiter), str(gate)], describe, since=time.monotonic()) == ["fmt"]
    assert "engine: 0:00  pulumi: 1 of 2 packages compiled\n" in capsys.readouterr().out


def test_a_command_that_takes_too_long_is_ended(engine: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A download that hangs does not hang the setup: it is ended, with what it started."""
    monkeypatch.setattr(engine, "PROGRESS_SECONDS", 0.02)
    started = time.monotonic()

    with pytest.raises(engine.UnavailableError, match="took more than 0 seconds"):
        engine.run(["/bin/sh", "-c", "sleep 60; true"], lambda _: "waiting", since=started, limit=0)
    assert time.monotonic() - started < 30
