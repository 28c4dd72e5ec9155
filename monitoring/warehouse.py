"""Where do the reports of all sites lie, and how are they asked? DuckDB in a file, or PostgreSQL where an address is given.

Both speak the same SQL here. Rows are only ever added, each with the digest of the report it is from: what is ingested twice is
there once, and in whatever order reports come, the same rows are there in the end.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

# Lists of counts are JSON text: both databases keep it small, and nobody asks for one element of it.
TABLES: dict[str, dict[str, str]] = {
    "sites": {"site": "TEXT", "name": "TEXT", "key": "TEXT"},
    "models": {"digest": "TEXT", "name": "TEXT", "reference": "TEXT"},
    "reports": {
        "site": "TEXT", "chain": "TEXT", "sequence": "BIGINT", "report": "TEXT", "previous": "TEXT", "made": "BIGINT",
        "versions": "TEXT",
    },
    "hours": {
        "site": "TEXT", "chain": "TEXT", "sequence": "BIGINT", "report": "TEXT", "digest": "TEXT", "release": "BIGINT",
        "hour": "BIGINT", "answered": "BIGINT", "refused": "BIGINT", "unknown": "BIGINT", "rows": "BIGINT", "missed": "BIGINT",
        "requests": "TEXT", "latency": "TEXT", "batches": "TEXT",
    },
    "columns": {
        "site": "TEXT", "chain": "TEXT", "sequence": "BIGINT", "report": "TEXT", "digest": "TEXT", "looked_at": "BIGINT",
        "first_hour": "BIGINT", "last_hour": "BIGINT", "counts": "TEXT",
    },
    "outcomes": {
        "site": "TEXT", "chain": "TEXT", "sequence": "BIGINT", "report": "TEXT", "digest": "TEXT", "made": "BIGINT",
        "kind": "TEXT", "counts": "TEXT",
    },
}  # fmt: skip
Rows = list[tuple[Any, ...]]
NAME = re.compile(r"[a-z_]+")


class Warehouse(Protocol):
    """Asked in SQL with $1, $2 ... for values."""

    def ask(self, sql: str, *values: Any) -> Rows: ...

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None: ...

    def run(self, sql: str, *values: Any) -> None: ...

    def change(self) -> contextlib.AbstractContextManager[None]:
        """All of it or nothing."""

    def close(self) -> None: ...


def open_warehouse(address: str) -> Warehouse:
    """address: a file, or postgresql://... Raises OSError, or what the database raises where it cannot be opened."""
    made: Warehouse = Postgres(address) if address.startswith(("postgresql://", "postgres://")) else Duck(address)
    for table, columns in TABLES.items():
        made.run(f"CREATE TABLE IF NOT EXISTS {table} ({', '.join(f'{_quoted(n)} {kind}' for n, kind in columns.items())})")
    made.run("CREATE UNIQUE INDEX IF NOT EXISTS reports_once ON reports (report)")
    return made


def _quoted(name: str) -> str:
    """`rows` and `release` are words of SQL's own."""
    assert NAME.fullmatch(name)
    return f'"{name}"'


class Duck:
    def __init__(self, path: str) -> None:
        import duckdb

        try:
            self._base = duckdb.connect(path)
        except duckdb.IOException as error:
            raise OSError(f"{path}: {str(error).splitlines()[0]}") from None

    def ask(self, sql: str, *values: Any) -> Rows:
        return list(self._base.execute(sql, list(values)).fetchall())

    def run(self, sql: str, *values: Any) -> None:
        self._base.execute(sql, list(values))

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if not rows:
            return
        kinds = {"TEXT": pa.string(), "BIGINT": pa.int64()}
        columns = TABLES[table]
        arrow = pa.table({name: pa.array([row[name] for row in rows], kinds[kind]) for name, kind in columns.items()})
        self._base.register("given", arrow)
        self._base.execute(f"INSERT INTO {table} SELECT * FROM given")
        self._base.unregister("given")

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        self._base.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._base.execute("ROLLBACK")
            raise
        self._base.execute("COMMIT")

    def close(self) -> None:
        self._base.close()


class Postgres:
    def __init__(self, address: str) -> None:
        import psycopg

        try:
            self._base = psycopg.connect(address, autocommit=True)
        except psycopg.OperationalError as error:
            raise OSError(f"PostgreSQL: {str(error).splitlines()[0]}") from None

    def ask(self, sql: str, *values: Any) -> Rows:
        return list(self._base.execute(_numbered(sql), _once(sql, values)).fetchall())

    def run(self, sql: str, *values: Any) -> None:
        self._base.execute(_numbered(sql), _once(sql, values))

    def append(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        names = ", ".join(map(_quoted, TABLES[table]))
        with self._base.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row([row[name] for name in TABLES[table]])

    def change(self) -> contextlib.AbstractContextManager[None]:
        return self._base.transaction()  # type: ignore[return-value]

    def close(self) -> None:
        self._base.close()


def _numbered(sql: str) -> Any:
    """psycopg's own way to write $1."""
    return re.sub(r"\$\d+", "%s", sql.replace("%", "%%"))


def _once(sql: str, values: Sequence[Any]) -> list[Any]:
    return [values[int(number) - 1] for number in re.findall(r"\$(\d+)", sql)]
