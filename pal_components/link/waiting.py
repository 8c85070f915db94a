"""The one waiting policy: what may work in a moment is tried again, within one budget per operation."""

import random
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from pal_components.link.errors import LinkError

DEFAULT_BUDGET = 300.0
"""How long one operation may wait in all, in seconds."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 15.0
_SILENT = 10.0

T = TypeVar("T")


class Waiting:
    """A budget of seconds that the calls of one operation share.

    The pause doubles from half a second to 15, with jitter; a pause that the service asks for comes in its place. One
    line tells what is waited for once it takes longer than 10 seconds. Clock and sleep are injected, so tests wait for
    nothing.
    """

    def __init__(
        self,
        budget: float = DEFAULT_BUDGET,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        tell: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201 the engine shows it
    ) -> None:
        """Start the budget, in seconds, now."""
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter
        self.tell = tell
        self._begin = clock()
        self._budget = budget
        self._told = False

    def run(self, attempt: Callable[[], T]) -> T:
        """Return what `attempt` returns, trying again after each transient LinkError while the budget lasts.

        Raises the last LinkError: at once when it is not transient, else when the next try would come too late.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                return attempt()
            except LinkError as error:
                wait = error.retry_after
                if wait is None:
                    wait = pause * (0.5 + self._jitter() / 2)
                spent = self._clock() - self._begin
                if not error.transient or spent + wait > self._budget:
                    if error.transient:
                        error.text += f" (given up after {spent:.0f} s of {self._budget:.0f} s)"
                    raise
                if not self._told and spent + wait > _SILENT:
                    self._told = True
                    self.tell(f"still waiting, at most {self._budget - spent:.0f} s more: {error.text}")
            self._sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE)
