"""New things that are not known everywhere yet, as in a directory with many replicas."""

from datetime import datetime
from typing import Any

from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.state import State

# What is new, and the places that learn of it, each by itself.
KINDS = {
    "principal": ("principal at sign-in", "principal at an API"),
    "secret": ("secret",),
    "certificate": ("certificate",),
    "federated": ("federated",),
    "graph": ("graph",),
}


def delay(state: State, what: str, *, requests: int | None = None, seconds: float | None = None) -> None:
    """Make things created from now on unknown for a while.

    ``what`` is ``principal`` (at the token endpoint, and then 401 at the APIs), ``secret``, ``certificate`` or
    ``federated`` (a federated credential), all at the token endpoint, or ``graph`` (an application, at addPassword).
    Each new thing is unknown to the first ``requests`` requests that touch it, or for ``seconds`` after its making;
    0 ends the delay for what comes.

    Raises:
        SandboxError: there is no such thing, or not exactly one of the two numbers.
    """
    if what not in KINDS:
        raise SandboxError(f"{what} is nothing that can be delayed: one of {', '.join(KINDS)}.")
    if (requests is None) == (seconds is None):
        raise SandboxError("A delay is a number of requests or of seconds: give one of the two.")
    if min(requests or 0, seconds or 0) < 0:
        raise SandboxError("A delay is not below zero.")
    with state.transaction():
        state.run("DELETE FROM delay WHERE what = ?", what)
        if requests or seconds:
            state.run("INSERT INTO delay VALUES (?, ?, ?)", what, requests, seconds)


def listed(state: State) -> list[dict[str, Any]]:
    """Return the delays of what is made from now on: ``what``, and ``requests`` or ``seconds``."""
    return [dict(row) for row in state.all("SELECT * FROM delay ORDER BY what")]


def made(state: State, what: str, key: str, now: datetime) -> None:
    """Note that something was created, by its id; it is unknown for as long as the delay says, if there is one."""
    row = state.one("SELECT * FROM delay WHERE what = ?", what)
    if row is None:
        return
    until = None if row["seconds"] is None else now.timestamp() + row["seconds"]
    for place in KINDS[what]:
        state.run("INSERT INTO pending VALUES (?, ?, ?, ?)", place, key, row["requests"], until)


def unknown(state: State, place: str, key: str, now: datetime) -> bool:
    """Whether a request meets something that is not known at this place yet; it is counted, refused or not."""
    row = state.one("SELECT * FROM pending WHERE place = ? AND key = ?", place, key)
    if row is None:
        return False
    if row["until"] is not None:
        return bool(now.timestamp() < row["until"])
    # What the refused request wrote is taken back, its being counted is not.
    state.finally_run("UPDATE pending SET requests = requests - 1 WHERE place = ? AND key = ?", place, key)
    return bool(row["requests"] > 0)
