"""The documents keep up with the code."""

import re
from pathlib import Path

from pal_components.link import errors, explain

DOCS = Path(__file__).parents[1] / "docs"


def test_every_error_has_its_section() -> None:
    """An error's message ends with an anchor, and the anchor exists."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    anchors = {heading.lower() for heading in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    names = {n for n, v in vars(errors).items() if isinstance(v, type) and issubclass(v, errors.LinkError)}
    assert anchors == {name.lower() for name in names}
    assert str(errors.ServiceRefused("no")).endswith("See docs/troubleshooting.md#servicerefused")


def test_every_sign_in_code_is_listed() -> None:
    """What the code explains, the document lists."""
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    table = text[text.index("## Sign-in codes") :]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| AADSTS")]
    assert set(re.findall(r"\d{5,7}", " ".join(first_cells))) == set(explain._SIGN_IN_CODES)


def test_the_theory_names_tests_that_exist() -> None:
    """Each test that the page on recognition names is there."""
    text = (DOCS / "recognition.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (DOCS.parent / path).exists(), path


def test_links_between_documents_lead_somewhere() -> None:
    """Every relative link of every page leads to a file."""
    root = DOCS.parent
    pages = [
        *root.glob("*.md"),
        *DOCS.rglob("*.md"),
        *(root / "examples").rglob("*.md"),
        *(root / "policy-pack").rglob("*.md"),
    ]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
