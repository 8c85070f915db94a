"""What all of Microsoft Graph's parts share: bodies, `$select`, `$filter`, and the refusals for what is not there."""

import json
import re
from collections.abc import Callable, Collection
from typing import Any

from pal_components.sandbox.errors import GraphError
from pal_components.sandbox.tokens import Caller
from pal_components.sandbox.wire import Call

Document = dict[str, Any]

_TERM = re.compile(
    r"\s*(?:(?P<name>\w+)\s+eq\s+(?:'(?P<text>(?:[^']|'')*)'|(?P<truth>true|false))"
    r"|(?P<list>\w+)/any\((?P<item>\w+):\s*(?P=item)\s+eq\s+'(?P<entry>(?:[^']|'')*)'\))\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"and\b", re.IGNORECASE)


def caller(call: Call) -> Caller:
    """Return whose request it is."""
    assert call.caller is not None
    return call.caller


def denied() -> GraphError:
    """Return the refusal of what the caller has no permission for."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def missing(object_id: str) -> GraphError:
    """Return the refusal for an object that is not there."""
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{object_id}' does not exist or one of its queried reference-property objects are not present.",
    )


def bad_request(message: str, detail: str | None = None, target: str | None = None) -> GraphError:
    """Return the refusal of a request that cannot be carried out, with a detail's code and property if any."""
    details = [{"code": detail, "message": message, "target": target or ""}] if detail else None
    return GraphError(400, "Request_BadRequest", message, details)


def body(call: Call) -> Document:
    """Return the object that a request sends.

    Raises:
        GraphError: it sends none.
    """
    try:
        document = json.loads(call.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
    return document


def selected(call: Call, document: Document) -> Document:
    """Return of a document what `$select` names, everything where it names nothing."""
    select = call.query.get("$select")
    if not select:
        return document
    names = {name.strip() for name in select.split(",")} | {"id"}
    return {key: value for key, value in document.items() if key in names or key.startswith("@")}


def filtered(call: Call, documents: list[Document], properties: Collection[str]) -> list[Document]:
    """Return the documents that fit `$filter`, which may name these properties."""
    expression = call.query.get("$filter")
    if expression is None:
        return documents
    fits = _terms(expression, properties)
    return [document for document in documents if all(fit(document) for fit in fits)]


def _terms(expression: str, properties: Collection[str]) -> list[Callable[[Document], bool]]:
    """Return what tells whether a document fits, for each term of a filter whose terms are joined by `and`."""
    found: list[Callable[[Document], bool]] = []
    position = 0
    while match := _TERM.match(expression, position):
        found.append(_term(match, properties))
        position = match.end()
        joint = _AND.match(expression, position)
        if joint is None:
            break
        position = joint.end()
    if position < len(expression) or not found:
        raise GraphError(400, "Request_UnsupportedQuery", f"The sandbox does not understand the filter: {expression}")
    return found


def _term(match: re.Match[str], properties: Collection[str]) -> Callable[[Document], bool]:
    name = match["name"] or match["list"]
    if name not in properties:
        raise GraphError(400, "Request_UnsupportedQuery", f"Unsupported property filter clause on '{name}'.")
    if match["truth"]:
        truth = match["truth"].lower() == "true"
        return lambda document: document.get(name) is truth
    wanted = (match["text"] if match["text"] is not None else match["entry"]).replace("''", "'").lower()

    def fits(document: Document) -> bool:
        value = document.get(name)
        if isinstance(value, list):
            return any(str(entry).lower() == wanted for entry in value)
        return str(value).lower() == wanted

    return fits
