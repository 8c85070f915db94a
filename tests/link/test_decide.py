"""The decision about a link, as a table."""

import pytest

from pal_components.link.decide import Action, Link, OnConflict, Unreadable, decide

OURS, NEW, THEIRS = "4567891", "4567892", "5127255"


def link(partner_id: str, state: str = "Active") -> Link:
    return Link(partner_id, "tenant", "object", state=state)


@pytest.mark.parametrize(
    ("current", "on_conflict", "managed", "action"),
    [
        # A first link.
        (None, OnConflict.FAIL, None, Action.CREATE),
        (None, OnConflict.REPLACE, None, Action.CREATE),
        (link(OURS), OnConflict.FAIL, None, Action.ADOPT),
        (link(OURS), OnConflict.REPLACE, None, Action.ADOPT),
        (link(THEIRS), OnConflict.FAIL, None, Action.REFUSE),
        (link(THEIRS), OnConflict.REPLACE, None, Action.SWITCH),
        # One that says it is gone counts as none.
        (link(OURS, "Deleted"), OnConflict.FAIL, None, Action.CREATE),
        (link(THEIRS, "Deleted"), OnConflict.FAIL, None, Action.CREATE),
        (link(OURS, "Suspended"), OnConflict.FAIL, None, Action.CREATE),
        # A link of ours whose partner ID stays.
        (link(OURS), OnConflict.FAIL, OURS, Action.NOTHING),
        (None, OnConflict.FAIL, OURS, Action.CREATE),
        (link(THEIRS), OnConflict.FAIL, OURS, Action.REFUSE),
        (link(THEIRS), OnConflict.REPLACE, OURS, Action.SWITCH),
        # A link of ours whose partner ID changes from NEW to OURS.
        (link(NEW), OnConflict.FAIL, NEW, Action.SWITCH),
        (link(OURS), OnConflict.FAIL, NEW, Action.ADOPT),
        (link(THEIRS), OnConflict.FAIL, NEW, Action.REFUSE),
        (link(THEIRS), OnConflict.REPLACE, NEW, Action.SWITCH),
        (None, OnConflict.FAIL, NEW, Action.CREATE),
        # What cannot be read is never changed.
        (Unreadable("HTML"), OnConflict.FAIL, None, Action.REFUSE),
        (Unreadable("HTML"), OnConflict.REPLACE, OURS, Action.REFUSE),
    ],
)
def test_linking(
    current: Link | Unreadable | None, on_conflict: OnConflict, managed: str | None, action: Action
) -> None:
    """What is, and what was set before, decide how a link to OURS is reached."""
    assert decide(current, OURS, on_conflict, managed) is action


@pytest.mark.parametrize(
    ("current", "managed", "action"),
    [
        (None, OURS, Action.NOTHING),
        (link(OURS, "Deleted"), OURS, Action.NOTHING),
        (link(OURS), OURS, Action.REMOVE),
        (link(THEIRS), OURS, Action.LEAVE),
        # A link that does not count at the moment is ours all the same.
        (link(OURS, "Suspended"), OURS, Action.REMOVE),
        (link(THEIRS, "Suspended"), OURS, Action.LEAVE),
        (Unreadable("HTML"), OURS, Action.REFUSE),
    ],
)
def test_removing(current: Link | Unreadable | None, managed: str, action: Action) -> None:
    """Only a link that still names what was set is removed, whatever the conflict policy says."""
    assert decide(current, None, OnConflict.FAIL, managed) is action
    assert decide(current, None, OnConflict.REPLACE, managed) is action


def test_state_in_any_case() -> None:
    """`active` counts as well as `Active`."""
    assert decide(link(OURS, "active"), OURS) is Action.ADOPT
