"""What the process keeps of the memory it freed: the C allocator of glibc, told. Elsewhere nothing is done.

The models decode on many threads. glibc gives each an arena of its own, and what a long utterance once needed stays in
every one of them: measured, 60 MB each. Two arenas decode as fast as eight.
"""

from __future__ import annotations

import ctypes

ARENAS = 2
_M_ARENA_MAX = -8  # malloc.h


def share_arenas() -> None:
    """All threads share a few arenas. To be called before there are any."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, ARENAS)


def give_back() -> None:
    """Return to the system what is freed, of every arena: some milliseconds, in which no thread is given memory."""
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
