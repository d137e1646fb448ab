"""Values of records from the JSON that the engine prints (docs/formats/json.md): what JSON lacks is an object with one member."""

from __future__ import annotations

import base64
import datetime
import decimal
import math
import re
import struct
import sys
from collections.abc import Callable
from typing import Any

_EPOCH = datetime.datetime(1970, 1, 1)
_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?")


def value(told: Any) -> Any:
    """Python's value. Times are cut to microseconds; a tensor is a numpy array where numpy is in use, else nested lists."""
    if isinstance(told, list):
        return [value(item) for item in told]
    if not isinstance(told, dict):
        return told
    if len(told) == 1:
        name, inside = next(iter(told.items()))
        read = _READERS.get(name)
        if read is not None:
            return read(inside)
    return {name: value(item) for name, item in told.items()}


def moment(told: str) -> datetime.datetime:
    """An instant in UTC from RFC 3339 text with up to nine digits of a second."""
    return _time(told, datetime.timezone.utc)


def _time(told: Any, zone: datetime.timezone | None) -> Any:
    if isinstance(told, dict):
        seconds, nanoseconds = told["seconds"], told["nanoseconds"]
        try:
            return (_EPOCH + datetime.timedelta(seconds=seconds, microseconds=nanoseconds // 1000)).replace(tzinfo=zone)
        except OverflowError:
            return told
    text = re.sub(r"(\.\d{1,6})\d*", lambda found: found[1].ljust(7, "0"), told.replace("Z", "+00:00"))
    read = datetime.datetime.fromisoformat(text)
    return read.astimezone(zone) if zone is not None else read


def _date(told: Any) -> Any:
    return told if isinstance(told, dict) else datetime.date.fromisoformat(told)


def _duration(told: Any) -> Any:
    found = None if isinstance(told, dict) else _DURATION.fullmatch(told)
    if found is None:
        return told
    sign, days, hours, minutes, seconds, fraction = found.groups()
    span = datetime.timedelta(days=int(days or 0), hours=int(hours or 0), minutes=int(minutes or 0), seconds=int(seconds or 0))
    span += datetime.timedelta(microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    return -span if sign else span


def _tensor(told: dict[str, Any]) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return told
    dtype = re.sub(r"^([iuf])(\d+)$", lambda found: f"{found[1]}{int(found[2]) // 8}", told["dtype"])
    if "base64" in told:
        flat = numpy.frombuffer(base64.b64decode(told["base64"]), dtype=numpy.dtype(dtype).newbyteorder("<"))
    else:
        flat = numpy.array([value(item) for item in told["data"]], dtype=dtype)
    return flat.reshape(told["shape"])


def _typed(told: dict[str, Any]) -> Any:
    read = value(told["value"])
    # Printed as short as tells it from its neighbours in float32; the number that was recorded is another in float64.
    return struct.unpack("<f", struct.pack("<f", read))[0] if told["type"] == "f32" and read is not None else read


_READERS: dict[str, Callable[[Any], Any]] = {
    "$float": lambda told: {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(told, told),
    "$bytes": base64.b64decode,
    "$timestamp": lambda told: _time(told, datetime.timezone.utc),
    "$datetime": lambda told: _time(told, None),
    "$date": _date,
    "$duration": _duration,
    "$decimal": decimal.Decimal,
    "$integer": int,
    "$tensor": _tensor,
    "$typed": _typed,
    "$map": lambda told: {name: value(item) for name, item in told.items()},
}
