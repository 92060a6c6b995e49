"""How many native I/O handles may still be opened.

The library's select() queues hold 64 handles each and keep a closed one for another 500 ms; one more than that is not
an error there but a failed assertion, which ends the process. So whoever opens handles counts first. Pure: the time
is given.
"""

from __future__ import annotations

from collections import deque

QUEUE_HANDLES = 64
CLOSED_KEPT_S = 0.6


class Handles:
    """Things that hold handles of one queue: `live` ones, and those closed within the last CLOSED_KEPT_S."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.live = 0
        self._closed: deque[float] = deque()

    def closed(self, now_s: float) -> None:
        """A thing's handles were closed at `now_s`."""
        self._closed.append(now_s)

    def kept(self) -> None:
        """The thing closed last was not closed after all: it lives."""
        if self._closed:
            self._closed.pop()

    def room(self, now_s: float) -> int:
        """How many things may be opened at `now_s`."""
        while self._closed and now_s - self._closed[0] > CLOSED_KEPT_S:
            self._closed.popleft()
        return self.limit - self.live - len(self._closed)
