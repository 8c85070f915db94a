"""What was asked of the sandbox: one row for each request, without bodies, tokens and secrets."""

from typing import Any
from urllib.parse import urlencode

from pal_components.sandbox.state import State
from pal_components.sandbox.wire import Call


def record(state: State, call: Call, *, time: str, status: int, fault: str | None = None) -> None:
    """Write the row of a request that was answered with ``status`` (0: not at all) and met this fault."""
    # A sign-in's query is left out: a client that puts its secret there would have it kept here.
    query = "" if "/oauth2/" in call.path.lower() else urlencode(list(call.query.items()))
    state.run(
        "INSERT INTO journal (time, method, path, query, status, tenant, caller, user_agent, request_id, fault)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        time,
        call.method,
        call.path,
        query,
        status,
        call.tenant,
        call.caller.object_id if call.caller else None,
        call.headers.get("user-agent"),
        call.request_id,
        fault,
    )


def rows(state: State, since: int = 0) -> list[dict[str, Any]]:
    """Return the requests with a number above ``since``, oldest first, with the number as ``n``."""
    return [
        {
            "n": row["n"],
            "time": row["time"],
            "method": row["method"],
            "path": row["path"],
            "query": row["query"],
            "status": row["status"],
            "tenant": row["tenant"],
            "caller": row["caller"],
            "userAgent": row["user_agent"],
            "requestId": row["request_id"],
            "fault": row["fault"],
        }
        for row in state.all("SELECT * FROM journal WHERE n > ? ORDER BY n", since)
    ]
