"""Azure scopes as values: parsed, normalised, compared as Azure compares them."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pal_components.guid import is_guid

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
    def subscription(self) -> str:
        """ARM id of the subscription that it is or lies in; empty for a management group."""
        return "" if self.kind is ScopeKind.MANAGEMENT_GROUP else "/".join(self.id.split("/")[:3])

    @property
    def role_definition_prefix(self) -> str:
        """The part that ARM puts before the id of a built-in role at this scope.

        The subscription's id, or nothing for a management group.
        """
        return self.subscription

    @property
    def parent(self) -> "Scope | None":
        """The scope that this one inherits role assignments from, as far as the id tells.

        A resource's is the resource that it is a part or an extension of, else its resource group, else its
        subscription. Subscriptions and management groups have none: their ids do not say where they are.
        """
        parts = self.id.split("/")[1:]
        if self.kind is ScopeKind.RESOURCE_GROUP:
            return _scope(parts[:2], ScopeKind.SUBSCRIPTION)
        if self.kind is not ScopeKind.RESOURCE:
            return None
        # What stands behind the last `providers` is NAMESPACE/TYPE/NAME, and one more TYPE/NAME for each nesting.
        head = 4 if parts[2].lower() == "resourcegroups" else 2
        last = max(i for i in range(head, len(parts)) if parts[i].lower() == "providers")
        rest = parts[:-2] if len(parts) - last > 4 else parts[:last]
        if len(rest) > head:
            return _scope(rest, ScopeKind.RESOURCE)
        return _scope(rest, ScopeKind.RESOURCE_GROUP if head == 4 else ScopeKind.SUBSCRIPTION)

    def contains(self, other: "Scope", hierarchy: "Hierarchy | None" = None) -> bool:
        """Whether a role assigned here holds at `other`: the same scope, or one below.

        Without a hierarchy nothing is known to be below a management group but itself.
        Raises InvalidHierarchy for one in which a management group is below itself.
        """
        return self in _lineage(other, _parents(hierarchy))


Hierarchy: TypeAlias = Mapping[Scope, Collection[Scope]]
"""What is below management groups: subscriptions and further management groups, each directly or through others."""


@dataclass(frozen=True)
class Redundant:
    """A scope that adds nothing to what others cover."""

    scope: Scope
    """The scope that could be left out."""
    because: Scope
    """The scope that contains it, one of those that are covered."""


@dataclass(frozen=True)
class Coverage:
    """The union of some scopes."""

    covered: tuple[Scope, ...]
    """The fewest of the scopes that together are all of them, in the order in which they were given."""
    redundant: tuple[Redundant, ...]
    """The others."""


class InvalidHierarchy(ValueError):
    """A hierarchy in which a management group is below itself."""


def coverage(scopes: Iterable[Scope], hierarchy: Hierarchy | None = None) -> Coverage:
    """Return the union of scopes: recognition runs over the resources under any of them, and counts each once.

    `hierarchy` says what is below management groups; without it a subscription is never redundant because of one.
    Raises InvalidHierarchy.
    """
    parents = _parents(hierarchy)
    distinct = dict.fromkeys(scopes)
    # The last of those that contain a scope is one that none of the others contains.
    outermost = {
        scope: next((above for above in reversed(_lineage(scope, parents)) if above in distinct), scope)
        for scope in distinct
    }
    return Coverage(
        tuple(scope for scope, above in outermost.items() if scope == above),
        tuple(Redundant(scope, above) for scope, above in outermost.items() if scope != above),
    )


def uncovered(
    wanted: Iterable[Scope], scopes: Iterable[Scope], hierarchy: Hierarchy | None = None
) -> tuple[Scope, ...]:
    """Return what of the wanted scopes is under none of the given ones, as the fewest scopes.

    For a management group that is not covered itself but is listed in `hierarchy`, that is what is below it and not
    covered: the list is taken to be complete. Of any other scope nobody knows its parts, so it is returned whole even
    where some are covered.
    Raises InvalidHierarchy.
    """
    parents = _parents(hierarchy)
    below = hierarchy or {}
    given = set(scopes)

    def missing(scope: Scope) -> Iterator[Scope]:
        if given.intersection(_lineage(scope, parents)):
            return
        if below.get(scope):
            for child in below[scope]:
                yield from missing(child)
        else:
            yield scope

    return coverage((left for scope in wanted for left in missing(scope)), hierarchy).covered


def _parents(hierarchy: Hierarchy | None) -> dict[Scope, list[Scope]]:
    """Return the management groups that each scope is said to be below."""
    parents: dict[Scope, list[Scope]] = {}
    for group, members in (hierarchy or {}).items():
        for member in members:
            parents.setdefault(member, []).append(group)
    return parents


def _lineage(scope: Scope, parents: Mapping[Scope, list[Scope]]) -> list[Scope]:
    """Return the scope and everything above it; each stands before what is above it, and may stand there again."""
    lineage = [scope]
    while (above := lineage[-1].parent) is not None:
        lineage.append(above)

    def climb(group: Scope, path: tuple[Scope, ...]) -> None:
        if group in path:
            raise InvalidHierarchy(f"{group} is below itself in the hierarchy")
        for above in parents.get(group, ()):
            lineage.append(above)
            climb(above, (*path, group))

    for member in tuple(lineage):
        climb(member, ())
    return lineage


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
        hint = f". Did you mean '/subscriptions/{text.lower()}'?" if is_guid(text) else ""
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
    if not is_guid(parts[1]):
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
