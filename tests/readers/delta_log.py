"""The files of a Delta table, from its log alone: no Delta library is asked.

Only what a table that was just written has: every commit as JSON since version 0. Whatever cannot be read right
(checkpoints without their commits, column mapping, unknown features) is refused by name.
"""

import json
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import deletion_vectors

READER_FEATURES = {"timestampNtz", "deletionVectors"}

SQL_TYPES = {
    "string": "VARCHAR",
    "long": "BIGINT",
    "integer": "INTEGER",
    "short": "SMALLINT",
    "byte": "TINYINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
}


class Refused(Exception):
    """The table needs something that is not read here."""


@dataclass
class Table:
    """A Delta table at its newest version."""

    version: int
    columns: dict[str, str]
    """Name to SQL type, in the table's order."""
    partition_columns: list[str]
    files: dict[Path, dict[str, str | None]]
    """Each data file, with its partition values as the log writes them."""
    deleted: dict[Path, list[int]]
    """The positions of the rows of a data file that are gone, for files of which some are."""


def sql_type(delta_type) -> str:
    """The SQL type of a type in a Delta schema."""
    if isinstance(delta_type, str):
        return SQL_TYPES.get(delta_type, delta_type.upper())
    kind = delta_type["type"]
    if kind == "array":
        return f"{sql_type(delta_type['elementType'])}[]"
    if kind == "map":
        return f"MAP({sql_type(delta_type['keyType'])}, {sql_type(delta_type['valueType'])})"
    if kind == "struct":
        fields = ", ".join(f"{quoted(field['name'])} {sql_type(field['type'])}" for field in delta_type["fields"])
        return f"STRUCT({fields})"
    raise Refused(f"the type {kind}")


def quoted(name: str) -> str:
    """A name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def read(root: Path) -> Table:
    """Replays the log of the table at `root` (Delta protocol, "Action Reconciliation")."""
    commits = sorted(path for path in (root / "_delta_log").glob("*.json") if path.stem.isdigit())
    versions = [int(path.stem) for path in commits]
    if versions != list(range(len(versions))) or not versions:
        raise Refused("a log whose commits do not begin at version 0 or have gaps")
    protocol, metadata, adds = {}, {}, {}
    for commit in commits:
        actions = [json.loads(line) for line in commit.read_text().splitlines() if line.strip()]
        # Within a commit the order of actions means nothing: a file may be removed and added again.
        for action in actions:
            if "remove" in action:
                adds.pop(action["remove"]["path"], None)
        for action in actions:
            protocol = action.get("protocol", protocol)
            metadata = action.get("metaData", metadata)
            if "add" in action:
                adds[action["add"]["path"]] = action["add"]
    check(protocol, metadata)
    vectors = {path: add["deletionVector"] for path, add in adds.items() if add.get("deletionVector")}
    schema = json.loads(metadata["schemaString"])
    return Table(
        version=versions[-1],
        columns={field["name"]: sql_type(field["type"]) for field in schema["fields"]},
        partition_columns=list(metadata.get("partitionColumns", [])),
        files={root / urllib.parse.unquote(path): add["partitionValues"] for path, add in adds.items()},
        deleted={root / urllib.parse.unquote(path): deletion_vectors.rows(root, it) for path, it in vectors.items()},
    )


def check(protocol: dict, metadata: dict) -> None:
    """Refuses what would be read wrongly."""
    reader = protocol.get("minReaderVersion", 0)
    features = set(protocol.get("readerFeatures") or [])
    if reader > 3 or not features <= READER_FEATURES | {"columnMapping"}:
        raise Refused(f"reader version {reader} with {sorted(features - READER_FEATURES)}")
    if metadata.get("configuration", {}).get("delta.columnMapping.mode", "none") != "none":
        raise Refused("column mapping")
