"""The comparison itself, on small tables that are known to be equal or not: `run.sh --self-test`."""

import base64
import contextlib
import datetime
import decimal
import io
import json
import struct
import tempfile
import unittest
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

import compare
import deletion_vectors

UTC = datetime.timezone.utc
ROWS = [
    {
        "id": id,
        "part": None if id % 4 == 0 else f"p {id % 4}/ü",
        "price": decimal.Decimal(id) / 4,
        "share": id / 3,
        "at": datetime.datetime(2026, 1, 1, tzinfo=UTC) + datetime.timedelta(microseconds=id),
        "day": datetime.date(2026, 1, 1 + id),
        "raw": bytes([id, 0, 255]),
        "nested": {"list": [id, None], "text": None if id == 2 else "x"},
        "map": [("a", id), ("b", None)],
    }
    for id in range(10)
]
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("part", pa.string()),
        ("price", pa.decimal128(10, 2)),
        ("share", pa.float64()),
        ("at", pa.timestamp("us", "UTC")),
        ("day", pa.date32()),
        ("raw", pa.binary()),
        ("nested", pa.struct([("list", pa.list_(pa.int32())), ("text", pa.string())])),
        ("map", pa.map_(pa.string(), pa.int64())),
    ]
)


def base85(data):
    """The other way round than deletion_vectors.base85, by Python's own encoder with letters exchanged."""
    letters = base64._b85alphabet.decode()
    own = "".join(chr(letter) for letter in base64.b85encode(data))
    return own.translate(str.maketrans(letters, deletion_vectors.LETTERS))


def with_value(column, value, id=5):
    return [{**row, column: value} if row["id"] == id else row for row in ROWS]


class CompareTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        self.write("a", ROWS)

    def write(self, side, rows, schema=SCHEMA, name="t", **options):
        write_deltalake(str(self.root / side / name), pa.Table.from_pylist(rows, schema), **options)

    def equal(self):
        self.said = io.StringIO()
        with contextlib.redirect_stdout(self.said):
            return compare.compare_folders(self.root / "a", self.root / "b")

    def test_order_files_versions_and_partitions_make_no_difference(self):
        self.write("b", ROWS[:3], partition_by=["part"])
        self.write("b", ROWS[7:], mode="overwrite")
        self.write("b", ROWS[:7][::-1], mode="append")
        self.assertTrue(self.equal(), self.said.getvalue())

    def test_integer_width_and_decimal_scale_make_no_difference(self):
        schema = SCHEMA.set(0, pa.field("id", pa.int32())).set(2, pa.field("price", pa.decimal128(20, 6)))
        self.write("b", ROWS, schema)
        self.assertTrue(self.equal(), self.said.getvalue())

    def test_floats_are_equal_within_the_tolerance(self):
        self.write("b", with_value("share", 5 / 3 * (1 + 1e-12)))
        self.assertTrue(self.equal(), self.said.getvalue())

    def test_floats_beyond_it_are_not(self):
        for value in (5 / 3 * (1 + 1e-6), None, float("nan"), float("inf")):
            self.write("b", with_value("share", value), mode="overwrite")
            self.assertFalse(self.equal(), value)

    def test_every_other_column_counts(self):
        others = {
            "id": 99,
            "part": "",
            "price": decimal.Decimal("1.26"),
            "at": datetime.datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC),
            "day": datetime.date(2026, 2, 1),
            "raw": b"",
            "nested": {"list": [5], "text": "x"},
            "map": [("a", 5)],
        }
        for column, value in others.items():
            self.write("b", with_value(column, value), mode="overwrite")
            self.assertFalse(self.equal(), column)
            self.assertIn("only in the second", self.said.getvalue())

    def test_repeated_rows_count(self):
        self.write("b", ROWS + ROWS[:1])
        self.assertFalse(self.equal())

    def test_missing_columns_and_tables_count(self):
        self.write("b", [{"id": row["id"]} for row in ROWS], pa.schema([("id", pa.int64())]))
        self.assertFalse(self.equal())
        self.write("b", ROWS, mode="overwrite", schema_mode="overwrite")
        self.assertTrue(self.equal(), self.said.getvalue())
        self.write("b", ROWS, name="other")
        self.assertFalse(self.equal())
        self.assertIn("other", self.said.getvalue())

    def test_empty_tables_are_equal(self):
        DeltaTable(str(self.root / "a" / "t")).delete()
        self.write("b", [])
        self.assertTrue(self.equal(), self.said.getvalue())

    def test_folders_without_tables_are_not(self):
        self.root = self.root / "nowhere"
        (self.root / "a").mkdir(parents=True)
        (self.root / "b").mkdir()
        self.assertFalse(self.equal())

    def mark(self, side, bitmap, cardinality):
        """Marks rows of the only file of a table in the log."""
        log = self.root / side / "t" / "_delta_log"
        actions = [json.loads(line) for line in (log / f"{0:020}.json").read_text().splitlines()]
        add = next(action["add"] for action in actions if "add" in action)
        data = struct.pack("<IQI", deletion_vectors.MAGIC, 1, 0) + bitmap
        text = base85(data + bytes(-len(data) % 4))
        vector = {"storageType": "i", "pathOrInlineDv": text, "sizeInBytes": len(data), "cardinality": cardinality}
        remove = {"path": add["path"], "dataChange": True, "deletionTimestamp": 0}
        features = ["deletionVectors", *next((a["protocol"].get("readerFeatures") or []) for a in actions if "protocol" in a)]
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": features, "writerFeatures": features}
        commit = [{"protocol": protocol}, {"remove": remove}, {"add": {**add, "deletionVector": vector}}]
        (log / f"{1:020}.json").write_text("\n".join(map(json.dumps, commit)))

    def test_rows_that_are_marked_are_gone(self):
        self.write("b", ROWS[:2] + ROWS[3:7] + ROWS[9:])
        array = struct.pack("<IIHHI3H", deletion_vectors.WITHOUT_RUNS, 1, 0, 2, 16, 2, 7, 8)
        self.mark("a", array, 3)
        self.assertTrue(self.equal(), self.said.getvalue())
        runs = struct.pack("<IBHHHHHHH", deletion_vectors.WITH_RUNS, 1, 0, 2, 2, 2, 0, 7, 1)
        self.mark("a", runs, 3)
        self.assertTrue(self.equal(), self.said.getvalue())
        self.mark("a", struct.pack("<IIHHIH", deletion_vectors.WITHOUT_RUNS, 1, 0, 0, 16, 2), 1)
        self.assertFalse(self.equal())

    def test_bitmaps_of_every_kind_are_read(self):
        many = set(range(0, 1 << 16, 2))
        words = bytearray(8192)
        for number in many:
            words[number // 8] |= 1 << number % 8
        dense = struct.pack("<IIHHI", deletion_vectors.WITHOUT_RUNS, 1, 5, len(many) - 1, 16) + words
        data = struct.pack("<IQI", deletion_vectors.MAGIC, 1, 1) + dense
        expected = [1 << 32 | 5 << 16 | number for number in sorted(many)]
        self.assertEqual(deletion_vectors.bitmap_array(data), expected)

    def test_what_cannot_be_read_is_refused_by_name(self):
        self.write("b", ROWS)
        commit = self.root / "b" / "t" / "_delta_log" / f"{1:020}.json"
        commit.write_text(json.dumps({"protocol": {"minReaderVersion": 4, "minWriterVersion": 7}}))
        with self.assertRaisesRegex(compare.delta_log.Refused, "reader version 4"):
            compare.delta_log.read(self.root / "b" / "t")


if __name__ == "__main__":
    unittest.main()
