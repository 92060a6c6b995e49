"""A telephone of our own to ring the server with: `ivr call`, the demo and the benches are made of it."""

from ivr.caller.agent import Caller
from ivr.caller.call import Call, CallFailed, Turn
from ivr.caller.cli import main

__all__ = ["Call", "CallFailed", "Caller", "Turn", "main"]
