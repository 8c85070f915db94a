"""What to do about a link, given what is and what should be: pure, so that it can be read as a table."""

from dataclasses import dataclass
from enum import Enum


class OnConflict(str, Enum):
    """What to do with a link that already names another partner."""

    FAIL = "fail"
    """Refuse, naming both partner IDs, and change nothing."""
    REPLACE = "replace"
    """Switch the link to this partner ID."""


class Origin(str, Enum):
    """How a link came about."""

    CREATED = "created"
    """There was none; this library made it."""
    ADOPTED = "adopted"
    """It was there already and names the same partner. It is managed from then on, and removed at destroy."""
    SWITCHED = "switched"
    """It named another partner ID before and was changed in place."""


class Action(Enum):
    """What to do about a link."""

    CREATE = "create"
    ADOPT = "adopt"
    SWITCH = "switch"
    REMOVE = "remove"
    NOTHING = "nothing"
    REFUSE = "refuse"
    LEAVE = "leave"


@dataclass(frozen=True)
class Link:
    """A link as the service shows it."""

    partner_id: str
    """The partner's location account ID (PLA), digits."""
    tenant_id: str
    """Tenant of the principal, GUID."""
    object_id: str
    """Object id of the principal in that tenant, GUID."""
    partner_name: str | None = None
    """The partner's name, where the service tells it."""
    state: str = "Active"
    """`Active`, or what else the service says."""
    version: int | None = None
    """The service's counter: every change of the record adds one, a removal too."""
    created_time: str | None = None
    """When the principal was linked for the first time, ISO 8601, as the service wrote it. It survives a removal."""
    updated_time: str | None = None
    """When the record changed last, ISO 8601, as the service wrote it."""

    @property
    def deleted(self) -> bool:
        """Whether the service shows a record of a link that is gone."""
        return self.state.casefold() == "deleted"

    @property
    def active(self) -> bool:
        """Whether the link counts."""
        return self.state.casefold() == "active"


@dataclass(frozen=True)
class Unreadable:
    """There may be a link, but the service's answer could not be understood."""

    reason: str
    """What was wrong with the answer."""


def decide(
    current: Link | Unreadable | None,
    partner_id: str | None,
    on_conflict: OnConflict = OnConflict.FAIL,
    managed: str | None = None,
) -> Action:
    """Return what to do about `current`.

    `partner_id` is the partner ID that the link should name, or None where there should be no link. `managed` is the
    partner ID that this library set before on the same principal, or None: a link that still names it is ours to change
    or to remove, and any other belongs to another partner.
    """
    if isinstance(current, Unreadable):
        return Action.REFUSE
    if partner_id is None:
        if current is None or current.deleted:
            return Action.NOTHING
        return Action.REMOVE if current.partner_id == managed else Action.LEAVE
    if current is None or not current.active:
        return Action.CREATE
    there = current.partner_id
    if there == partner_id:
        return Action.NOTHING if there == managed else Action.ADOPT
    if there == managed or on_conflict is OnConflict.REPLACE:
        return Action.SWITCH
    return Action.REFUSE
