"""The few C functions and settings of the SIP library that pjsua2's Python classes do not show.

The wheel exports its C symbols, and it is pinned, so that they are what is written here. SIP thread only.
"""

from __future__ import annotations

import ctypes

from pjsua2 import _pjsua2

from ivr.errors import Unavailable

TIMERS_MS = (500, 4_000, 5_000, 32_000)  # T1, T2, T4 and 64*T1 of RFC 3261, section 17 and table 4
_SEARCHED_WORDS = 64

library = ctypes.CDLL(_pjsua2.__file__)


def symbol(name: str) -> ctypes._CFuncPtr:
    """An exported function. Raises Unavailable when the wheel is another one."""
    try:
        return library[name]
    except AttributeError:
        raise Unavailable(f"pjsua2 is not the pinned build: no {name}") from None


def max_calls() -> int:
    """Calls that the started library can hold; what was asked for, cut to what it was compiled with."""
    return int(symbol("pjsua_call_get_max_count")())


def calls_in_use() -> int:
    """Call slots taken now, those of calls included whose BYE nobody has answered yet."""
    return int(symbol("pjsua_call_get_count")())


def give_up_transactions_after(ms: int) -> None:
    """Replace 64*T1, the 32 s after which an unanswered request counts as lost; before the library starts.

    A dead host holds one of very few call slots for so long. T1 stays, and with it the retransmissions at 0.5, 1.5
    and 3.5 s.
    """
    words = (ctypes.c_uint * _SEARCHED_WORDS).in_dll(library, "pjsip_sip_cfg_var")
    for place in range(_SEARCHED_WORDS - len(TIMERS_MS)):
        if tuple(words[place : place + 3]) == TIMERS_MS[:3] and words[place + 3] in (TIMERS_MS[3], ms):
            words[place + 3] = ms
            return
    raise Unavailable("pjsua2 is not the pinned build: its timers are not where they were")
