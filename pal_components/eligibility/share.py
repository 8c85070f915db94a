"""Which share of a month counts.

Shares are fractions, not floats: the parts of a month must add up to exactly 1, and what is multiplied with an amount
of money is rounded once, by whoever knows the currency.
"""

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

HOURS_PER_BILLING_MONTH = 730
"""Hours of a billing month, whatever the calendar says: the 8760 hours of a year / 12.

Source: Microsoft, Pricing calculator: a month is 730 hours.
"""


_MICROSECOND = timedelta(microseconds=1)


def assigned_share(
    year: int, month: int, periods: Iterable[tuple[date | datetime, date | datetime | None]]
) -> Fraction:
    """Return the share of a calendar month, 0 to 1, in which an eligible standing assignment existed.

    `periods` are pairs (since, until): when an assignment was made and when it was deleted, None while it exists. Each
    is a datetime with a time zone, or a date, which is its first moment in UTC: an assignment since the 10th counts
    from the 10th at 00:00 UTC on, and one until the 10th does not count on the 10th. Where periods overlap (several
    roles, several linked principals on the same resource), the time counts once.

        share = time of the month in the union of the periods / length of the month

    The month begins and ends at 00:00 UTC of a first day and is as long as the calendar says, 28 to 31 days, so that an
    assignment that was there all the time is 1 in February as in March. (730 hours would make it 672/730 and 744/730.)

    Partner earned credit is stricter than recognition: it is reckoned by the day, and a day counts only where access
    lasted all of it.

    Raises ValueError for a month that does not exist, a datetime without a time zone, or a period that ends before it
    begins.
    Source: Microsoft, Partner Admin Link: recognition from the moment the assignment exists until it is deleted, a part
    month in part.
    """
    first = datetime(year, month, 1, tzinfo=timezone.utc)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=timezone.utc)
    clipped = []
    for since, until in periods:
        start, stop = _moment(since), end if until is None else _moment(until)
        if until is not None and stop < start:
            raise ValueError(f"a period ends at {until} before it begins at {since}")
        if max(start, first) < min(stop, end):
            clipped.append((max(start, first), min(stop, end)))
    counted, reached = timedelta(), first
    for start, stop in sorted(clipped):
        counted += max(stop - max(start, reached), timedelta())
        reached = max(reached, stop)
    return Fraction(counted // _MICROSECOND, (end - first) // _MICROSECOND)


def activated_share(active: timedelta | int | Fraction | Decimal) -> Fraction:
    """Return the share of a billing month, 0 to 1, for a role that is eligible through PIM and active for some time.

    `active` is the time in the month during which the role was active, all activations together: a timedelta, or hours.

        share = hours active / 730, at most 1

    Eight hours are 8/730, in every month: billing months have 730 hours. A month of 31 days has 744, hence the limit.
    Service principals cannot activate a role: give them standing assignments, which `assigned_share` is for.

    Raises ValueError for a time that is negative or not finite.
    Source: Microsoft, Partner Admin Link and Privileged Identity Management: recognised only while the role is active.
    """
    if isinstance(active, Decimal) and not active.is_finite():
        raise ValueError(f"the time active is {active}: give hours, 0 or more")
    hours = Fraction(active // _MICROSECOND, 3_600_000_000) if isinstance(active, timedelta) else Fraction(active)
    if hours < 0:
        raise ValueError(f"the time active is {active}: give hours, 0 or more")
    return min(hours / HOURS_PER_BILLING_MONTH, Fraction(1))


def _moment(value: date | datetime) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if value.utcoffset() is None:
        raise ValueError(f"{value} has no time zone: Azure's times are in UTC, so say which zone this is in")
    return value.astimezone(timezone.utc)
