"""The waiting policy, with a clock of its own."""

import pytest

from pal_components.link.errors import LinkError, ServiceUnavailable
from pal_components.link.waiting import Waiting


class Clock:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def waiting(clock: Clock, budget: float = 300.0, told: list[str] | None = None) -> Waiting:
    tell = (told if told is not None else []).append
    return Waiting(budget, clock=lambda: clock.now, sleep=clock.sleep, jitter=lambda: 1.0, tell=tell)


def failing(times: int, error: LinkError):
    """Return an attempt that fails so often, then succeeds."""
    left = [times]

    def attempt() -> str:
        if left[0]:
            left[0] -= 1
            raise error
        return "done"

    return attempt


def test_success_waits_for_nothing() -> None:
    """What works at once costs no pause."""
    clock = Clock()
    assert waiting(clock).run(lambda: 1) == 1
    assert clock.pauses == []


def test_pauses_double_up_to_a_limit() -> None:
    """From half a second, doubled, to 15 seconds."""
    clock = Clock()
    assert waiting(clock).run(failing(7, ServiceUnavailable("busy"))) == "done"
    assert clock.pauses == [0.5, 1, 2, 4, 8, 15, 15]


def test_retry_after_comes_in_place_of_the_pause() -> None:
    """A pause that the service asks for is kept to the second."""
    clock = Clock()
    waiting(clock).run(failing(2, ServiceUnavailable("busy", retry_after=7)))
    assert clock.pauses == [7, 7]


def test_permanent_failures_are_raised_at_once() -> None:
    """Nobody waits for what waiting cannot mend."""
    clock = Clock()
    with pytest.raises(LinkError, match="^wrong. See docs"):
        waiting(clock).run(failing(1, LinkError("wrong")))
    assert clock.pauses == []


def test_the_budget_is_one_for_all_calls() -> None:
    """The second call has what the first one left; the error says how long it took."""
    clock = Clock()
    shared = waiting(clock, budget=20)
    shared.run(failing(4, ServiceUnavailable("busy")))  # 7.5 s
    with pytest.raises(ServiceUnavailable, match=r"busy \(given up after 15 s of 20 s\)"):
        shared.run(failing(100, ServiceUnavailable("busy")))
    assert clock.now <= 20


def test_a_pause_longer_than_the_budget_is_not_begun() -> None:
    """A service that asks for an hour is told off at once."""
    clock = Clock()
    with pytest.raises(ServiceUnavailable):
        waiting(clock).run(failing(1, ServiceUnavailable("busy", retry_after=3600)))
    assert clock.pauses == []


def test_long_waits_are_told_once() -> None:
    """One line says what is waited for, when it takes more than ten seconds."""
    clock, told = Clock(), []
    waiting(clock, told=told).run(failing(8, ServiceUnavailable("busy")))
    assert len(told) == 1
    assert "busy" in told[0]
