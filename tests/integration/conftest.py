"""Databases for the tests that need real ones: an SQLite file, and a PostgreSQL server that is started for them."""

from __future__ import annotations

import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import uuid
from contextlib import asynccontextmanager, closing
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from ivr.store.store import Store


@pytest.fixture(scope="session")
def postgresql():
    """A private cluster on a Unix socket in a folder of its own; the address to connect to its `postgres` database."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))
    binaries = Path(found[-1]) if found else Path(shutil.which("initdb") or "").parent
    assert (binaries / "initdb").exists(), "PostgreSQL is missing: apt-get install postgresql"
    folder = tempfile.mkdtemp(prefix="ivr-pg-")
    drop = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        drop = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = f"{folder}/data"
    initdb = [binaries / "initdb", "-D", data, "-U", "ivr", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
    subprocess.run(["setpriv", *drop, *initdb] if drop else initdb, check=True, stdout=subprocess.DEVNULL, cwd="/")
    options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=40"]
    with open(f"{folder}/log", "wb") as log:
        server = subprocess.Popen(
            ["setpriv", *drop, "--pdeathsig", "INT", binaries / "postgres", "-D", data, "-k", folder, *options],
            stdout=log, stderr=log, cwd="/",
        )  # fmt: skip
    address = f"host={folder} user=ivr dbname=postgres"
    deadline = time.monotonic() + 30
    while True:
        try:
            psycopg.connect(address).close()
            break
        except psycopg.OperationalError:
            assert server.poll() is None, Path(f"{folder}/log").read_text()
            assert time.monotonic() < deadline, Path(f"{folder}/log").read_text()
            time.sleep(0.05)
    yield address
    server.send_signal(signal.SIGINT)
    server.wait(20)
    shutil.rmtree(folder)


class Backend:
    """A fresh database, how to look into it past the store, and how to break and mend it."""

    def __init__(self, url: str, root: Path, admin: str = "") -> None:
        self.url = url
        self.root = root
        self._admin = admin
        self._locker = None

    @property
    def name(self) -> str:
        return "postgresql" if self._admin else "sqlite"

    @asynccontextmanager
    async def store(self, **options):
        store = Store(self.url, self.root, self.root / "recordings", **options)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    def everything(self) -> bytes:
        """All that the database holds, as bytes: SQLite's files as they lie on disk, PostgreSQL's rows as text."""
        if not self._admin:
            return b"".join(p.read_bytes() for p in (self.root / "var").iterdir())
        with psycopg.connect(self.dsn) as connection:
            rows = [
                row[0]
                for table in ("calls", "legs", "turns", "inputs")
                for row in connection.execute(f"SELECT t::text FROM {table} t")
            ]
        return "\n".join(rows).encode()

    @property
    def dsn(self) -> str:
        return self.url.replace("postgresql+psycopg", "postgresql")

    def execute(self, sql: str) -> list:
        if not self._admin:
            with closing(sqlite3.connect(self.root / "var/ivr.db")) as connection, connection:
                return connection.execute(sql).fetchall()
        with psycopg.connect(self.dsn) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def break_(self) -> None:
        if not self._admin:
            self._locker = sqlite3.connect(self.root / "var/ivr.db", isolation_level=None)
            self._locker.execute("BEGIN IMMEDIATE")
            return
        name = sa.make_url(self.url).database
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))

    def mend(self) -> None:
        if not self._admin:
            self._locker.close()
            return
        name = sa.make_url(self.url).database
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request, tmp_path):
    (tmp_path / "recordings").mkdir()
    if request.param == "sqlite":
        return Backend("sqlite:///var/ivr.db", tmp_path)
    admin = request.getfixturevalue("postgresql")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    folder = admin.split()[0].removeprefix("host=")
    return Backend(f"postgresql://ivr@/{name}?host={folder}", tmp_path, admin)


@pytest.fixture
def sqlite_only(tmp_path):
    (tmp_path / "recordings").mkdir()
    return Backend("sqlite:///var/ivr.db", tmp_path)
