"""Secrets stay where they belong: searched for in everything that a run leaves behind or shows."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SUBSCRIPTION = "/subscriptions/11111111-1111-1111-1111-111111111111"
DEPLOYER_SECRET, GIVEN_SECRET = "sandbox-deployer-secret", "sandbox-operations-secret"

PROGRAM = """
import pulumi
import pal_components as pal

access = pal.CustomerAccess("contoso", {{
    "partner_id": pulumi.Config().get("partnerId") or "4567891",
    "scopes": ["{scope}"],
    "credential": {credential},
}})
pulumi.export("attestation", access.attestation)
"""

# What must not be seen: a token or an assertion, a private key, a secret that the sandbox's directory made, a header.
FORBIDDEN = re.compile(
    r"eyJ[\w-]{10,}\.eyJ|PRIVATE KEY|[Aa]uthorization['\"]?: |Bearer [\w.~-]{10,}|sandbox~[\w-]+"
    rf"|{DEPLOYER_SECRET}|{GIVEN_SECRET}"
)


@contextmanager
def process_list() -> Iterator[list[str]]:
    """Collect the command lines of all processes, over and over, until the end."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    lines: list[str] = []
    try:
        yield lines
    finally:
        ended.set()
        watcher.join()
        lines.extend(seen)


def clean(text: str, where: str) -> None:
    """Demand that a text holds nothing forbidden, without repeating it."""
    found = FORBIDDEN.search(text)
    assert found is None, f"{where} holds something secret that begins with {found[0][:6]!r}"


@pytest.mark.parametrize(
    "credential",
    [
        {"kind": "ephemeral"},
        {"kind": "secret"},
        {"kind": "certificate"},
        {"kind": "ambient"},
        {"kind": "federated", "subject": "contoso:infra"},
        {
            "kind": "given",
            "client_id": "e0000000-0000-4000-8000-00000000000e",
            "client_secret": GIVEN_SECRET,
            "enterprise_application": False,
        },
    ],
    ids=lambda credential: credential["kind"],
)
def test_canary(stack_of: Callable[..., Any], credential: dict[str, Any]) -> None:
    """Neither output, error, plan, event, state, journal nor the process list holds a secret in the clear."""
    stack = stack_of(PROGRAM.format(scope=SUBSCRIPTION, credential=credential))
    if credential["kind"] == "federated":
        stack.issuer = f"github={credential['subject']}"
        trusted = {**credential, "issuer": stack.sandbox.issuer("github")}
        text = PROGRAM.format(scope=SUBSCRIPTION, credential=trusted)
        (stack.work_dir / "__main__.py").write_text(text, encoding="utf-8")
    plan, events = stack.work_dir / "plan.json", stack.work_dir / "events.json"
    texts: dict[str, str] = {}
    with process_list() as commands:
        texts["preview"] = stack.pulumi("preview", "--save-plan", str(plan), "--diff").text
        stack.pulumi("config", "set", "partnerId", "4567890")
        texts["a refused partner ID"] = stack.pulumi("up", "--yes", "--skip-preview").text
        stack.pulumi("config", "rm", "partnerId")
        up = ("up", "--yes", "--skip-preview", "--diff", "--debug", "--event-log", str(events))
        made = stack.pulumi(*up, PULUMI_DEBUG_COMMANDS="1")
        texts["up"] = made.text
        texts["state"] = stack.state()
        texts["refresh"] = stack.pulumi("refresh", "--yes", "--skip-preview", "--diff").text
        texts["outputs"] = stack.pulumi("stack", "output", "--json", "--show-secrets").text
        texts["destroy"] = stack.pulumi("destroy", "--yes", "--skip-preview").text
    texts["plan"] = plan.read_text(encoding="utf-8") if plan.exists() else ""
    texts["events"] = events.read_text(encoding="utf-8")
    texts["journal"] = repr(stack.sandbox.journal())
    texts["process list"] = "\n".join(commands)
    for where, text in texts.items():
        clean(text, where)
    # The given principal is not in this tenant: there every step fails, and shows what a failure shows.
    assert (made.code == 0) == (credential["kind"] != "given"), made.text
    assert stack.links() == {}


def test_the_canary_sings() -> None:
    """The search finds what it is there to find."""
    for text in (
        "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln",
        "-----BEGIN PRIVATE KEY-----",
        "Authorization: Bearer x",
        DEPLOYER_SECRET,
        "sandbox~abcdefgh",
    ):
        with pytest.raises(AssertionError, match="secret"):
            clean(f"before {text} after", "here")
