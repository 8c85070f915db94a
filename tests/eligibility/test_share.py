"""The share of a month that counts."""

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pal_components.eligibility.share import activated_share, assigned_share

UTC = timezone.utc


@pytest.mark.parametrize(
    ("month", "since", "until", "share"),
    [
        ((2025, 6), date(2025, 6, 10), None, Fraction(21, 30)),
        ((2025, 6), date(2025, 1, 1), None, 1),
        ((2025, 6), date(2025, 6, 1), date(2025, 7, 1), 1),
        ((2025, 6), date(2025, 7, 1), None, 0),
        ((2025, 6), date(2025, 5, 1), date(2025, 6, 1), 0),
        ((2025, 6), date(2025, 5, 1), date(2025, 6, 10), Fraction(9, 30)),
        ((2025, 6), date(2025, 6, 10), date(2025, 6, 10), 0),
        ((2025, 12), date(2025, 12, 31), date(2026, 6, 1), Fraction(1, 31)),
        ((2024, 2), date(2024, 2, 29), None, Fraction(1, 29)),
        ((2025, 2), date(2025, 2, 28), None, Fraction(1, 28)),
        ((2100, 2), date(2100, 2, 28), None, Fraction(1, 28)),
        ((2025, 6), datetime(2025, 6, 30, 18, tzinfo=UTC), None, Fraction(6, 720)),
        ((2025, 6), datetime(2025, 6, 10, 2, tzinfo=timezone(timedelta(hours=2))), None, Fraction(21, 30)),
        ((2025, 6), datetime(2025, 7, 1, 1, tzinfo=timezone(timedelta(hours=2))), None, Fraction(1, 720)),
    ],
)
def test_an_assignment_counts_while_it_exists(
    month: tuple[int, int], since: date, until: date | None, share: Fraction
) -> None:
    """From the moment it is made until it is deleted, in UTC, of a month as long as it is."""
    assert assigned_share(*month, [(since, until)]) == share


def test_time_counts_once() -> None:
    """Assignments that exist at the same time add nothing to each other; a gap is a gap."""
    periods = [
        (date(2025, 6, 1), date(2025, 6, 11)),
        (date(2025, 6, 21), date(2025, 6, 26)),
        (date(2025, 6, 2), date(2025, 6, 4)),
        (date(2025, 6, 6), date(2025, 6, 16)),
    ]
    assert assigned_share(2025, 6, periods) == Fraction(20, 30)
    assert assigned_share(2025, 6, []) == 0


def test_what_is_no_period() -> None:
    """A time of unknown zone and an end before the start are refused, as is a month that does not exist."""
    with pytest.raises(ValueError, match="no time zone"):
        assigned_share(2025, 6, [(datetime(2025, 6, 1), None)])
    with pytest.raises(ValueError, match="before it begins"):
        assigned_share(2025, 6, [(date(2025, 6, 2), date(2025, 6, 1))])
    with pytest.raises(ValueError, match="month"):
        assigned_share(2025, 13, [])


MOMENTS = st.datetimes(datetime(2023, 11, 1), datetime(2024, 5, 1), timezones=st.just(UTC))


@given(MOMENTS, MOMENTS)
def test_the_shares_of_months_add_up(one: datetime, other: datetime) -> None:
    """The time in each month, reckoned from its share, adds up to the period, to the microsecond."""
    since, until = sorted([one, other])
    days = {(2023, 11): 30, (2023, 12): 31, (2024, 1): 31, (2024, 2): 29, (2024, 3): 31, (2024, 4): 30}
    shares = {month: assigned_share(*month, [(since, until)]) for month in days}
    assert all(0 <= share <= 1 for share in shares.values())
    total = sum(share * days[month] * 86_400_000_000 for month, share in shares.items())
    assert total == (until - since) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("active", "share"),
    [
        (8, Fraction(8, 730)),
        (timedelta(hours=8), Fraction(8, 730)),
        (timedelta(minutes=30), Fraction(1, 1460)),
        (Decimal("0.1"), Fraction(1, 7300)),
        (0, 0),
        (730, 1),
        (744, 1),
    ],
)
def test_an_activated_role_counts_by_the_hour(active: timedelta | int | Decimal, share: Fraction) -> None:
    """Of 730 hours, exactly, and never more than all of them."""
    assert activated_share(active) == share


@pytest.mark.parametrize("active", [-1, timedelta(hours=-1), Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_time(active: timedelta | int | Decimal) -> None:
    """A time below nothing, or none at all."""
    with pytest.raises(ValueError, match="0 or more"):
        activated_share(active)
