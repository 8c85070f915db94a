"""Every step of a link's life under every fault: what passes is waited for, what does not is told, nothing is lost."""

from dataclasses import replace
from typing import Any

import pytest

from pal_components.link.decide import OnConflict
from pal_components.link.errors import LinkError, RemovalBlocked
from pal_components.link.lifecycle import Operation, establish, read, remove
from pal_components.link.principal import CredentialKind
from pal_components.link.waiting import Waiting
from pal_components.sandbox.server import Sandbox

OURS, THEIRS = "4567891", "5127255"

# The requests of an operation with an ephemeral secret, each by method and path.
DEPLOYER_DISCOVERY = {"path": "openid-configuration"}
DEPLOYER_TOKEN = {"path": "oauth2/v2.0/token"}
ADD = {"path": "addPassword"}
DISCOVERY = {"path": "openid-configuration", "skip": 1}
TOKEN = {"path": "oauth2/v2.0/token", "skip": 1}
GET = {"method": "GET", "path": "ManagementPartner/partners"}
PUT = {"method": "PUT", "path": "ManagementPartner/partners"}
PATCH = {"method": "PATCH", "path": "ManagementPartner/partners"}
DELETE = {"method": "DELETE", "path": "ManagementPartner/partners"}
LIST = {"method": "GET", "path": "graph/v1.0/applications"}
REMOVE = {"path": "removePassword"}
NAMES = {
    "deployer's discovery": DEPLOYER_DISCOVERY,
    "deployer's token": DEPLOYER_TOKEN,
    "addPassword": ADD,
    "discovery": DISCOVERY,
    "token": TOKEN,
    "GET": GET,
    "PUT": PUT,
    "PATCH": PATCH,
    "DELETE": DELETE,
    "list of secrets": LIST,
    "removePassword": REMOVE,
}

# What passes by itself: the first run succeeds.
PASSING: dict[str, dict[str, Any]] = {
    "429": {"action": "status", "status": 429, "retry_after": 2},
    "500": {"action": "status", "status": 500},
    "502": {"action": "status", "status": 502},
    "503": {"action": "status", "status": 503, "retry_after": 1},
    "504 twice": {"action": "status", "status": 504, "times": 2},
    "cut before": {"action": "cut_before"},
    "cut after": {"action": "cut_after"},
    "slow": {"action": "slow", "seconds": 0.2},
}
# What does not: the first run fails in words, or succeeds; the second converges.
LASTING: dict[str, dict[str, Any]] = {
    "401": {"action": "status", "status": 401},
    "403": {"action": "status", "status": 403},
    "404": {"action": "status", "status": 404},
    "409": {"action": "status", "status": 409},
    "HTML": {"action": "html"},
    "truncated": {"action": "truncated"},
    "content type": {"action": "content_type"},
    "shape": {"action": "shape"},
    "empty": {"action": "empty"},
}
ESTABLISHING = [name for name in NAMES if name not in ("PATCH", "DELETE")]


def patient() -> Waiting:
    """Return a policy whose pauses take no time."""
    spent: list[float] = []
    return Waiting(60, clock=lambda: sum(spent), sleep=spent.append, tell=lambda _: None)


def fault(sandbox: Sandbox, step: str, kind: dict[str, Any]) -> None:
    sandbox.clear_faults()
    sandbox.fault(**NAMES[step], **kind)


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("step", ESTABLISHING)
def test_linking_waits_for_what_passes(directory: Any, sandbox: Sandbox, step: str, kind: str) -> None:
    """One run links, once, and no ephemeral secret stays, not even one whose answer was lost."""
    principal = directory.principal(fresh=True)
    fault(sandbox, step, PASSING[kind])
    made = establish(Operation(principal, patient()), OURS, OnConflict.FAIL)
    assert made.link.partner_id == directory.links()[principal.object_id] == OURS
    assert made.link.version == 1
    assert directory.passwords(principal) == 0


@pytest.mark.parametrize("kind", LASTING)
@pytest.mark.parametrize("step", ESTABLISHING)
def test_linking_survives_what_lasts(directory: Any, sandbox: Sandbox, step: str, kind: str) -> None:
    """Whatever the first run says, it says it in words, credits nobody else, and the second run converges."""
    principal = directory.principal()
    fault(sandbox, step, LASTING[kind])
    try:
        establish(Operation(principal, patient()), OURS, OnConflict.FAIL)
    except LinkError as error:
        assert len(error.text) > 40
    assert directory.links().get(principal.object_id) in (None, OURS)
    sandbox.clear_faults()
    made = establish(Operation(principal, patient()), OURS, OnConflict.FAIL)
    assert made.link.partner_id == directory.links()[principal.object_id] == OURS
    assert made.link.version == 1
    assert directory.passwords(principal) == 0


@pytest.mark.parametrize("kind", PASSING)
@pytest.mark.parametrize("step", ["deployer's token", "addPassword", "token", "GET", "DELETE", "removePassword"])
def test_removal_waits_for_what_passes(directory: Any, sandbox: Sandbox, step: str, kind: str) -> None:
    """One run removes the link, and leaves no secret."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    fault(sandbox, step, PASSING[kind])
    remove(Operation(principal, patient()), OURS)
    assert principal.object_id not in directory.links()
    assert directory.passwords(principal) == 0


@pytest.mark.parametrize("kind", LASTING)
@pytest.mark.parametrize("step", ["deployer's token", "addPassword", "token", "GET", "DELETE"])
def test_removal_finishes_or_says_what_is_left(directory: Any, sandbox: Sandbox, step: str, kind: str) -> None:
    """A link is never forgotten: either it is gone, or the error says so and how to finish."""
    principal = directory.principal()
    establish(Operation(principal), OURS, OnConflict.FAIL)
    fault(sandbox, step, LASTING[kind])
    try:
        reason = remove(Operation(principal, patient()), OURS)
    except RemovalBlocked as error:
        assert "az managementpartner delete --partner-id 4567891" in error.text
    else:
        # A 404 of Microsoft Graph about the application is what a deleted one looks like.
        gone = reason is not None and "does not exist any more" in reason
        assert gone == ((step, kind) == ("addPassword", "404"))
        assert gone or principal.object_id not in directory.links()
    sandbox.clear_faults()
    remove(Operation(principal, patient()), OURS)
    assert principal.object_id not in directory.links()
    assert directory.passwords(principal) == 0


@pytest.mark.parametrize("kind", PASSING | LASTING)
@pytest.mark.parametrize("step", ["deployer's token", "addPassword", "token", "GET", "removePassword"])
def test_reading_never_invents(directory: Any, sandbox: Sandbox, step: str, kind: str) -> None:
    """Reading returns the link, or fails in words; only what is gone is gone."""
    principal = directory.principal()
    made = establish(Operation(principal), OURS, OnConflict.FAIL)
    fault(sandbox, step, (PASSING | LASTING)[kind])
    try:
        link = read(Operation(principal, patient()))
    except LinkError:
        assert kind in LASTING
    else:
        expected = None if (step, kind) == ("addPassword", "404") else made.link
        assert link == expected


@pytest.mark.parametrize("kind", PASSING | LASTING)
def test_switching(directory: Any, sandbox: Sandbox, kind: str) -> None:
    """A PATCH under every fault: the link names one of the two partners, and the second run the right one."""
    principal = directory.principal(CredentialKind.SECRET)
    establish(Operation(principal), THEIRS, OnConflict.FAIL)
    fault(sandbox, "PATCH", (PASSING | LASTING)[kind])
    try:
        establish(Operation(principal, patient()), OURS, OnConflict.REPLACE)
    except LinkError:
        assert kind in LASTING
    else:
        assert directory.links()[principal.object_id] == OURS
    sandbox.clear_faults()
    assert establish(Operation(principal), OURS, OnConflict.REPLACE).link.partner_id == OURS


@pytest.mark.parametrize("what", ["principal", "secret", "graph"])
def test_what_is_not_known_yet_is_waited_for(directory: Any, sandbox: Sandbox, what: str) -> None:
    """Principals, secrets and applications that were made moments ago, as Microsoft Entra spreads them."""
    sandbox.clear_faults()
    sandbox.delay(what, requests=3)
    principal = replace(directory.principal(), fresh=True)
    assert establish(Operation(principal, patient()), OURS, OnConflict.FAIL).link.partner_id == OURS
    assert directory.passwords(principal) == 0


def test_the_budget_ends_a_wait(directory: Any, sandbox: Sandbox) -> None:
    """A service that stays away is given up after the budget, in words that say how long it took."""
    principal = directory.principal()
    sandbox.clear_faults()
    sandbox.fault("status", status=503, path="ManagementPartner", times=None)
    with pytest.raises(LinkError, match=r"503.*given up after \d+ s of 60 s"):
        establish(Operation(principal, patient()), OURS, OnConflict.FAIL)
    sandbox.clear_faults()
    assert directory.passwords(principal) == 0
