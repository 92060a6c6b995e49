"""Database URLs, and which errors are worth another try: real errors of real SQLite, and PostgreSQL's by code."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from ivr.errors import InvalidInput
from ivr.store.database import is_transient, place, reason, resolve


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


@pytest.mark.parametrize(
    ("provoke", "transient"), [(_locked, True), (_full, True), (_read_only, True), (_null, False), (_no_table, False)]
)
def test_sqlite_errors_that_pass_are_told_from_those_that_stay(tmp_path, provoke, transient):
    error = _sqlite_error(tmp_path, provoke)
    assert is_transient(error) is transient
    assert "SELECT" not in reason(error)


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (psycopg.errors.SerializationFailure("x"), True),
        (psycopg.errors.DiskFull("x"), True),
        (psycopg.errors.TooManyConnections("x"), True),
        (psycopg.errors.AdminShutdown("x"), True),
        (psycopg.errors.ReadOnlySqlTransaction("x"), True),
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.UndefinedTable("x"), False),
        (psycopg.errors.NotNullViolation("x"), False),
        (psycopg.errors.StringDataRightTruncation("x"), False),
    ],
)
def test_postgresql_errors_that_pass_are_told_from_those_that_stay(error, transient):
    assert is_transient(exc.DBAPIError.instance("SELECT 1", (), error, psycopg.Error)) is transient


def test_errors_of_our_own_never_look_transient():
    assert not is_transient(ValueError("a time without its zone"))
    assert is_transient(sa.exc.TimeoutError("pool"))
