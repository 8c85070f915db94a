"""Azure's built-in roles as the sandbox needs them: names, GUIDs and, for a few, what they allow."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files

# Azure built-in roles, Microsoft Learn, 2026-08-22. Only these decide who may do something here; every other role
# may read role assignments and resource groups, as nearly all of Azure's may.
_ACTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "Owner": (("*",), ()),
    "Contributor": (
        ("*",),
        (
            "Microsoft.Authorization/*/Delete",
            "Microsoft.Authorization/*/Write",
            "Microsoft.Authorization/elevateAccess/Action",
        ),
    ),
    "Reader": (("*/read",), ()),
    "User Access Administrator": (("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"), ()),
    "Role Based Access Control Administrator": (
        (
            "Microsoft.Authorization/roleAssignments/write",
            "Microsoft.Authorization/roleAssignments/delete",
            "*/read",
            "Microsoft.Support/*",
        ),
        (),
    ),
    "Managed Services Registration assignment Delete Role": (
        (
            "Microsoft.ManagedServices/registrationAssignments/read",
            "Microsoft.ManagedServices/registrationAssignments/delete",
            "Microsoft.ManagedServices/operationStatuses/read",
        ),
        (),
    ),
    "Support Request Contributor": (
        (
            "Microsoft.Authorization/*/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            "Microsoft.Support/*",
        ),
        (),
    ),
}
_OTHERS = (("Microsoft.Authorization/*/read", "Microsoft.Resources/subscriptions/resourceGroups/read"), ())


@dataclass(frozen=True)
class Role:
    """A built-in role; ``guid`` is its role definition's name."""

    guid: str
    name: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    lighthouse: str
    """Whether Azure Lighthouse can delegate it, in the table's words: "yes", or what is in the way."""

    def allows(self, action: str) -> bool:
        """Whether the role allows an action such as ``Microsoft.Authorization/roleAssignments/write``."""
        return _matches(action, self.actions) and not _matches(action, self.not_actions)


def _matches(action: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)


@cache
def built_in_roles() -> dict[str, Role]:
    """Return every built-in role by its GUID, in the table's order."""
    table = files("pal_components") / "eligibility" / "azure_built_in_roles.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    roles = {}
    for row in csv.DictReader(lines):
        guid, name = row["role_definition_guid"].lower(), row["role_name"]
        roles[guid] = Role(guid, name, *_ACTIONS.get(name, _OTHERS), lighthouse=row["lighthouse"])
    return roles


def role_named(name: str) -> Role | None:
    """Return the built-in role with this name, in any case."""
    return next((role for role in built_in_roles().values() if role.name.lower() == name.lower()), None)
