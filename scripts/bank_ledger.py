"""The bank's books: its customers, and what changes in SQLite - failed checks, blocked cards, complaints, events.

Every method is one transaction on the caller's thread. Knows nothing of HTTP, tokens or signatures.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

CHECKS = 3
"""Failed checks of a customer after which they are locked."""
KEEP_EVENTS = 100
KEEP_ANSWERS = 10_000

_ACCOUNTS = {
    "current": {"en": "current account", "zh": "活期账户"},
    "savings": {"en": "savings account", "zh": "储蓄账户"},
}
# References are these plus a number that counts up.
_BLOCK, _COMPLAINT = 400_000, 700_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS failures (who TEXT PRIMARY KEY, failed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS blocks (number INTEGER PRIMARY KEY, customer TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS complaints (number INTEGER PRIMARY KEY, customer TEXT, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers
    (number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, request BLOB NOT NULL, reference TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events
    (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, payload BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Customer:
    """`balance` as "AMOUNT CODE" (ISO 4217); `card` is how far a new card is and in how many days it arrives."""

    id: str
    last_four: str
    birth_date: date
    en: str
    zh: str
    balance: str
    kind: str
    card: tuple[str, int] | None = None

    def name(self, language: str) -> str:
        return self.zh if language == "zh" else self.en

    def account(self, language: str) -> str:
        return _ACCOUNTS[self.kind][language]


@dataclass(frozen=True)
class Failed:
    """A failed check, `failed` of them by now; nobody is told whether there is such a card."""

    failed: int

    @property
    def left(self) -> int:
        return CHECKS - self.failed


@dataclass(frozen=True)
class Event:
    """A webhook as it came: the sender's id, when it arrived (ISO 8601, UTC), its JSON."""

    id: str
    at: str
    payload: bytes


@dataclass(frozen=True)
class Written:
    """A block (without `text`) or a complaint as it stands in the books; `customer` is None where nobody said who."""

    reference: str
    customer: str | None
    text: str = ""


class KeyReused(Exception):
    """An idempotency key came with another request than the first time."""


# fmt: off
CUSTOMERS = {customer.id: customer for customer in (
    Customer("C1001", "8620", date(1985, 3, 12), "Li Na", "李娜", "12580.50 CNY", "savings", ("sent", 2)),
    Customer("C1002", "0957", date(1990, 10, 1), "Wang Wei", "王伟", "289.50 CNY", "current", ("made", 6)),
    Customer("C1003", "6688", date(2001, 7, 23), "Zhang Min", "张敏", "3500.00 CNY", "savings", ("delivered", -3)),
    Customer("C1004", "1234", date(1988, 6, 6), "Chen Jie", "陈杰", "0.00 CNY", "current"),
    Customer("C1005", "7315", date(1979, 11, 30), "Liu Yang", "刘洋", "45210.08 CNY", "savings", ("sent", 1)),
    Customer("C1006", "2049", date(1966, 2, 28), "Zhao Lei", "赵磊", "-120.35 CNY", "current"),
    Customer("C1007", "3391", date(1995, 12, 25), "Sun Li", "孙丽", "812.00 USD", "current", ("made", 9)),
    Customer("C1008", "4477", date(1972, 9, 9), "Anna Schmidt", "安娜·施密特", "1500.75 EUR", "savings"),
    Customer("C1009", "4477", date(1983, 1, 15), "John Smith", "约翰·史密斯", "99.99 GBP", "current", ("sent", 4)),
    Customer("C1010", "0000", date(2000, 2, 29), "Wu Fang", "吴芳", "52000 JPY", "savings"),
    Customer("C1011", "5108", date(1958, 5, 4), "Zhou Qiang", "周强", "1000000.00 CNY", "savings", ("delivered", -1)),
    Customer("C1012", "9002", date(1992, 8, 18), "Mary Johnson", "玛丽·约翰逊", "12.50 CNY", "current"),
)}
# fmt: on


def holders(last_four: str) -> list[Customer]:
    """Everybody whose card ends so; two cards may."""
    return [customer for customer in CUSTOMERS.values() if customer.last_four == last_four]


class Ledger:
    """What changes. `file` is an SQLite database, made when missing; ":memory:" forgets everything at the end.

    Raises sqlite3.Error when it cannot be opened or is something else; later when it cannot be read or written.
    """

    def __init__(self, file: str) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.rollback()
            raise
        self._db.commit()

    def identify(self, last_four: str, birth_date: date) -> Customer | Failed:
        """Who has that card and birth date.

        A failure counts for everybody whose card ends so, or for the four digits when nobody's does, so that an
        unknown number answers like a known one. Success forgets the failures of that customer alone. A locked customer
        is never found, and a right birth date for them is one failure more for the others.
        """
        suspects: dict[str, Customer | None] = {c.id: c for c in holders(last_four)} or {f"card {last_four}": None}
        with self._transaction() as db:
            failed = {who: self._failures(who) for who in suspects}
            for who in (who for who, count in failed.items() if count < CHECKS):
                customer = suspects[who]
                if customer and customer.birth_date == birth_date:
                    db.execute("DELETE FROM failures WHERE who = ?", (who,))
                    return customer
            for who, count in failed.items():
                failed[who] = min(count + 1, CHECKS)
                db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?)", (who, failed[who]))
        return Failed(min(failed.values()))

    def _failures(self, who: str) -> int:
        row = self._db.execute("SELECT failed FROM failures WHERE who = ?", (who,)).fetchone()
        return row[0] if row else 0

    def block(self, customer: str, key: str, request: bytes) -> str:
        """Block that customer's card; the reference is the same however often. See `_once`."""

        def write(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO blocks (customer) VALUES (?)", (customer,))
            number = db.execute("SELECT number FROM blocks WHERE customer = ?", (customer,)).fetchone()[0]
            return str(_BLOCK + number)

        return self._once(key, request, write)

    def complain(self, text: str, customer: str | None, key: str, request: bytes) -> str:
        """Write a complaint down; its reference. See `_once`."""

        def write(db: sqlite3.Connection) -> str:
            row = db.execute("INSERT INTO complaints (customer, text) VALUES (?, ?)", (customer, text))
            return str(_COMPLAINT + row.lastrowid)

        return self._once(key, request, write)

    def blocks(self) -> list[Written]:
        """Every blocked card, newest first."""
        rows = self._db.execute("SELECT number, customer FROM blocks ORDER BY number DESC")
        return [Written(str(_BLOCK + number), customer) for number, customer in rows]

    def complaints(self) -> list[Written]:
        """The last KEEP_EVENTS complaints, newest first."""
        rows = self._db.execute(
            "SELECT number, customer, text FROM complaints ORDER BY number DESC LIMIT ?", (KEEP_EVENTS,)
        )
        return [Written(str(_COMPLAINT + number), customer, text) for number, customer, text in rows]

    def _once(self, key: str, request: bytes, write: Callable[[sqlite3.Connection], str]) -> str:
        """The reference that `write` makes, or made when the same `request` came with this `key` before.

        An empty key is no key. The last KEEP_ANSWERS keys are known. Raises KeyReused.
        """
        with self._transaction() as db:
            if not key:
                return write(db)
            before = db.execute("SELECT request, reference FROM answers WHERE key = ?", (key,)).fetchone()
            if before:
                if before[0] != request:
                    raise KeyReused(key)
                return before[1]
            reference = write(db)
            row = db.execute(
                "INSERT INTO answers (key, request, reference) VALUES (?, ?, ?)", (key, request, reference)
            )
            db.execute("DELETE FROM answers WHERE number <= ?", (row.lastrowid - KEEP_ANSWERS,))
        return reference

    def remember(self, event: Event) -> None:
        """Keep an event among the last KEEP_EVENTS; one that came before is left as it is."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO events (id, at, payload) VALUES (?, ?, ?)", (event.id, event.at, event.payload)
            )
            db.execute("DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", (KEEP_EVENTS,))

    def events(self) -> list[Event]:
        """Newest first."""
        rows = self._db.execute("SELECT id, at, payload FROM events ORDER BY number DESC")
        return [Event(*row) for row in rows]
