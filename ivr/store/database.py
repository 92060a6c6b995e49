"""Engines for SQLite and PostgreSQL, migrations at start, and which database errors are worth another try.

Two engines: one connection for the writer, a few for readers. On SQLite the writer begins with BEGIN IMMEDIATE (a
deferred transaction that turns into a write fails at once when another one got there first, whatever the busy
timeout) and readers may only query. Knows nothing of calls. Blocks; runs in the store's threads.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc

from ivr.errors import InvalidInput, Problem, Unavailable

BUSY_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 30_000
READERS = 4
# A server that vanishes without a word is noticed within half a minute.
_POSTGRESQL = {
    "application_name": "ivr", "connect_timeout": 5, "keepalives_idle": 10, "keepalives_interval": 5,
    "keepalives_count": 3, "tcp_user_timeout": 20_000,
}  # fmt: skip
_MIGRATION_LOCK = 0x1B7CA115
_TRANSIENT_SQLITE = {
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_INTERRUPT,
}  # fmt: skip
# PostgreSQL error classes: connection, rollback (serialisation, deadlock), resources, object in use, operator
# intervention, system error, and a server that is read-only for now.
_TRANSIENT_SQLSTATE = ("08", "40", "53", "55", "57", "58", "25006")
_FULL_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}
_FULL_SQLSTATE = ("53100", "58", "25006")
_CONTENT_SQLITE = {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_RANGE}
# PostgreSQL: a value that cannot be kept, a constraint, more than a row or an index holds.
_CONTENT_SQLSTATE = ("22", "23", "54")
WROTE = "wrote"
"""In the `info` of the writer's connection once a statement has changed a row."""


def resolve(url: str, root: Path) -> sa.URL:
    """`url` with its driver named and a relative SQLite path seen from `root`. Raises InvalidInput."""
    mend = "sqlite:///var/ivr.db or postgresql://user@host/database"
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise InvalidInput(Problem("config.toml", "not a database URL", field="store.url", mend=mend)) from None
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise InvalidInput(Problem("config.toml", "records need a file", field="store.url", mend=mend))
        return parsed.set(drivername="sqlite+pysqlite", database=str(root / parsed.database))
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidInput(Problem("config.toml", f"no support for {backend}", field="store.url", mend=mend))


def engines(url: sa.URL) -> tuple[sa.Engine, sa.Engine]:
    """(writer, reader). Parameters are kept out of error texts: they hold callers' words."""
    options = {
        "hide_parameters": True,
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        "pool_timeout": 5,
    }
    if url.get_backend_name() == "postgresql":
        options |= {"pool_pre_ping": True, "connect_args": _POSTGRESQL}
        writer = sa.create_engine(url, pool_size=1, max_overflow=0, **options)
        reader = sa.create_engine(url, pool_size=READERS, max_overflow=0, **options)
        for engine in (writer, reader):
            sa.event.listen(engine, "connect", _set_up_postgresql)
        _note_writes(writer)
        return writer, reader
    path = Path(url.database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise Unavailable(f"the database file {path} cannot be opened: {error.strerror}") from None
    options["connect_args"] = {"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False}
    writer = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=1, max_overflow=0, **options)
    reader = sa.create_engine(url, poolclass=sa.QueuePool, pool_size=READERS, max_overflow=0, **options)
    _set_up_sqlite(writer, "BEGIN IMMEDIATE", "PRAGMA journal_mode=WAL", "PRAGMA secure_delete=ON")
    _set_up_sqlite(reader, "BEGIN", "PRAGMA query_only=ON")
    _note_writes(writer)
    return writer, reader


def reader(url: sa.URL) -> sa.Engine:
    """An engine that only queries, beside a server that may be running; changes and makes nothing.

    Raises Unavailable: there is no database, or its schema is not this version's.
    """
    if url.get_backend_name() == "sqlite" and not Path(url.database).is_file():
        raise Unavailable(f"there is no database {url.database}: has the server ever run with this configuration?")
    writer, engine = engines(url)
    writer.dispose()
    head = _script().get_current_head()
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    except exc.SQLAlchemyError as error:
        raise Unavailable(f"the database {place(url)} cannot be used: {reason(error)}") from None
    if current != head:
        engine.dispose()
        raise Unavailable(
            f"the database {place(url)} has schema {current}, this version reads {head}: start this version's server "
            "once, or use the version that wrote it"
        )
    return engine


def _note_writes(engine: sa.Engine) -> None:
    def executed(connection, cursor, _statement, _parameters, context, _many) -> None:
        if (context.isinsert or context.isupdate or context.isdelete) and cursor.rowcount != 0:
            connection.info[WROTE] = True

    sa.event.listen(engine, "after_cursor_execute", executed)


def _set_up_postgresql(connection, _record) -> None:
    """A plan made while a queue was empty is not kept when it has filled: it would read all of it for every claim."""
    connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
    connection.execute("SET plan_cache_mode = force_custom_plan")
    connection.commit()


def _set_up_sqlite(engine: sa.Engine, begin: str, *pragmas: str) -> None:
    def connected(connection, _record) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        for pragma in ("PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON", *pragmas):
            connection.execute(pragma).close()

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))


def _script() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).parent / "migrations"))


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to this version, all or nothing. Raises Unavailable: no server, or a newer schema."""
    script = _script()
    head = script.get_current_head()
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            current = MigrationContext.configure(connection).get_current_revision()
            if current == head:
                return
            if current is not None and current not in {r.revision for r in script.walk_revisions()}:
                raise Unavailable(
                    f"the database {place(engine.url)} has schema {current}, newer than {head}, the newest that this "
                    "version knows: run the version that wrote it, or restore a copy from before"
                )
            config = Config()
            config.set_main_option("script_location", script.dir)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except exc.SQLAlchemyError as error:
        raise Unavailable(f"the database {place(engine.url)} cannot be used: {reason(error)}") from None


def place(url: sa.URL) -> str:
    """Where the database is, without its password."""
    return url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def reason(error: Exception) -> str:
    """The driver's own first line, without SQL or parameters."""
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def is_full(error: Exception) -> bool:
    """Whether there is no room, or nothing may be written: then a transaction that changes nothing still succeeds."""
    if not isinstance(error, exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _FULL_SQLITE
    return (getattr(error.orig, "sqlstate", None) or "").startswith(_FULL_SQLSTATE)


def is_content(error: Exception) -> bool:
    """Whether the record is at fault: what it holds cannot be written down, or the database refuses it as such.

    A schema that is not there, or a file that is no database, is no fault of a record.
    """
    if not isinstance(error, exc.DBAPIError):
        return not isinstance(error, exc.SQLAlchemyError) or isinstance(error, exc.StatementError)
    if isinstance(error, exc.DataError | exc.IntegrityError):
        return True
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _CONTENT_SQLITE
    return (getattr(error.orig, "sqlstate", None) or "").startswith(_CONTENT_SQLSTATE)


def is_transient(error: Exception) -> bool:
    """Whether the same write may succeed later: locked, disk full, server gone; never a fault of the record."""
    if isinstance(error, exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", None)
        return code is not None and code & 0xFF in _TRANSIENT_SQLITE
    state = getattr(error.orig, "sqlstate", None)
    if state is None:
        return isinstance(error, exc.OperationalError | exc.InterfaceError) or error.connection_invalidated
    return state.startswith(_TRANSIENT_SQLSTATE)
