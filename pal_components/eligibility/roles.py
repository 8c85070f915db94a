"""The dated table of Azure built-in roles and what each is worth for partner earned credit (PEC)."""

import csv
import difflib
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files

from pal_components.guid import is_guid

ROLES_DATE = "2026-08-22"
"""Day on which the built-in roles (names and GUIDs) were taken, ISO 8601."""

ROLES_SOURCE = "Microsoft Learn, Azure built-in roles"
"""Where the names and GUIDs of the built-in roles come from."""

VERDICTS_DATE = "2022-11-08"
"""Day of the list of roles eligible for partner earned credit, ISO 8601: Microsoft has published no newer one."""

VERDICTS_SOURCE = "Microsoft, Roles and permissions required to earn partner earned credit"
"""Where the verdicts come from."""

LEAST_PRIVILEGE = "Support Request Contributor"
"""The eligible role with the fewest rights: it may open support requests and read nothing."""

_ROLE_ID = re.compile(
    r"(?P<scope>/.*)?/providers/Microsoft\.Authorization/roleDefinitions/(?P<guid>[^/]+)/?", re.IGNORECASE
)


class Verdict(str, Enum):
    """Whether a role counts for partner earned credit."""

    YES = "yes"
    """Listed as eligible."""
    NO = "no"
    """Listed as not eligible: an assignment of it earns nothing."""
    UNLISTED = "unlisted"
    """On neither list: newer than the list, or a custom role. Nothing is claimed and nothing denied."""


@dataclass(frozen=True)
class Role:
    """A role definition and its verdict."""

    guid: str
    """GUID of the role definition, lower case. It outlives renames."""
    name: str
    """Current name; the GUID for a role that is not in the table."""
    verdict: Verdict
    """Whether it counts for partner earned credit."""
    former_name: str | None = None
    """Name in the list of verdicts where it differs from the current one."""
    built_in: bool = True
    """False for a role that the table of built-in roles does not have: a custom role, or a very new one."""
    definition_scope: str | None = None
    """For a role given by its full id outside the table: the id's part before `/providers/Microsoft.Authorization`."""
    lighthouse: str | None = None
    """Whether Azure Lighthouse can delegate it: `yes`, or why not (`data-actions`, `authorization-actions`, `owner`,
    `delegated-roles-only`). None for a role that is not in the table."""
    verdict_date: str = VERDICTS_DATE
    """Day of the list that the verdict comes from, ISO 8601."""
    verdict_source: str = VERDICTS_SOURCE
    """The list that the verdict comes from."""


class UnknownRole(ValueError):
    """No built-in role has this name or GUID form."""

    def __init__(self, given: str, nearest: list[str]) -> None:
        """Keep what was given and the names nearest to it."""
        self.given = given
        self.nearest = nearest
        hint = (
            f"the nearest are {', '.join(repr(name) for name in nearest)}"
            if nearest
            else "give a built-in role's name, its GUID or a full role definition id"
        )
        super().__init__(f"there is no built-in role {given!r} in the table of {ROLES_DATE}: {hint}")


@lru_cache(maxsize=1)
def table() -> tuple[Role, ...]:
    """Return every built-in role of the table, in its order."""
    source = files(__package__).joinpath("azure_built_in_roles.csv")
    with source.open(encoding="utf-8") as lines:
        return tuple(
            Role(
                guid=row["role_definition_guid"].lower(),
                name=row["role_name"].strip(),
                verdict=Verdict(row["pec_eligible"]),
                former_name=row["pec_table_name"] or None,
                lighthouse=row["lighthouse"],
            )
            for row in csv.DictReader(lines)
        )


@lru_cache(maxsize=1)
def _by_guid() -> dict[str, Role]:
    return {role.guid: role for role in table()}


@lru_cache(maxsize=1)
def _by_name() -> dict[str, Role]:
    former = {role.former_name.casefold(): role for role in table() if role.former_name}
    return former | {role.name.casefold(): role for role in table()}


def find_role(given: str) -> Role:
    """Find a role by its current or former name (any case), its GUID, or its full role definition id.

    A GUID or id that the table does not have is a custom or very new role: it is returned as unlisted. Names change and
    GUIDs do not, so a current name wins over a former one.

    Raises UnknownRole, with the nearest names, for a name that no built-in role has.
    """
    text = given.strip()
    scope = None
    if match := _ROLE_ID.fullmatch(text):
        text, scope = match["guid"], match["scope"]
    if is_guid(text):
        guid = text.lower()
        return _by_guid().get(guid) or Role(guid, guid, Verdict.UNLISTED, None, False, scope)
    if role := _by_name().get(" ".join(text.split()).casefold()):
        return role
    nearest = difflib.get_close_matches(text.casefold(), list(_by_name()), n=3, cutoff=0.6)
    raise UnknownRole(given, list(dict.fromkeys(_by_name()[name].name for name in nearest)))


def why_not_eligible(role: Role) -> str:
    """Say why a role with the verdict `no` must not be used for recognition, and which role to use instead."""
    return (
        f"{role.name!r} ({role.guid}) earns no partner earned credit: it is listed as not eligible "
        f"({role.verdict_source}, {role.verdict_date}). Use {LEAST_PRIVILEGE!r}, the least privilege that counts, "
        f"or another eligible role, and give {role.name!r} in supporting_roles if the principal needs it as well"
    )


def why_unlisted(role: Role) -> str:
    """Say what is not known about a role with the verdict `unlisted`."""
    kind = "it is newer than the list" if role.built_in else "it is a custom role or newer than the table"
    return (
        f"{role.name!r} ({role.guid}) is on neither side of Microsoft's list of {role.verdict_date}: {kind}, "
        f"so nobody can say that it earns partner earned credit. {LEAST_PRIVILEGE!r} beside it is safe"
    )
