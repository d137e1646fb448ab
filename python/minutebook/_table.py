"""A table as a SHA-256 over names, types and values, the same whichever library holds it, and the types of its columns
(docs/python/digests.md)."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import itertools
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from . import _columns

_MISSING = (2**64 - 1).to_bytes(8, "little")
_CHUNK_ROWS = 1 << 16

# How a type is called in a record, by its name in numpy, in Arrow and in Polars.
_NUMBERS = {
    f"{kind}{bits}": f"{letter}{bits}"
    for kind, letter in (("int", "i"), ("uint", "u"), ("float", "f"), ("Int", "i"), ("UInt", "u"), ("Float", "f"))
    for bits in (8, 16, 32, 64)
} | {"halffloat": "f16", "float": "f32", "double": "f64", "bool": "bool", "Boolean": "bool"}


class Table(NamedTuple):
    """What a table is."""

    sha256: bytes
    rows: int
    features: list[dict[str, str]]
    """Name and type of each column, in order."""


def table(of: Any, *, names: list[str] | None = None) -> Table:
    """The digest and the columns of a table; of several in a tuple, such as `(X, y)`, one behind the other.

    Raises TypeError for a column whose values have no canonical bytes. Reads all of it: about a second for 100 MB of numbers.
    """
    tables = of if isinstance(of, tuple) else (of,)
    every = [column for place, one in enumerate(tables) for column in _columns.columns(one, names, "y" if place else "x")]
    digest = hashlib.sha256(b"minutebook/table/1\n")
    features, count = [], 0
    for name, values in every:
        kind, rows, content = _column(name, values)
        count = max(count, rows)
        features.append({"name": name, "type": kind})
        for text in (name, kind):
            digest.update(len(text.encode()).to_bytes(8, "little") + text.encode())
        digest.update(rows.to_bytes(8, "little") + content)
    return Table(digest.digest(), count, features)


def _column(name: str, values: Any) -> tuple[str, int, bytes]:
    """Type, rows, and SHA-256 of the values."""
    dtype = getattr(values, "dtype", None)
    if dtype is not None and type(values).__module__.partition(".")[0] == "numpy":
        if dtype.kind in "biuf" and dtype.itemsize <= 8:
            return _NUMBERS[dtype.name], len(values), _of_numbers(values)
        if dtype.kind in "Mm":
            unit = "datetime64[ns]" if dtype.kind == "M" else "timedelta64[ns]"
            values = values.astype(unit).astype("int64").tolist()
            missing = -(2**63)
            kind = "datetime" if dtype.kind == "M" else "duration"
            return kind, len(values), _of_texts(None if value == missing else value for value in values)
        values = values.tolist()
    elif dtype is not None and hasattr(values, "to_arrow"):
        return _of_arrow(name, values.to_arrow())  # Polars
    elif hasattr(values, "type") and hasattr(values, "null_count"):
        return _of_arrow(name, values)
    return _of_objects(name, values)


def _of_numbers(values: Any) -> bytes:
    """Each row-major, little-endian, with nothing between; a bool is a byte."""
    digest = hashlib.sha256()
    for start in range(0, len(values), _CHUNK_ROWS):
        chunk = values[start : start + _CHUNK_ROWS]
        digest.update(chunk.astype(chunk.dtype.newbyteorder("<")).tobytes("C"))
    return digest.digest()


def _of_arrow(name: str, values: Any) -> tuple[str, int, bytes]:
    kind = _NUMBERS.get(str(values.type))
    if kind is not None and values.null_count == 0:
        return kind, len(values), _of_numbers(values.to_numpy(zero_copy_only=False) if _is_array(values) else values.to_numpy())
    if kind is not None:
        text = _TEXTS[kind[0]]
        return kind, len(values), _of_texts(None if value is None else text(value) for value in values.to_pylist())
    if str(values.type).startswith(("timestamp", "duration")):
        return _of_times(values)
    told, rows, content = _of_objects(name, values.to_pylist())
    return ("category" if str(values.type).startswith("dictionary") and told == "text" else told), rows, content


def _is_array(values: Any) -> bool:
    """Whether it is an array, and not one in chunks."""
    return not hasattr(values, "chunks")


def _of_times(values: Any) -> tuple[str, int, bytes]:
    name, _, inside = str(values.type).partition("[")
    unit, _, zone = inside.rstrip("]").partition(", tz=")
    factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[unit]
    counts = [None if count is None else count * factor for count in values.cast("int64").to_pylist()]
    kind = "duration" if name == "duration" else f"timestamp/{zone}" if zone else "datetime"
    return kind, len(counts), _of_texts(counts)


_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)

# What a value of Python's own is called, and its text where some are missing. `float.hex` and not `repr`: exact, whoever prints it.
_PYTHON: tuple[tuple[type, str, Callable[[Any], Any]], ...] = (
    (bool, "bool", int),
    (int, "i64", str),
    (float, "f64", float.hex),
    (str, "text", str),
    (bytes, "bytes", bytes.hex),
    (datetime.datetime, "datetime", lambda value: (value - _EPOCH) // _MICROSECOND * 1000),
    (datetime.date, "date", datetime.date.isoformat),
    (datetime.timedelta, "duration", lambda value: value // _MICROSECOND * 1000),
    (decimal.Decimal, "decimal", str),
)
_TEXTS: dict[str, Callable[[Any], Any]] = {"b": int, "i": str, "u": str, "f": float.hex}
_PACKED = {"bool": "?", "i64": "q", "f64": "d"}


def _of_objects(name: str, values: Iterable[Any]) -> tuple[str, int, bytes]:
    plain = [_plain(value) for value in values]
    there = [value for value in plain if value is not None]
    if not there:
        return "null", len(plain), _of_texts(plain)
    for kind, told, text in _PYTHON:
        if type(there[0]) is kind and all(type(value) is kind for value in there):
            try:
                if told in _PACKED and len(there) == len(plain):
                    return told, len(plain), hashlib.sha256(struct.pack(f"<{len(plain)}{_PACKED[told]}", *plain)).digest()
                return told, len(plain), _of_texts(None if value is None else text(value) for value in plain)
            except (TypeError, struct.error):
                # Times with a zone, integers beyond 64 bits.
                break
    found = sorted({type(value).__qualname__ for value in there})
    message = f"training data: the column `{name}` holds `{'`, `'.join(found)}`: make it one type of numbers, text or times"
    raise TypeError(message)


def _plain(value: Any) -> Any:
    library = type(value).__module__.partition(".")[0]
    if library == "numpy" and hasattr(value, "item"):
        return value.item()
    return None if library == "pandas" and type(value).__name__ in ("NAType", "NaTType") else value


def _of_texts(values: Iterable[Any]) -> bytes:
    """Each as text: its length in bytes (8, little-endian), then its UTF-8. What is missing: eight bytes 0xff."""
    digest = hashlib.sha256()
    each = iter(values)
    while chunk := b"".join(_told(itertools.islice(each, _CHUNK_ROWS))):
        digest.update(chunk)
    return digest.digest()


def _told(values: Iterable[Any]) -> Iterator[bytes]:
    for value in values:
        if value is None:
            yield _MISSING
        else:
            text = str(value).encode(errors="surrogatepass")
            yield len(text).to_bytes(8, "little") + text
