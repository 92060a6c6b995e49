"""The state two user agents share: tags, sequence numbers, route set, remote target (RFC 3261 12). Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from ivr.caller.sip import Message, address_of, params_of, uri_of

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK, REFER, NOTIFY"


@dataclass
class Dialog:
    """One side's view. `local` and `remote` are whole From/To values, tags included once known."""

    call_id: str
    local: str
    remote: str
    contact: str
    target: str
    routes: list[str] = field(default_factory=list)
    sequence: int = 0

    @classmethod
    def calling(cls, uri: str, local_uri: str, contact: str, display: str = "") -> Dialog:
        """The dialog of a new INVITE to `uri`."""
        name = f'"{display}" ' if display else ""
        local = f"{name}<{local_uri}>;tag={secrets.token_hex(6)}"
        return cls(f"{secrets.token_hex(12)}@caller", local, f"<{uri}>", contact, uri)

    @classmethod
    def called(cls, invite: Message, contact: str) -> Dialog:
        """The dialog that answering `invite` makes (RFC 3261 12.1.1)."""
        local = f"{invite.get('to')};tag={secrets.token_hex(6)}"
        return cls(
            invite.get("call-id"), local, invite.get("from"), contact, uri_of(invite.get("contact")),
            invite.all("record-route"), secrets.randbelow(1000),
        )  # fmt: skip

    @property
    def local_tag(self) -> str:
        return params_of(self.local).get("tag", "")

    @property
    def remote_tag(self) -> str:
        return params_of(self.remote).get("tag", "")

    def learn(self, response: Message) -> None:
        """Take tag, target and routes from a response to our INVITE (RFC 3261 12.1.2)."""
        if "tag" in params_of(response.get("to")):
            self.remote = response.get("to")
            self.routes = list(reversed(response.all("record-route")))
        if response.get("contact"):
            self.target = uri_of(response.get("contact"))

    def request(self, method: str, *, sequence: int | None = None) -> Message:
        """A request inside the dialog, Via left to the transport. ACK and CANCEL give the INVITE's `sequence`."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        message = Message(method=method, uri=self.target)
        message.headers += [("route", route) for route in self.routes]
        message.headers += [
            ("max-forwards", "70"), ("from", self.local), ("to", self.remote), ("call-id", self.call_id),
            ("cseq", f"{sequence} {method}"), ("contact", f"<{self.contact}>"), ("allow", ALLOW),
            ("user-agent", "ivr test caller"),
        ]  # fmt: skip
        return message

    def hop(self) -> tuple[str, int]:
        """Where the next request goes: the first route, else the target (loose routing, RFC 3261 12.2.1.1)."""
        return address_of(uri_of(self.routes[0]) if self.routes else self.target)
