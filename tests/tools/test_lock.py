"""The lock: what `make setup` installs."""

import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]


@pytest.fixture
def lock() -> str:
    """The lock's text without its comments."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))


def names(requirements: list[str]) -> set[str]:
    """The normalised project names of requirements such as `azure-core>=1.32`."""
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", requirement, maxsplit=1)[0]).lower() for requirement in requirements
    }


def test_every_version_is_exact_and_hashed(lock: str) -> None:
    """Each requirement is one exact version with at least one SHA-256, so that pip refuses anything else."""
    entries = re.split(r"\n(?=\S)", lock.strip())

    assert len(entries) > 50
    assert [entry for entry in entries if not re.match(r"[\w.-]+==[\w.]+[ ;]", entry)] == []
    assert [entry for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_the_lock_names_no_place(lock: str) -> None:
    """Neither an index nor a path is in the lock: where packages come from is the machine's setting."""
    assert re.findall(r"\w+://|--(?:extra-)?index-url|--find-links|--trusted-host| @ |\s[./]\S+", lock) == []


def test_the_lock_covers_the_metadata(lock: str) -> None:
    """Whatever pyproject.toml asks for, extras and development too, is in the lock (`make lock` was run)."""
    metadata = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [
        *metadata["project"]["dependencies"],
        *(entry for extra in metadata["project"]["optional-dependencies"].values() for entry in extra),
        *(entry for group in metadata["dependency-groups"].values() for entry in group),
        *metadata["build-system"]["requires"],
    ]

    assert names(asked) <= names(re.findall(r"^\S+", lock, re.MULTILINE))
