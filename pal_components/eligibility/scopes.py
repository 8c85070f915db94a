"""Azure scopes as values: parsed, normalised, compared as Azure compares them."""

import re
from dataclasses import dataclass
from enum import Enum

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_NAME = re.compile(r"[^/<>%&?#\\\x00-\x1f]+")
_FORMS = (
    "/providers/Microsoft.Management/managementGroups/NAME, /subscriptions/GUID, "
    "/subscriptions/GUID/resourceGroups/NAME or a resource's id"
)


class ScopeKind(str, Enum):
    """The four kinds of scope on which a partner can be recognised."""

    MANAGEMENT_GROUP = "managementGroup"
    SUBSCRIPTION = "subscription"
    RESOURCE_GROUP = "resourceGroup"
    RESOURCE = "resource"


@dataclass(frozen=True)
class Scope:
    """A scope in its normal form: canonical keywords, no trailing slash, GUIDs in lower case.

    Two scopes are equal when Azure takes them for the same, whatever the case of their names.
    """

    key: str
    """The id in lower case: what is compared."""
    id: str
    """The ARM id in its normal form."""
    kind: ScopeKind
    """Which of the four kinds it is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scope) and other.key == self.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return self.id

    @property
    def role_definition_prefix(self) -> str:
        """The part that ARM puts before the id of a built-in role at this scope.

        The subscription's id, or nothing for a management group.
        """
        return "" if self.kind is ScopeKind.MANAGEMENT_GROUP else "/".join(self.id.split("/")[:3])


class InvalidScope(ValueError):
    """A text that is no scope on which a partner can be recognised."""


def parse_scope(given: str) -> Scope:
    """Parse an ARM id into a Scope.

    Takes a management group, subscription, resource group or resource id, any case, with or without a trailing slash.
    Raises InvalidScope that says what is wrong and which forms there are.
    """
    text = given.strip()
    if text == "/":
        raise InvalidScope(
            "'/' is the whole tenant, which no partner should hold and Partner Admin Link does not count: "
            f"name management groups, subscriptions or what is below them ({_FORMS})"
        )
    if not text.startswith("/"):
        hint = f". Did you mean '/subscriptions/{text.lower()}'?" if _GUID.fullmatch(text) else ""
        raise InvalidScope(f"{given!r} is no ARM id: it must start with '/' ({_FORMS}){hint}")
    parts = text.rstrip("/").split("/")[1:]
    if not parts or not all(_NAME.fullmatch(part) and part.strip() == part for part in parts):
        raise InvalidScope(
            f"{given!r} is no ARM id: a part of it is empty or has characters that no name has ({_FORMS})"
        )
    lowered = [part.lower() for part in parts]

    if lowered[:2] == ["providers", "microsoft.management"]:
        if len(parts) == 4 and lowered[2] == "managementgroups":
            return _scope(
                ["providers", "Microsoft.Management", "managementGroups", parts[3]],
                ScopeKind.MANAGEMENT_GROUP,
            )
        raise InvalidScope(f"{given!r} is no management group: /providers/Microsoft.Management/managementGroups/NAME")

    if lowered[0] != "subscriptions" or len(parts) < 2:
        raise InvalidScope(f"{given!r} is no scope of a role assignment that counts ({_FORMS})")
    if not _GUID.fullmatch(parts[1]):
        raise InvalidScope(f"{given!r} is no ARM id: {parts[1]!r} is not a subscription's GUID")
    head = ["subscriptions", lowered[1]]
    rest = parts[2:]
    if not rest:
        return _scope(head, ScopeKind.SUBSCRIPTION)
    if lowered[2] == "resourcegroups":
        if len(rest) < 2:
            raise InvalidScope(f"{given!r} names no resource group")
        head += ["resourceGroups", rest[1]]
        rest = rest[2:]
        if not rest:
            return _scope(head, ScopeKind.RESOURCE_GROUP)
    while rest:
        if rest[0].lower() != "providers" or len(rest) < 4:
            raise InvalidScope(f"{given!r} is no resource's id: .../providers/NAMESPACE/TYPE/NAME is expected")
        end = next((i for i in range(1, len(rest)) if rest[i].lower() == "providers"), len(rest))
        if end % 2:
            raise InvalidScope(f"{given!r} is no resource's id: a TYPE is without its NAME")
        head += ["providers", *rest[1:end]]
        rest = rest[end:]
    return _scope(head, ScopeKind.RESOURCE)


def _scope(parts: list[str], kind: ScopeKind) -> Scope:
    text = "/" + "/".join(parts)
    return Scope(text.lower(), text, kind)
