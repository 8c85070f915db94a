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
