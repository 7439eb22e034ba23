"""Deletion vectors after the protocol's text ("Deletion Vector Format"): which rows of a data file are gone.

Written for checking, not for speed: nothing of it is shared with what wrote the tables.
"""

import struct
import uuid
import zlib
from pathlib import Path

MAGIC = 1681511377
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
WITH_RUNS, WITHOUT_RUNS = 12347, 12346
LARGEST_ARRAY = 4096


def base85(text: str) -> bytes:
    """The bytes of a text in ZeroMQ's base 85: four for five letters."""
    data = bytearray()
    for start in range(0, len(text), 5):
        number = 0
        for letter in text[start : start + 5]:
            number = number * 85 + LETTERS.index(letter)
        data += struct.pack(">I", number)
    return bytes(data)


def rows(root: Path, descriptor: dict) -> list[int]:
    """The positions that a vector of the table at `root` removes."""
    kind, where, size = descriptor["storageType"], descriptor["pathOrInlineDv"], descriptor["sizeInBytes"]
    if kind == "i":
        data = base85(where)[:size]
    else:
        if kind == "u":
            name = f"deletion_vector_{uuid.UUID(bytes=base85(where[-20:]))}.bin"
            path = root / where[:-20] / name
        else:
            path = Path(where.removeprefix("file://"))
        stored = path.read_bytes()
        if stored[0] != 1:
            raise ValueError(f"{path} has the format version {stored[0]}")
        start = descriptor["offset"]
        (length,) = struct.unpack_from(">I", stored, start)
        data = stored[start + 4 : start + 4 + size]
        (checksum,) = struct.unpack_from(">I", stored, start + 4 + size)
        if length != size or zlib.crc32(data) != checksum:
            raise ValueError(f"a vector in {path} is damaged")
    found = bitmap_array(data)
    if len(found) != descriptor["cardinality"]:
        raise ValueError(f"a vector names {len(found)} rows, not {descriptor['cardinality']}")
    return found


def bitmap_array(data: bytes) -> list[int]:
    """The numbers of a portable array of Roaring bitmaps, one bitmap for each upper half of 64 bits."""
    magic, count = struct.unpack_from("<IQ", data)
    if magic != MAGIC:
        raise ValueError(f"a vector begins with {magic}")
    found, position = [], 12
    for _ in range(count):
        (upper,) = struct.unpack_from("<I", data, position)
        lower, position = bitmap(data, position + 4)
        found += [upper << 32 | number for number in lower]
    return found


def bitmap(data: bytes, position: int) -> tuple[list[int], int]:
    """The numbers of the Roaring bitmap at `position`, and where it ends."""
    (cookie,) = struct.unpack_from("<I", data, position)
    position += 4
    if cookie & 0xFFFF == WITH_RUNS:
        size = (cookie >> 16) + 1
        flags = data[position : position + (size + 7) // 8]
        position += len(flags)
    elif cookie == WITHOUT_RUNS:
        (size,) = struct.unpack_from("<I", data, position)
        position, flags = position + 4, bytes((size + 7) // 8)
    else:
        raise ValueError(f"a bitmap begins with {cookie}")
    containers = [struct.unpack_from("<HH", data, position + 4 * index) for index in range(size)]
    position += 4 * size
    if cookie == WITHOUT_RUNS or size >= 4:
        # The containers' offsets: they follow one another anyway.
        position += 4 * size
    found = []
    for index, (upper, cardinality) in enumerate(containers):
        if flags[index // 8] >> index % 8 & 1:
            (runs,) = struct.unpack_from("<H", data, position)
            pairs = [struct.unpack_from("<HH", data, position + 2 + 4 * run) for run in range(runs)]
            lower = [number for first, more in pairs for number in range(first, first + more + 1)]
            position += 2 + 4 * runs
        elif cardinality + 1 <= LARGEST_ARRAY:
            lower = struct.unpack_from(f"<{cardinality + 1}H", data, position)
            position += 2 * (cardinality + 1)
        else:
            words = data[position : position + 8192]
            lower = [number for number in range(1 << 16) if words[number // 8] >> number % 8 & 1]
            position += 8192
        found += [upper << 16 | number for number in lower]
    return found, position
