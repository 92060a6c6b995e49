"""The door of the SIP endpoint: a native module that sees every request before a transaction or a dialog does.

pjsua2 shows the application an INVITE only after 100 Trying has left and a call slot is taken, and never shows it
OPTIONS, MESSAGE or an out-of-dialog REFER. The wheel exports the C functions, so this registers a `pjsip_module`
(pjsip_module.h of 2.15; the wheel is pinned) between the transport and the transaction layer. Its callback comes in
the SIP thread, inside `libHandleEvents`. Knows nothing of legs: what to refuse is decided by the function it is given.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable

import pjsua2 as pj

from ivr.errors import Unavailable
from ivr.line.native import symbol

ABSORB = -1
_PRIORITY = 12  # the transport layer is 8, transactions are 16

log = logging.getLogger("ivr.line")
_OnRequest = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)


class _Name(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char_p), ("length", ctypes.c_ssize_t))


class _Module(ctypes.Structure):
    _fields_ = (
        ("prev", ctypes.c_void_p), ("next", ctypes.c_void_p), ("name", _Name),
        ("id", ctypes.c_int), ("priority", ctypes.c_int),
        ("load", ctypes.c_void_p), ("start", ctypes.c_void_p), ("stop", ctypes.c_void_p), ("unload", ctypes.c_void_p),
        ("on_rx_request", _OnRequest), ("on_rx_response", ctypes.c_void_p),
        ("on_tx_request", ctypes.c_void_p), ("on_tx_response", ctypes.c_void_p), ("on_tsx_state", ctypes.c_void_p),
    )  # fmt: skip


class Guard:
    """Registered for as long as the endpoint lives.

    `judge(message, source)` returns 0 to let a request pass, a status code to answer it with, or ABSORB to drop it.
    """

    def __init__(self, judge: Callable[[str, str], int]) -> None:
        self._judge = judge
        self._read = symbol("_ZN2pj9SipRxData6fromPjER13pjsip_rx_data")
        self._respond = symbol("pjsip_endpt_respond_stateless")
        register = symbol("pjsip_endpt_register_module")
        endpoint = symbol("pjsua_get_pjsip_endpt")
        self._read.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._read.restype = None
        self._respond.argtypes = (
            ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        endpoint.restype = ctypes.c_void_p
        register.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        self._endpoint = endpoint()
        self._request = pj.SipRxData()
        self._callback = _OnRequest(self._on_request)
        name = b"mod-guard"
        self._module = _Module(name=_Name(name, len(name)), id=-1, priority=_PRIORITY, on_rx_request=self._callback)
        if register(self._endpoint, ctypes.byref(self._module)) != 0:
            raise Unavailable("the SIP library refused the guard module")

    def _on_request(self, rdata: int) -> int:
        try:
            self._read(int(self._request.this), rdata)
            code = self._judge(self._request.wholeMsg, self._request.srcAddress)
            if code == 0:
                return 0
            if code != ABSORB:
                self._respond(self._endpoint, rdata, code, None, None, None)
            return 1
        except Exception:
            log.exception("the guard failed; the request is dropped")
            return 1
