"""What importing the package costs, and what it offers."""

import subprocess
import sys
from pathlib import Path

import pal_components
from pal_components.link import errors


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a statement loads in a fresh process over `import pulumi`."""
    code = f"import sys, pulumi\nbefore = set(sys.modules)\n{statement}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing() -> None:
    """Over `import pulumi` there is the package itself and not one module more."""
    assert loaded_by("import pal_components") == {"pal_components"}


def test_the_plugin_loads_no_provider_sdk_and_no_azure_sdk() -> None:
    """The module that the plugin's process unpickles leaves everything heavy for later."""
    loaded = loaded_by("import pal_components.partner_link")
    assert not {
        name for name in loaded if name.split(".")[0] in ("azure", "pulumi_azuread", "pulumi_azure_native", "msal")
    }


def test_the_link_and_eligibility_never_load_pulumi() -> None:
    """Both are free of Pulumi: arrows go one way."""
    code = (
        "import sys, pal_components.link.lifecycle\n"
        "import pal_components.eligibility.roles, pal_components.eligibility.scopes\n"
        "print([name for name in sys.modules if name.startswith('pulumi')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_resolves() -> None:
    """What the package lists, it has; an error says where it can be imported from."""
    for name in pal_components.__all__:
        assert getattr(pal_components, name).__name__ == name
    assert set(pal_components.__all__) <= set(dir(pal_components))
    assert not hasattr(pal_components, "Nothing")


def test_every_error_is_public() -> None:
    """The name in front of an error's message is one that the package exports."""
    found = {
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.LinkError)
    }
    assert found <= set(pal_components.__all__)
    assert {getattr(errors, name).__module__ for name in found} == {"pal_components"}


def test_nothing_but_the_command_imports_the_sandbox() -> None:
    """The library never depends on the local Azure that tests it."""
    package = Path(pal_components.__file__).parent
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] not in ("sandbox", "cli"):
            assert "sandbox" not in path.read_text(encoding="utf-8"), path
