"""What Pulumi promises when things go wrong: nothing is lost, nothing is made twice, destroy ends."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CONTOSO = "c0000000-0000-4000-8000-000000000001"
PROGRAM = """
import pulumi
import pal_components as pal

access = pal.CustomerAccess("contoso", {{
    "partner_id": "4567891",
    "scopes": ["/subscriptions/11111111-1111-1111-1111-111111111111"],
    **{more},
}})
pulumi.export("origin", access.origin)
"""


def program(**more: Any) -> str:
    return PROGRAM.format(more=repr(more))


def kill_during(stack: Any, *arguments: str, request: str) -> None:
    """Run a command of the engine and kill it, with its children, when a request has come to the sandbox."""
    seen = max((row["n"] for row in stack.sandbox.journal()), default=0)
    process = subprocess.Popen(
        stack.command(*arguments),
        cwd=stack.work_dir,
        env=stack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not any(request in f"{row['method']} {row['path']}" for row in stack.sandbox.journal(seen)):
        assert process.poll() is None, "it ended before the request came"
        assert time.monotonic() < deadline, "the request never came"
        time.sleep(0.02)
    # The engine gives its plugins process groups of their own; the session is common to all of them.
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            number, fields = int(path.parent.name), path.read_text(encoding="utf-8").rpartition(")")[2].split()
            if int(fields[3]) == process.pid:
                os.kill(number, signal.SIGKILL)
        except OSError:
            continue
    process.wait()


@pytest.mark.parametrize("request_", ["addPassword", "PUT /providers/Microsoft.ManagementPartner"])
def test_killed_while_linking(stack_of: Callable[..., Any], request_: str) -> None:
    """After `kill -9` at a request of the link the same command converges: nothing twice, no secret left."""
    stack = stack_of(program())
    # What comes next takes long enough for the kill to come first.
    stack.sandbox.fault("slow", seconds=5, path="removePassword" if "PUT" in request_ else "ManagementPartner")
    kill_during(stack, "up", "--yes", "--skip-preview", request=request_)
    stack.sandbox.clear_faults()
    stack.pulumi("cancel", "--yes")
    stack.up()
    world = stack.sandbox.show()
    assert stack.links() == {CONTOSO: "4567891"}
    assert world["links"][0]["version"] == 1
    assert {name: len(rows) for name, rows in world.items() if rows} == {
        "links": 1,
        "servicePrincipals": 1,
        "applications": 1,
        "roleAssignments": 1,
    }
    assert world["applications"][0]["passwords"] == 0
    # What was linked before the crash is found and taken over.
    assert stack.outputs()["origin"] == ("adopted" if "PUT" in request_ else "created")
    assert stack.up().changes == {}
    stack.destroy()
    assert stack.empty()


def test_killed_while_unlinking(stack_of: Callable[..., Any]) -> None:
    """After `kill -9` in the middle of a removal the next destroy ends it, and says that nothing was linked."""
    stack = stack_of(program())
    stack.up()
    stack.sandbox.fault("slow", seconds=5, path="removePassword")
    kill_during(stack, "destroy", "--yes", "--skip-preview", request="DELETE /providers/Microsoft.ManagementPartner")
    stack.sandbox.clear_faults()
    stack.pulumi("cancel", "--yes")
    assert "was not linked any more" in stack.destroy().text
    assert stack.empty()


def test_everything_settles_slowly(stack_of: Callable[..., Any]) -> None:
    """New principals, secrets and applications are unknown for a while, the service is busy: one `up` all the same."""
    stack = stack_of(program())
    for what in ("principal", "secret", "graph"):
        stack.sandbox.delay(what, requests=2)
    stack.sandbox.fault("status", status=429, retry_after=1, method="PUT", path="ManagementPartner")
    stack.sandbox.fault("cut_after", method="GET", path="ManagementPartner")
    stack.up()
    assert stack.links() == {CONTOSO: "4567891"}
    stack.sandbox.clear_faults()
    stack.sandbox.fault("status", status=503, path="ManagementPartner", times=2)
    stack.destroy()
    assert stack.empty()


def test_a_service_that_stays_away(stack_of: Callable[..., Any]) -> None:
    """`max_wait` ends the wait; the message says how long, a refresh keeps the link, and later all goes on."""
    stack = stack_of(program(max_wait=2))
    stack.sandbox.fault("status", status=503, path="ManagementPartner", times=None)
    text = stack.fail("up", "--yes", "--skip-preview")
    assert "the service answers 503" in text
    assert "given up after" in text
    assert "Traceback" not in text
    stack.sandbox.clear_faults()
    stack.up()

    stack.sandbox.fault("html", path="ManagementPartner", times=None)
    refreshed = stack.refresh()
    assert "could not be verified and is kept as it was" in refreshed.text
    assert "deleted" not in refreshed.changes
    text = stack.fail("destroy", "--yes", "--skip-preview")
    assert "RemovalBlocked" in text
    assert "az managementpartner delete --partner-id 4567891" in text
    assert stack.links() == {CONTOSO: "4567891"}
    stack.sandbox.clear_faults()
    stack.destroy()
    assert stack.empty()


def test_best_effort(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """A principal that is disabled cannot unlink: destroy stops, and goes on with `removal: best_effort`."""
    stack = stack_of(program())
    stack.up()
    principal = stack.sandbox.show()["servicePrincipals"][0]["objectId"]
    directory = directory_of(stack.sandbox)
    directory.graph("PATCH", f"/servicePrincipals/{principal}", {"accountEnabled": False})
    assert "AADSTS7000112" in stack.fail("destroy", "--yes", "--skip-preview")
    assert stack.sandbox.show()["roleAssignments"]  # the link goes first: nothing else was touched
    (stack.work_dir / "__main__.py").write_text(program(removal="best_effort"), encoding="utf-8")
    stack.requests()
    stack.up()
    assert not [request for request in stack.requests() if "ManagementPartner" in request]
    assert "removal is 'best_effort', so this is left to you" in stack.destroy().text
    assert not stack.sandbox.show()["applications"]


def test_an_identity_that_somebody_deleted(stack_of: Callable[..., Any], directory_of: Callable[..., Any]) -> None:
    """With the application everything is gone: the link's removal says so, and a refreshing destroy ends."""
    stack = stack_of(program())
    stack.up()
    application = stack.sandbox.show()["applications"][0]["objectId"]
    directory_of(stack.sandbox).graph("DELETE", f"/applications/{application}")
    text = stack.pulumi("destroy", "--yes", "--skip-preview", "--refresh").text
    assert not stack.sandbox.show()["roleAssignments"], text
    assert not stack.sandbox.show()["applications"]
    assert stack.destroy().code == 0


def test_a_policy_against_secrets(stack_of: Callable[..., Any]) -> None:
    """A tenant that forbids secrets is told from missing rights, with the kinds that need none."""
    stack = stack_of(program())
    stack.sandbox.policy(CONTOSO, secrets="forbidden")
    text = stack.fail("up", "--yes", "--skip-preview")
    assert "a policy of the tenant forbids client secrets (CredentialTypeNotAllowedAsPerAppPolicy)" in text
    assert "'federated' or 'certificate'" in text
    (stack.work_dir / "__main__.py").write_text(program(credential={"kind": "certificate"}), encoding="utf-8")
    stack.up()
    assert stack.links() == {CONTOSO: "4567891"}
    stack.destroy()
    assert stack.empty()
