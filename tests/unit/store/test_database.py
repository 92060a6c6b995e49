"""Database URLs, and which errors are worth another try: real errors of real SQLite, and PostgreSQL's by code."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from ivr.errors import InvalidInput
from ivr.store.database import is_content, is_transient, place, reason, resolve


def test_a_relative_file_is_seen_from_the_config_folder():
    assert resolve("sqlite:///var/ivr.db", Path("/srv/ivr")).database == "/srv/ivr/var/ivr.db"
    assert resolve("sqlite:////data/ivr.db", Path("/srv/ivr")).database == "/data/ivr.db"


def test_postgresql_gets_its_driver_and_hides_its_password():
    url = resolve("postgresql://ivr:geheim@db/calls", Path("/"))
    assert url.drivername == "postgresql+psycopg"
    assert "geheim" not in place(url)


@pytest.mark.parametrize("url", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "nonsense", ""])
def test_other_urls_are_refused_with_the_key_and_a_mend(url):
    with pytest.raises(InvalidInput) as caught:
        resolve(url, Path("/"))
    problem = caught.value.problems[0]
    assert problem.field == "store.url"
    assert "sqlite:///" in problem.mend


def _sqlite_error(tmp_path, provoke) -> Exception:
    with closing(sqlite3.connect(tmp_path / "x.db", timeout=0, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b NOT NULL)")
        with pytest.raises(sqlite3.Error) as caught:
            provoke(connection, tmp_path / "x.db")
    return exc.OperationalError.instance("SELECT 1", (), caught.value, sqlite3.Error)


def _locked(connection, path):
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        connection.execute("INSERT INTO t VALUES (1, 1)")


def _full(connection, _path):
    connection.execute("PRAGMA max_page_count=2")
    connection.executemany("INSERT INTO t VALUES (?, ?)", [(i, "x" * 500) for i in range(100)])


def _read_only(connection, _path):
    connection.execute("PRAGMA query_only=ON")
    connection.execute("INSERT INTO t VALUES (1, 1)")


def _null(connection, _path):
    connection.execute("INSERT INTO t VALUES (1, NULL)")


def _no_table(connection, _path):
    connection.execute("INSERT INTO nowhere VALUES (1)")


def _too_big(connection, _path):
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000)
    connection.execute("INSERT INTO t VALUES (1, ?)", ("x" * 2_000,))


@pytest.mark.parametrize(
    ("provoke", "transient", "content"),
    [(_locked, True, False), (_full, True, False), (_read_only, True, False), (_null, False, True),
     (_too_big, False, True), (_no_table, False, False)],
)  # fmt: skip
def test_sqlite_errors_that_pass_are_told_from_those_that_stay(tmp_path, provoke, transient, content):
    error = _sqlite_error(tmp_path, provoke)
    assert (is_transient(error), is_content(error)) == (transient, content)
    assert "SELECT" not in reason(error)


@pytest.mark.parametrize(
    ("error", "transient", "content"),
    [
        (psycopg.errors.SerializationFailure("x"), True, False),
        (psycopg.errors.DiskFull("x"), True, False),
        (psycopg.errors.TooManyConnections("x"), True, False),
        (psycopg.errors.AdminShutdown("x"), True, False),
        (psycopg.errors.ReadOnlySqlTransaction("x"), True, False),
        (psycopg.OperationalError("connection refused"), True, False),
        (psycopg.errors.UndefinedTable("x"), False, False),
        (psycopg.errors.NotNullViolation("x"), False, True),
        (psycopg.errors.StringDataRightTruncation("x"), False, True),
        (psycopg.errors.NumericValueOutOfRange("x"), False, True),
        (psycopg.errors.ProgramLimitExceeded("x"), False, True),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), False, True),
    ],
)
def test_postgresql_errors_that_pass_are_told_from_those_that_stay(error, transient, content):
    wrapped = exc.DBAPIError.instance("SELECT 1", (), error, psycopg.Error)
    assert (is_transient(wrapped), is_content(wrapped)) == (transient, content)


def test_errors_of_our_own_never_look_transient():
    assert not is_transient(ValueError("a time without its zone"))
    assert is_transient(sa.exc.TimeoutError("pool"))
    assert not is_content(sa.exc.TimeoutError("pool"))
    assert is_content(ValueError("a time without its zone"))
    assert is_content(OverflowError("an integer too large"))
