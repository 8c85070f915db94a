"""The world's state: one SQLite file, so that two runs of a program meet the same Azure."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pal_components.sandbox.errors import SandboxError

FILE_NAME = "world.db"
VERSION = 3

# Objects of the directory that services pass on as they are live as JSON in `document`; what is searched or checked
# is a column. Nothing but salted hashes is kept of secrets.
SCHEMA = """
CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE partner (partner_id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE tenant (id TEXT PRIMARY KEY, display_name TEXT NOT NULL, default_domain TEXT NOT NULL COLLATE NOCASE);
CREATE TABLE scope (
    tenant_id TEXT NOT NULL,
    id TEXT NOT NULL COLLATE NOCASE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    parent TEXT COLLATE NOCASE,
    document TEXT NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE TABLE application (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    app_id TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,
    seeded INTEGER NOT NULL
);
CREATE TABLE service_principal (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    app_id TEXT NOT NULL,
    document TEXT NOT NULL,
    seeded INTEGER NOT NULL,
    UNIQUE (tenant_id, app_id)
);
CREATE TABLE directory_user (
    id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    document TEXT NOT NULL,
    UNIQUE (tenant_id, name)
);
CREATE TABLE directory_group (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, document TEXT NOT NULL);
CREATE TABLE group_member (group_id TEXT NOT NULL, member_id TEXT NOT NULL, PRIMARY KEY (group_id, member_id));
CREATE VIEW principal AS
    SELECT id, tenant_id, 'ServicePrincipal' AS type FROM service_principal
    UNION ALL SELECT id, tenant_id, 'User' FROM directory_user
    UNION ALL SELECT id, tenant_id, 'Group' FROM directory_group;
CREATE TABLE owner (object_id TEXT NOT NULL, owner_id TEXT NOT NULL, PRIMARY KEY (object_id, owner_id));
CREATE TABLE graph_permission (
    principal_id TEXT NOT NULL, permission TEXT NOT NULL, PRIMARY KEY (principal_id, permission)
);
CREATE TABLE password (
    key_id TEXT PRIMARY KEY,
    object_id TEXT NOT NULL,
    display_name TEXT,
    starts TEXT NOT NULL,
    ends TEXT NOT NULL,
    hint TEXT NOT NULL,
    salt BLOB NOT NULL,
    hash BLOB NOT NULL
);
CREATE TABLE certificate (
    key_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (object_id, key_id)
);
CREATE TABLE federated_credential (
    id TEXT PRIMARY KEY, application_id TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL,
    UNIQUE (application_id, name)
);
CREATE TABLE role_assignment (
    tenant_id TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL COLLATE NOCASE,
    principal_id TEXT NOT NULL,
    principal_type TEXT NOT NULL,
    role TEXT NOT NULL,
    document TEXT NOT NULL,
    seeded INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, name)
);
CREATE TABLE registration_definition (
    tenant_id TEXT NOT NULL,
    scope TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL,
    managed_by TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (scope, name)
);
CREATE TABLE registration_assignment (
    tenant_id TEXT NOT NULL,
    scope TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL,
    definition TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (scope, name)
);
CREATE TABLE partner_link (
    tenant_id TEXT NOT NULL,
    object_id TEXT NOT NULL,
    partner_id TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    created TEXT NOT NULL,
    updated TEXT NOT NULL,
    PRIMARY KEY (tenant_id, object_id)
);
CREATE TABLE journal (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT NOT NULL,
    status INTEGER NOT NULL,
    tenant TEXT,
    caller TEXT,
    user_agent TEXT,
    request_id TEXT NOT NULL,
    fault TEXT
);
CREATE TABLE fault (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action TEXT NOT NULL,
    method TEXT,
    path TEXT,
    times INTEGER,
    skip INTEGER NOT NULL,
    seconds REAL,
    status INTEGER,
    code TEXT,
    message TEXT,
    retry_after REAL
);
CREATE TABLE delay (what TEXT PRIMARY KEY, requests INTEGER, seconds REAL);
CREATE TABLE pending (
    place TEXT NOT NULL, key TEXT NOT NULL, requests INTEGER, until REAL, PRIMARY KEY (place, key)
);
CREATE TABLE policy (tenant_id TEXT PRIMARY KEY, id TEXT NOT NULL, secrets TEXT NOT NULL);
"""


class State:
    """The database of one state directory; used by one thread at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.RLock()
        self._final: list[tuple[str, tuple[object, ...]]] = []
        self.db = sqlite3.connect(directory / FILE_NAME, isolation_level=None, check_same_thread=False, timeout=30)
        self.db.row_factory = sqlite3.Row
        try:
            self.db.execute("PRAGMA journal_mode = WAL")
            # A request's answer must not be ahead of the disk: whoever was told "created" finds it after a crash.
            self.db.execute("PRAGMA synchronous = FULL")
            self._prepare()
        except BaseException:
            self.db.close()
            raise

    def _prepare(self) -> None:
        with self.transaction():
            found = int(self.db.execute("PRAGMA user_version").fetchone()[0])
            if found == VERSION:
                return
            if found:
                raise SandboxError(
                    f"{self.directory} holds the state of another version of the sandbox ({found}, this one writes "
                    f"{VERSION}): remove the directory or name another with --state."
                )
            for statement in SCHEMA.split(";\n"):
                self.db.execute(statement)
            self.db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen at once and durably, or not at all."""
        with self._lock:
            self.db.execute("BEGIN IMMEDIATE")
            self._final.clear()
            try:
                yield
                for sql, values in self._final:
                    self.db.execute(sql, values)
            except BaseException:
                self.db.execute("ROLLBACK")
                raise
            self.db.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside a transaction, take back what the block wrote where it fails, and let the failure pass."""
        self.db.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK TO attempt")
            raise
        finally:
            self.db.execute("RELEASE attempt")

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Return every row of a query."""
        with self._lock:
            return self.db.execute(sql, values).fetchall()

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        """Return the first row of a query, or ``None``."""
        with self._lock:
            row: sqlite3.Row | None = self.db.execute(sql, values).fetchone()
            return row

    def run(self, sql: str, *values: object) -> None:
        """Carry out a statement."""
        with self._lock:
            self.db.execute(sql, values)

    def finally_run(self, sql: str, *values: object) -> None:
        """Carry a statement out at the end of the transaction, even where the attempt around it is taken back."""
        self._final.append((sql, values))

    def setting(self, key: str) -> str | None:
        """Return a value kept about the state directory itself."""
        row = self.one("SELECT value FROM setting WHERE key = ?", key)
        return None if row is None else str(row["value"])

    def keep(self, key: str, value: str) -> None:
        """Keep a value about the state directory itself."""
        self.run("INSERT INTO setting VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", key, value)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self.db.close()
