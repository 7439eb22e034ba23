#!/usr/bin/env python3
"""Compares two folders of Delta tables, read by programs that are not Windlass.

    compare.py DIR_A DIR_B

Each folder holds a table a subfolder, or a folder `tables` that does. Every table is read twice, by the Python package
`deltalake` and by DuckDB over a log replay of our own (delta_log.py), and the rows of both folders are compared as
multisets. README.md says what is equal. Exit code: 0 all equal, 1 not, 2 wrong usage.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import deltalake
import duckdb
import pyarrow

import delta_log
from delta_log import quoted

READERS = ("deltalake", "duckdb")
SHOWN_ROWS = 5
RELATIVE, ABSOLUTE = 1e-9, 1e-12


@dataclass
class View:
    """A table as one reader sees it: a relation in DuckDB, in canonical columns sorted by name."""

    name: str
    exact: dict[str, str]
    """Column to an expression of its canonical text."""
    floats: list[str]
    """Columns that are compared by tolerance."""

    @property
    def columns(self) -> list[str]:
        return sorted([*self.exact, *self.floats])


def open_deltalake(con: duckdb.DuckDBPyConnection, root: Path, name: str) -> None:
    """The table as the Python package `deltalake` reads it: its log by delta-rs, its files by Arrow's C++ reader or,
    where rows are marked as deleted, by delta-rs too."""
    table = deltalake.DeltaTable(str(root))
    if "deletionVectors" in (table.protocol().reader_features or []):
        rows = deltalake.QueryBuilder().register("t", table).execute("SELECT * FROM t")
        con.register(name, pyarrow.table(rows))
    else:
        con.register(name, table.to_pyarrow_dataset())


def open_duckdb(con: duckdb.DuckDBPyConnection, root: Path, name: str) -> None:
    """The table as DuckDB's own Parquet reader sees the files that our own log replay lists."""
    table = delta_log.read(root)
    partitions, files = table.partition_columns, table.files
    if not files:
        columns = ", ".join(f"CAST(NULL AS {kind}) AS {quoted(column)}" for column, kind in table.columns.items())
        con.execute(f"CREATE TEMP VIEW {name} AS SELECT {columns} WHERE false")
        return
    texts = "".join(f", {quoted('p' + str(index))} VARCHAR" for index in range(len(partitions)))
    con.execute(f"CREATE TEMP TABLE {name}_files (file VARCHAR{texts})")
    rows = [[str(file), *(values.get(column) or None for column in partitions)] for file, values in files.items()]
    con.executemany(f"INSERT INTO {name}_files VALUES ({', '.join('?' * (len(partitions) + 1))})", rows)
    paths = ", ".join("'" + str(file).replace("'", "''") + "'" for file in files)
    con.execute(f"CREATE TEMP TABLE {name}_deleted (file VARCHAR, position BIGINT)")
    gone = [[str(file), position] for file, positions in table.deleted.items() for position in positions]
    if gone:
        con.executemany(f"INSERT INTO {name}_deleted VALUES (?, ?)", gone)
    options = "union_by_name = true, hive_partitioning = false, filename = '__file', file_row_number = true"
    scan = f"read_parquet([{paths}], {options})"
    held = {row[0] for row in con.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()}

    def column(column: str, kind: str) -> str:
        if column in partitions:
            value = f"f.{quoted('p' + str(partitions.index(column)))}"
        else:
            value = f"d.{quoted(column)}" if column in held else "NULL"
        return f"CAST({value} AS {kind}) AS {quoted(column)}"

    columns = ", ".join(column(*item) for item in table.columns.items())
    con.execute(
        f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM {scan} d JOIN {name}_files f ON d.__file = f.file "
        f"ANTI JOIN {name}_deleted g ON d.__file = g.file AND d.file_row_number = g.position"
    )


OPEN = {"deltalake": open_deltalake, "duckdb": open_duckdb}


def canonical(column: str, kind: str) -> str | None:
    """An expression of the column's value as text, the same whatever width, unit or encoding it was stored in; none
    for a float, which has no such text."""
    value = quoted(column)
    if kind in ("FLOAT", "DOUBLE"):
        return None
    if kind.startswith("TIMESTAMP"):
        return f"CAST(epoch_us({value}) AS VARCHAR)"
    if kind.startswith("DECIMAL"):
        return f"CASE WHEN CAST({value} AS VARCHAR) LIKE '%.%' " \
               f"THEN rtrim(rtrim(CAST({value} AS VARCHAR), '0'), '.') ELSE CAST({value} AS VARCHAR) END"
    if kind == "BLOB":
        return f"hex({value})"
    if kind.startswith("MAP") and not kind.endswith("[]"):
        # The entries of a map have no order.
        return f"CAST(to_json(list_sort(map_entries({value}))) AS VARCHAR)"
    if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]"):
        return f"CAST(to_json({value}) AS VARCHAR)"
    return f"CAST({value} AS VARCHAR)"


def view(con: duckdb.DuckDBPyConnection, name: str) -> View:
    """Looks at the columns of the relation `name`."""
    exact, floats = {}, []
    for column, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {name}").fetchall():
        text = canonical(column, kind)
        if text is None:
            floats.append(column)
        else:
            exact[column] = text
    return View(name, exact, sorted(floats))


def rows(view: View) -> str:
    """The canonical rows as SQL: column names stay, exact values are text, floats are doubles."""
    columns = [f"{text} AS {quoted(column)}" for column, text in sorted(view.exact.items())]
    columns += [f"CAST({quoted(column)} AS DOUBLE) AS {quoted(column)}" for column in view.floats]
    return f"SELECT {', '.join(columns)} FROM {view.name}"


def checksum(con: duckdb.DuckDBPyConnection, view: View) -> tuple[int, str]:
    """How many rows there are, and a sum of hashes of their exact columns, whatever their order."""
    values = ", ".join(text for _, text in sorted(view.exact.items())) or "NULL"
    count, total = con.execute(
        f"SELECT count(*), coalesce(sum(CAST(hash([{values}]) AS HUGEINT)), 0) FROM {view.name}"
    ).fetchone()
    return count, f"{int(total) % 2**64:016x}"


def floats_differ(con: duckdb.DuckDBPyConnection, a: View, b: View) -> int:
    """In how many rows a float differs by more than the tolerance, both sides sorted by all columns."""
    order = ", ".join(quoted(column) for column in [*sorted(a.exact), *a.floats])
    numbered = "SELECT *, row_number() OVER (ORDER BY {order}) AS __row FROM ({rows})"
    left, right = (numbered.format(order=order, rows=rows(side)) for side in (a, b))

    def differs(column: str) -> str:
        x, y = f"a.{quoted(column)}", f"b.{quoted(column)}"
        far = f"abs({x} - {y}) > greatest({ABSOLUTE}, {RELATIVE} * greatest(abs({x}), abs({y})))"
        # Equal first: infinities and NaN, which equals itself in DuckDB, have no finite distance.
        return f"({x} IS DISTINCT FROM {y} AND ({x} IS NULL OR {y} IS NULL OR NOT isfinite({x} - {y}) OR {far}))"

    where = " OR ".join(differs(column) for column in a.floats)
    return con.execute(f"SELECT count(*) FROM ({left}) a JOIN ({right}) b USING (__row) WHERE {where}").fetchone()[0]


def only_in(con: duckdb.DuckDBPyConnection, a: View, b: View) -> list[tuple]:
    """A few rows of `a` that `b` does not have."""
    return con.execute(f"({rows(a)}) EXCEPT ALL ({rows(b)}) LIMIT {SHOWN_ROWS}").fetchall()


def compare(con: duckdb.DuckDBPyConnection, a: View, b: View) -> list[str]:
    """What differs between two views of a table; nothing if they are equal."""
    if (sorted(a.exact), a.floats) != (sorted(b.exact), b.floats):
        return [f"columns differ: {a.columns} and {b.columns}, floats {a.floats} and {b.floats}"]
    if checksum(con, a) == checksum(con, b):
        far = floats_differ(con, a, b) if a.floats else 0
        return [f"{far} rows have floats that differ by more than the tolerance"] if far else []
    found = []
    for which, left, right in (("first", a, b), ("second", b, a)):
        found += [f"only in the {which}: {row}" for row in only_in(con, left, right)]
    return found or ["rows differ"]


def tables(folder: Path) -> dict[str, Path]:
    """The Delta tables below a folder, by name."""
    base = folder / "tables" if (folder / "tables").is_dir() else folder
    return {path.parent.name: path.parent for path in sorted(base.glob("*/_delta_log"))}


def open_view(con: duckdb.DuckDBPyConnection, reader: str, root: Path, name: str) -> View:
    OPEN[reader](con, root, name)
    return view(con, name)


def compare_table(name: str, a: Path, b: Path) -> bool:
    """Compares a table of two folders as both readers see it, and what the readers see of one folder."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    try:
        views = {
            (reader, side): open_view(con, reader, root, f"{reader}_{side}")
            for reader in READERS
            for side, root in (("a", a), ("b", b))
        }
    except delta_log.Refused as refused:
        print(f"{name}: NOT READ: the table uses {refused}")
        return False
    for (reader, side), seen in views.items():
        count, total = checksum(con, seen)
        print(f"{name:<28} {side} {reader:<10} {count:>12} rows {len(seen.columns):>3} columns  {total}")
    pairs = [(("deltalake", "a"), ("deltalake", "b")), (("duckdb", "a"), ("duckdb", "b"))]
    pairs.append((("deltalake", "a"), ("duckdb", "a")))
    problems = []
    for left, right in pairs:
        found = compare(con, views[left], views[right])
        problems += [f"  {' '.join(left)} and {' '.join(right)}: {problem}" for problem in found]
    print(f"{name:<28} {'EQUAL' if not problems else 'NOT EQUAL'}")
    for problem in problems:
        print(problem)
    return not problems


def compare_folders(a: Path, b: Path) -> bool:
    """Compares every table of two folders."""
    left, right = tables(a), tables(b)
    equal = bool(left or right)
    if not equal:
        print(f"there is no Delta table below {a} or {b}")
    for name in sorted(left.keys() | right.keys()):
        if name not in left or name not in right:
            print(f"{name:<28} NOT EQUAL: only in {a if name in left else b}")
            equal = False
        else:
            equal = compare_table(name, left[name], right[name]) and equal
    return equal


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare two folders of Delta tables with independent readers.")
    parser.add_argument("a", type=Path, metavar="DIR_A")
    parser.add_argument("b", type=Path, metavar="DIR_B")
    args = parser.parse_args()
    for folder in (args.a, args.b):
        if not folder.is_dir():
            parser.error(f"{folder} is not a folder")
    return 0 if compare_folders(args.a.resolve(), args.b.resolve()) else 1


if __name__ == "__main__":
    sys.exit(main())
