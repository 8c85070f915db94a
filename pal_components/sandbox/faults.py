"""What the sandbox does wrong when told to: for requests that fit a pattern, counted, in the state of the world."""

import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from pal_components.sandbox import admin
from pal_components.sandbox.errors import SandboxError
from pal_components.sandbox.state import State

ACTIONS = {
    "status": "refuse with --status, in the service's own form, and do nothing",
    "cut_before": "close the connection without doing anything",
    "cut_after": "do what was asked, then close the connection without an answer",
    "slow": "wait --seconds, then do what was asked",
    "html": "answer 200 with a page, as a proxy does, and do nothing",
    "truncated": "do what was asked, then send half of the JSON",
    "content_type": "do what was asked, then call the JSON text/plain",
    "shape": "do what was asked, then send a JSON list that means nothing",
    "empty": "do what was asked, then send 200 without a body",
}
STATUSES = (400, 401, 403, 404, 409, 429, 500, 502, 503, 504)

_PAGE = b"<!DOCTYPE html><html><head><title>Please wait</title></head><body>Please wait.</body></html>\n"
_HTML = "text/html; charset=utf-8"
_COLUMNS = ("action", "method", "path", "times", "skip", "seconds", "status", "code", "message", "retry_after")


@dataclass(frozen=True)
class Fault:
    """One fault that a request met. Fields are those of :func:`add`."""

    action: str
    seconds: float | None
    status: int | None
    code: str | None
    message: str | None
    retry_after: float | None

    @property
    def acts(self) -> bool:
        """Whether what was asked is done, whatever is answered."""
        return self.action not in ("status", "cut_before", "html")

    @property
    def cuts(self) -> bool:
        """Whether the connection is closed in place of an answer."""
        return self.action in ("cut_before", "cut_after")

    def spoiled(self, status: int, content: bytes, content_type: str) -> tuple[int, bytes, str]:
        """Return status, body and content type as the client gets them."""
        if self.action == "html":
            return 200, _PAGE, _HTML
        if self.action == "truncated":
            return status, content[: len(content) // 2], content_type
        if self.action == "content_type":
            return status, content, "text/plain; charset=utf-8"
        if self.action == "shape":
            return 200, b'["nobody", {"expects": "this"}, 42]', content_type
        if self.action == "empty":
            return 200, b"", content_type
        return status, content, content_type


def add(
    state: State,
    action: str,
    *,
    method: str | None = None,
    path: str | None = None,
    times: int | None = 1,
    skip: int = 0,
    seconds: float | None = None,
    status: int | None = None,
    code: str | None = None,
    message: str | None = None,
    retry_after: float | None = None,
) -> int:
    """Make requests meet a fault from now on, and return its number.

    It meets those with this ``method`` whose path has a match of the regular expression ``path`` (case aside; any
    where they are ``None``), after the first ``skip`` of them, ``times`` times (until cleared where ``None``). Where
    several faults fit, the oldest takes the request. ``seconds`` belongs to ``slow``; ``status``, ``code``,
    ``message`` and ``retry_after`` (seconds) to ``status``, whose code and message are the service's usual ones
    where they are ``None`` (at the sign-in service a code may be an AADSTS number).

    Raises:
        SandboxError: the action is unknown, or a value does not fit it.
    """
    if action not in ACTIONS:
        raise SandboxError(f"{action} is no fault: one of {', '.join(ACTIONS)}.")
    if (action == "status") != (status is not None) or (status is not None and status not in STATUSES):
        raise SandboxError(f"The fault 'status', and no other, has a status: one of {', '.join(map(str, STATUSES))}.")
    if action != "status" and (code, message, retry_after) != (None, None, None):
        raise SandboxError("Code, message and retry_after belong to the fault 'status'.")
    if (action == "slow") != (seconds is not None):
        raise SandboxError("The fault 'slow', and no other, has seconds.")
    if min(seconds or 0, retry_after or 0, skip, 0 if times is None else times - 1) < 0:
        raise SandboxError("A fault happens at least once, and no number of it is below zero.")
    try:
        re.compile(path or "")
    except re.error as error:
        raise SandboxError(f"The path {path} is no regular expression: {error}.") from None
    method = method.upper() if method else None
    values = (action, method, path, times, skip, seconds, status, code, message, retry_after)
    with state.transaction():
        marks = ", ".join("?" for _ in _COLUMNS)
        state.run(f"INSERT INTO fault ({', '.join(_COLUMNS)}) VALUES ({marks})", *values)  # noqa: S608 our own names
        row = state.one("SELECT max(id) AS id FROM fault")
    assert row is not None
    return int(row["id"])


def listed(state: State) -> list[dict[str, Any]]:
    """Return the faults that may still happen, oldest first: their numbers as ``id``, and what :func:`add` took."""
    return [dict(row) for row in state.all("SELECT * FROM fault ORDER BY id")]


def clear(state: State) -> None:
    """Forget every fault and every delay, also those that have begun, and what a PUT on an existing link does."""
    with state.transaction():
        for table in ("fault", "delay", "pending"):
            state.run(f"DELETE FROM {table}")  # noqa: S608 our own names
        admin.put_on_existing(state, "conflict")


def take(state: State, method: str, path: str) -> Fault | None:
    """Return the fault that this request meets, if there is one, and count it."""
    if state.one("SELECT 1 FROM fault") is None:
        return None
    with state.transaction():
        for row in state.all("SELECT * FROM fault ORDER BY id"):
            if row["method"] not in (None, method) or not re.search(row["path"] or "", path, re.IGNORECASE):
                continue
            if row["skip"]:
                state.run("UPDATE fault SET skip = skip - 1 WHERE id = ?", row["id"])
                continue
            return _counted(state, row)
    return None


def _counted(state: State, row: sqlite3.Row) -> Fault:
    if row["times"] == 1:
        state.run("DELETE FROM fault WHERE id = ?", row["id"])
    elif row["times"] is not None:
        state.run("UPDATE fault SET times = times - 1 WHERE id = ?", row["id"])
    return Fault(row["action"], row["seconds"], row["status"], row["code"], row["message"], row["retry_after"])
