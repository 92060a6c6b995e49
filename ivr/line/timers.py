"""The SIP thread's timers: what shall be done to a leg later, unless it is over by then. Pure: the time is given."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


class Timers(Generic[Subject]):
    """A heap of (when, leg id, what). Holds ids, not legs: a pending timer keeps no native call alive."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Callable[[Subject], None]]] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at_s: float, leg: int, then: Callable[[Subject], None]) -> None:
        heapq.heappush(self._heap, (at_s, next(self._order), leg, then))

    def due(self, now_s: float) -> Iterator[tuple[int, Callable[[Subject], None]]]:
        """Take out what is due, earliest first; in the order of `add` where times are equal."""
        while self._heap and self._heap[0][0] <= now_s:
            _, _, leg, then = heapq.heappop(self._heap)
            yield leg, then

    def forget(self, leg: int) -> None:
        """Drop everything that awaits this leg."""
        self._heap = [timer for timer in self._heap if timer[2] != leg]
        heapq.heapify(self._heap)
