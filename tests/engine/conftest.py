"""Stacks on the real engine, in a sandbox of their own."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pal_components.sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
_COUNT = re.compile(
    r"^ +(?:[+~-]+ ?)?(\d+) (created|updated|replaced|deleted|unchanged|errored|to \w+)\b", re.MULTILINE
)


@dataclass
class Run:
    """What one command of the engine did."""

    code: int
    text: str
    """Everything that the terminal showed."""
    counts: dict[str, int] = field(default_factory=dict)
    """The summary: how many resources were `created`, `updated`, `deleted`, `unchanged`."""

    @property
    def changes(self) -> dict[str, int]:
        """The summary without what stayed as it was."""
        return {what: count for what, count in self.counts.items() if what != "unchanged"}


class Stack:
    """A program and its stack; every command runs through `pal sandbox run`, as a person's would."""

    def __init__(self, sandbox: Sandbox, state_dir: Path, work_dir: Path, home: Path) -> None:
        self.sandbox = sandbox
        self.work_dir = work_dir
        self._state_dir = state_dir
        self.issuer: str | None = None
        """Issuer and subject whose tokens the environment offers, as `github=repo:contoso/infra:ref:...`."""
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PULUMI_HOME": str(home / "pulumi"),
            "NO_COLOR": "1",
        }

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of `pulumi` with these arguments, in the sandbox."""
        return [
            *(sys.executable, "-m", "pal_components.cli", "sandbox", "run", "--state", str(self._state_dir)),
            *(("--issuer", self.issuer) if self.issuer else ()),
            *("--", "pulumi", *arguments, "--non-interactive"),
        ]

    def pulumi(self, *arguments: str, **environment: str) -> Run:
        """Run `pulumi` with these arguments and more variables."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.work_dir,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        text = done.stdout + done.stderr
        return Run(done.returncode, text, {what: int(count) for count, what in _COUNT.findall(text)})

    def _succeed(self, *arguments: str, **environment: str) -> Run:
        run = self.pulumi(*arguments, **environment)
        assert run.code == 0, run.text
        return run

    def init(self, name: str = "dev") -> "Stack":
        """Make the stack."""
        self._succeed("stack", "init", name)
        return self

    def preview(self) -> Run:
        """Plan, and demand success."""
        return self._succeed("preview")

    def up(self, **environment: str) -> Run:
        """Deploy, and demand success."""
        return self._succeed("up", "--yes", "--skip-preview", **environment)

    def fail(self, *arguments: str, **environment: str) -> str:
        """Run a command that must fail, and return what the terminal showed."""
        run = self.pulumi(*arguments, **environment)
        assert run.code != 0, run.text
        return run.text

    def refresh(self) -> Run:
        """Read everything again, and demand success."""
        return self._succeed("refresh", "--yes", "--skip-preview")

    def destroy(self, **environment: str) -> Run:
        """Take everything away, and demand success."""
        return self._succeed("destroy", "--yes", "--skip-preview", **environment)

    def outputs(self) -> dict[str, Any]:
        """Return the stack's outputs."""
        done = self._succeed("stack", "output", "--json")
        return dict(json.loads(done.text[done.text.index("{") :]))

    def state(self) -> str:
        """Return the state as it is stored: secrets encrypted."""
        return self._succeed("stack", "export").text

    def requests(self) -> list[str]:
        """Return method and path of all requests since the last call."""
        since, self._seen = getattr(self, "_seen", 0), max((row["n"] for row in self.sandbox.journal()), default=0)
        return [f"{row['method']} {row['path']}" for row in self.sandbox.journal(since)]

    def links(self) -> dict[str, str]:
        """Return the partner ID of every link by its tenant."""
        return {link["tenantId"]: link["partnerId"] for link in self.sandbox.show()["links"]}

    def empty(self) -> bool:
        """Whether nothing of the program is left in the sandbox."""
        return not any(self.sandbox.show().values())


@pytest.fixture(scope="session", autouse=True)
def engine() -> None:
    """Demand the engine: a run without it would test nothing."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    if shutil.which("pulumi", path=path) is None:
        pytest.fail("there is no pulumi on PATH: `make test` brings it, or `make engine` alone")


@pytest.fixture
def stack_of(tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Return what makes a stack of a folder's program, or of the text of one."""
    state_dir = tmp_path / "sandbox"
    with Sandbox(state_dir) as sandbox:

        def make(source: Path | str, name: str = "dev") -> Stack:
            work_dir = tmp_path / "program"
            if isinstance(source, Path):
                shutil.copytree(source, work_dir, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            else:
                work_dir.mkdir()
                (work_dir / "Pulumi.yaml").write_text("name: test\nruntime: python\n", encoding="utf-8")
                (work_dir / "__main__.py").write_text(source, encoding="utf-8")
            return Stack(sandbox, state_dir, work_dir, tmp_path).init(name)

        yield make


@pytest.fixture
def root_program(tmp_path: Path) -> Path:
    """The root program alone, without the checkout around it."""
    folder = tmp_path / "root"
    folder.mkdir()
    for name in ("Pulumi.yaml", "Pulumi.demo.yaml", "__main__.py"):
        shutil.copy(ROOT / name, folder)
    return folder
