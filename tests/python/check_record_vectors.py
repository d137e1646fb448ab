#!/usr/bin/env python3
"""The record format a second time, from docs/formats/record.md alone: recomputes docs/formats/vectors/record.json and compares.

Standard library, and `cryptography` for AES. With --write the file is made anew. Exit status 1 when the file differs.
"""

import decimal
import hashlib
import hmac
import json
import math
import pathlib
import re
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

FILE = pathlib.Path(__file__).resolve().parents[2] / "docs/formats/vectors/record.json"
MIB = 1 << 20
KINDS = ("decision explanation outcome review replay model deployment window alert producer loss access policy erasure "
         "hold disposal anchor note").split()
INTEGERS = {f"{sign}{bits}": (-(1 << bits - 1), (1 << bits - 1) - 1) if sign == "i" else (0, (1 << bits) - 1)
            for sign in "iu" for bits in (8, 16, 32, 64)}
ELEMENTS = {"bool": (64, 1), "u8": (64, 1), "u16": (69, 2), "u32": (70, 4), "u64": (71, 8), "i8": (72, 1), "i16": (77, 2),
            "i32": (78, 4), "i64": (79, 8), "f16": (84, 2), "f32": (85, 4), "f64": (86, 8)}
SIZES = {tag: size for tag, size in ELEMENTS.values()}
WORDS = {"null", "bool", "f16", "f32", "f64", "decimal", "text", "category", "bytes", "timestamp", "datetime", "date", "duration",
         "list", "map", "blob", "event", "model", "attributions", "explanation", "subject", "dropped", *INTEGERS}
SYSTEM = {("event",): "event", ("model",): "model", ("params",): "map", ("environment",): "map", ("tags",): "map",
          ("explanation", "attributions"): "attributions", ("explanation", "meta"): "explanation", ("subject",): "subject",
          ("actor",): "text"}


UNITS = ("second", "minute", "hour", "day", "month", "year")
decimal.getcontext().prec = 100


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- writing -------------------------------------------------------------------------------------------------------------

def head(major, n):
    for info, code, limit in ((24, "B", 1 << 8), (25, "H", 1 << 16), (26, "I", 1 << 32), (27, "Q", 1 << 64)):
        if n < 24:
            return bytes([major << 5 | n])
        if n < limit:
            return bytes([major << 5 | info]) + struct.pack(">" + code, n)
    raise ValueError(n)


def integer(n):
    return head(0, n) if n >= 0 else head(1, -1 - n)


def text(s):
    return head(3, len(s.encode())) + s.encode()


def octets(b):
    return head(2, len(b)) + b


def array(*items):
    return head(4, len(items)) + b"".join(items)


def mapping(pairs):
    """`pairs`: encoded key and encoded value."""
    return head(5, len(pairs)) + b"".join(k + v for k, v in sorted(pairs))


def tag(n, content):
    return head(6, n) + content


def float_(bits):
    value, = struct.unpack(">d", bits)
    if value != value:
        return b"\xf9\x7e\x00"
    for first, code in ((b"\xf9", ">e"), (b"\xfa", ">f")):
        try:
            short = struct.pack(code, value)
        except OverflowError:
            continue
        if struct.pack(">d", struct.unpack(code, short)[0]) == bits:
            return first + short
    return b"\xfb" + bits


NULL = b"\xf6"


def optional(value, write):
    return NULL if value is None else write(value)


def floats(value):
    return array(*(float_(bytes.fromhex(v)) for v in value)) if isinstance(value, list) else float_(bytes.fromhex(value))


def path(parts):
    return array(*map(text, parts))


def tensor(t):
    return tag(40, array(array(*map(integer, t["shape"])), tag(ELEMENTS[t["element"]][0], octets(bytes.fromhex(t["data"])))))


def pairs(items):
    return mapping([(text(k), value(v)) for k, v in items])


def unhex(s):
    return octets(bytes.fromhex(s))


def event(e):
    batch = optional(e["batch"], lambda b: array(unhex(b["call"]), integer(b["row"]), integer(b["rows"])))
    kept = optional(e["kept"], lambda k: array(text(k["rule"]), optional(k["rate"], floats)))
    return array(integer(e["time_ns"]), optional(e["clock_error_ns"], integer), optional(e["duration_ns"], integer),
                 text(e["status"]), optional(e["trace"], unhex), optional(e["span"], unhex), batch, kept,
                 array(*map(unhex, e["links"])))


def explanation(e):
    return array(text(e["method"]), text(e["library"]), pairs(e["parameters"]), optional(e["seed"], lambda s: integer(int(s))),
                 optional(e["background"], unhex), optional(e["space"], text), value(e["class"]), optional(e["base"], floats),
                 optional(e["residual"], floats), text(e["when"]), optional(e["duration_ns"], integer))


def value(v):
    """A value as the vectors describe it: JSON where JSON can say it, else an object with one member."""
    if v is None:
        return NULL
    if isinstance(v, bool):
        return b"\xf5" if v else b"\xf4"
    if isinstance(v, str):
        return text(v)
    (kind, content), = v.items()
    return {
        "int": lambda: integer(int(content)),
        "float": lambda: float_(bytes.fromhex(content)),
        "repeat": lambda: text(content[0] * content[1]),
        "bytes": lambda: unhex(content),
        "decimal": lambda: tag(4, array(integer(content[0]), integer(int(content[1])))),
        "timestamp": lambda: tag(1001, mapping([(integer(1), integer(int(content[0]))), (integer(-9), integer(content[1]))])),
        "duration": lambda: tag(1002, mapping([(integer(1), integer(int(content[0]))), (integer(-9), integer(content[1]))])),
        "date": lambda: tag(100, integer(content)),
        "list": lambda: array(*map(value, content)),
        "map": lambda: pairs(content),
        "tensor": lambda: tensor(content),
        "blob": lambda: tag(27, array(text("minutebook/blob"), text(content["media_type"]), integer(int(content["length"])),
                                      unhex(content["id"]), unhex(content["digest"]))),
        "event": lambda: event(content),
        "model": lambda: array(text(content["name"]), text(content["version"]), optional(content["artifact"], unhex)),
        "attributions": lambda: array(
            optional(content["features"], lambda f: array(*(path(p) if isinstance(p, list) else text(p) for p in f))),
            tensor(content["tensor"])),
        "explanation": lambda: explanation(content),
        "subject": lambda: array(*map(text, content)),
    }[kind]()


def header(h):
    return mapping([(integer(0), integer(1)), (integer(1), unhex(h["id"])), (integer(2), integer(1 + KINDS.index(h["kind"]))),
                    (integer(3), unhex(h["producer"])), (integer(4), integer(int(h["epoch"]))),
                    (integer(5), integer(int(h["seq"]))), (integer(6), text(h["class"]))])


def schema(fields):
    return array(*(array(path(p), text(t)) for p, t in fields))


def salts(seed, count):
    stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    return [stream.update(bytes(16)) for _ in range(count)]


def commitment(digests):
    return sha256(array(*map(octets, digests)))


def preimage(header_bytes, schema_digest, committed):
    return array(text("minutebook/record/1"), header_bytes, octets(schema_digest), octets(committed))


# ---- redaction -----------------------------------------------------------------------------------------------------------

def number_text(x):
    """The shortest digits of a double, without an exponent."""
    return re.sub(r"\.0$", "", format(decimal.Decimal(repr(x)), "f"))


def is_number(t):
    """Whether this is the one text of a double."""
    return bool(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", t)) and len(t) <= 24 and t != "-0" and number_text(float(t)) == t


def key_id(key):
    return hmac.digest(key, b"minutebook/redaction key id/1", "sha256")[:4].hex()


def keyed_hash(key, v):
    return hmac.digest(key, value(v), "sha256").hex()


def end_of_bucket(k, width):
    """k times the width; None beyond 2^50 units of its last digit."""
    product = k * decimal.Decimal(width)
    unit = decimal.Decimal(1).scaleb(decimal.Decimal(width).as_tuple().exponent)
    return float(product) if abs(product) <= unit * (1 << 50) else None


def lower_end(x, buckets):
    """The lower end of a double's bucket; None when it has none."""
    kind, _, rest = buckets.partition("/")
    if x != x:
        return x
    if kind == "edges":
        return max((e for e in map(float, rest.split(",")) if e <= x), default=-math.inf)
    if math.isinf(x):
        return x
    k = int((decimal.Decimal(x) / decimal.Decimal(rest)).to_integral_value(decimal.ROUND_FLOOR))
    for n in (k - 1, k, k + 1):
        low, high = end_of_bucket(n, rest), end_of_bucket(n + 1, rest)
        if low is not None and high is not None and low <= x < high:
            return low
    return None


def ordinal(year, month):
    """Days from 0001-01-01 to the first of a month; any year, also before the first."""
    before = year - 1
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    months = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return 365 * before + before // 4 - before // 100 + before // 400 + sum(months[: month - 1])


def first_day(days, unit):
    """The first day of the month or year of a day since 1970-01-01."""
    days += ordinal(1970, 1)
    year = days * 400 // 146097
    while ordinal(year + 1, 1) <= days:
        year += 1
    month = max(m for m in range(1, 13) if ordinal(year, m) <= days) if unit == "month" else 1
    return ordinal(year, month) - ordinal(1970, 1)


def begins(seconds, nanoseconds, unit):
    """Whether an instant begins a unit."""
    length = {"second": 1, "minute": 60, "hour": 3600}.get(unit, 86400)
    return nanoseconds == 0 and seconds % length == 0 and (
        unit not in ("month", "year") or first_day(seconds // 86400, unit) == seconds // 86400)


def is_redacted_type(name):
    first, _, rest = name.partition("/")
    kept, _, of = rest.partition("/")
    if first == "hashed":
        return bool(re.fullmatch("[0-9a-f]{8}", rest))
    if first == "bucketed":
        numbers = of.split(",")
        if len(numbers) > 64 or not all(map(is_number, numbers)):
            return False
        each = list(map(float, numbers))
        return each[0] > 0 and len(each) == 1 if kept == "width" else kept == "edges" and all(a < b for a, b in zip(each, each[1:]))
    if first != "truncated":
        return False
    if kept in UNITS:
        return of in ("timestamp", "datetime") or is_zoned(of) or of == "date" and kept in UNITS[3:]
    return bool(re.fullmatch("[1-9][0-9]{0,4}", kept)) and int(kept) <= 65535 and of in ("text", "category", "bytes")


def is_zoned(name):
    first, _, rest = name.partition("/")
    return first == "timestamp" and len(rest) <= 64 and bool(re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", rest))


# ---- reading, strictly ---------------------------------------------------------------------------------------------------

class Refused(Exception):
    """Its argument is the reason, a word."""


def need(condition, reason):
    if not condition:
        raise Refused(reason)


class Reader:
    """Reads what the writer above would have written, and nothing else."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "truncated")
        self.at += n
        return self.data[self.at - n:self.at]

    def peek(self):
        need(self.at < len(self.data), "truncated")
        return self.data[self.at]

    def end(self):
        need(self.at == len(self.data), "trailing")

    def head(self, *majors):
        need(self.peek() >> 5 in majors, "expected")
        first = self.take(1)[0]
        info = first & 31
        need(info != 31, "indefinite")
        need(info < 28, "reserved")
        if info < 24:
            return first >> 5, info
        n = int.from_bytes(self.take(1 << info - 24), "big")
        need(n >= (24, 1 << 8, 1 << 16, 1 << 32)[info - 24], "not-shortest")
        return first >> 5, n

    def null(self):
        if self.peek() == 0xf6:
            self.take(1)
            return True
        return False

    def integer(self, low=-(1 << 63), high=(1 << 64) - 1):
        major, n = self.head(0, 1)
        need(major == 0 or n < 1 << 63, "integer-range")
        n = n if major == 0 else -1 - n
        need(low <= n <= high, "range")
        return n

    def unsigned(self, low=0, high=(1 << 64) - 1):
        n = self.head(0)[1]
        need(low <= n <= high, "range")
        return n

    def float(self, width=8):
        need(self.peek() in (0xf9, 0xfa, 0xfb), "expected")
        start = self.at
        size = 1 << self.take(1)[0] - 0xf8
        value, = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], self.take(size))
        need(float_(struct.pack(">d", value)) == self.data[start:self.at], "float-not-shortest")
        need(size <= width, "range")
        return value

    def text(self, limit=None):
        raw = self.take(self.head(3)[1])
        try:
            found = raw.decode()
        except UnicodeDecodeError:
            raise Refused("utf8") from None
        need(limit is None or len(raw) <= limit, "too-large")
        return found

    def octets(self, length=None):
        raw = self.take(self.head(2)[1])
        need(length is None or len(raw) == length, "range")
        return raw

    def count(self, major=4):
        n = self.head(major)[1]
        need(n * (major - 3) <= len(self.data) - self.at, "truncated")
        return n

    def array(self, length):
        need(self.head(4)[1] == length, "expected")

    def tag(self, n):
        need(self.head(6)[1] == n, "tag")

    def any(self, depth=0):
        major = self.peek() >> 5
        if major <= 1:
            self.integer()
        elif major == 2:
            self.octets()
        elif major == 3:
            self.text()
        elif major == 4:
            need(depth < 16, "too-deep")
            for _ in range(self.count()):
                self.any(depth + 1)
        elif major == 5:
            self.map(depth)
        elif major == 6:
            n = self.head(6)[1]
            need(n in (4, 27, 40, 100, 1001, 1002), "tag")
            need(depth + {100: 1, 40: 3}.get(n, 2) <= 16, "too-deep")
            {4: self.decimal, 27: self.blob, 40: self.tensor, 100: self.days, 1001: self.seconds, 1002: self.seconds}[n]()
        elif self.peek() in (0xf9, 0xfa, 0xfb):
            self.float()
        elif self.peek() in (0xf4, 0xf5, 0xf6):
            self.take(1)
        else:
            info = self.take(1)[0] & 31
            raise Refused("indefinite" if info == 31 else "reserved" if info >= 28 else "simple")

    def map(self, depth=0):
        need(depth < 16, "too-deep")
        last = b""
        for _ in range(self.count(5)):
            start = self.at
            self.text()
            key = self.data[start:self.at]
            need(key != last, "key-twice")
            need(key > last, "key-order")
            last = key
            self.any(depth + 1)

    def decimal(self):
        self.array(2)
        self.integer(-(1 << 31), (1 << 31) - 1)
        self.integer()

    def days(self):
        self.integer(-(1 << 31), (1 << 31) - 1)

    def seconds(self):
        need(self.peek() == 0xa2, "expected")
        self.take(1)
        need(self.peek() == 0x01, "expected")
        self.take(1)
        seconds = self.integer(-(1 << 63), (1 << 63) - 1)
        need(self.peek() == 0x28, "expected")
        self.take(1)
        return seconds, self.unsigned(0, 999_999_999)

    def tensor(self):
        self.array(2)
        shape = [None] * self.count()
        need(len(shape) <= 32, "too-large")
        elements = 1
        for place in range(len(shape)):
            shape[place] = self.unsigned()
            elements *= shape[place]
        n = self.head(6)[1]
        need(n in SIZES, "tag")
        raw = self.octets()
        need(elements * SIZES[n] == len(raw), "content")
        return shape, n, raw

    def blob(self):
        self.array(5)
        need(self.text() == "minutebook/blob", "content")
        self.text()
        self.unsigned()
        self.octets(16)
        self.octets(32)

    def record_id(self):
        raw = self.octets(16)
        need(raw[6] >> 4 == 7 and raw[8] >> 6 == 2, "content")

    def path(self):
        n = self.count()
        need(1 <= n <= 8, "range")
        parts = tuple(self.text(256) if place else self.text(256) or self.empty() for place in range(n))
        return parts

    @staticmethod
    def empty():
        raise Refused("content")

    def optional(self, read):
        if not self.null():
            read()

    def floats(self):
        if self.peek() >> 5 == 4:
            for _ in range(self.count()):
                self.float()
        else:
            self.float()

    def one_of(self, words, reason):
        need(self.text() in words, reason)

    def event(self):
        self.array(9)
        self.integer(-(1 << 63), (1 << 63) - 1)
        self.optional(self.unsigned)
        self.optional(self.unsigned)
        self.text()
        self.optional(lambda: self.octets(16))
        self.optional(lambda: self.octets(8))
        self.optional(self.batch)
        self.optional(self.kept)
        n = self.count()
        need(n <= 1024, "too-large")
        for _ in range(n):
            self.record_id()

    def batch(self):
        self.array(3)
        self.octets(16)
        row = self.unsigned()
        need(row < self.unsigned(), "range")

    def kept(self):
        self.array(2)
        self.text()
        self.optional(lambda: need(0 < self.float() <= 1, "range"))

    def model(self):
        self.array(3)
        self.text()
        self.text()
        self.optional(lambda: self.octets(32))

    def attributions(self):
        self.array(2)
        n = None
        if not self.null():
            n = self.count()
            for _ in range(n):
                self.path() if self.peek() >> 5 == 4 else self.text()
        self.tag(40)
        shape = self.tensor()[0]
        need(len(shape) in (1, 2), "range")
        need(n is None or n == shape[0], "content")

    def explanation(self):
        self.array(11)
        self.text()
        self.text()
        self.map(1)
        self.optional(self.integer)
        self.optional(lambda: self.octets(32))
        self.optional(lambda: self.one_of(("raw", "log-odds", "probability"), "content"))
        self.any(1)
        self.optional(self.floats)
        self.optional(self.floats)
        self.one_of(("inline", "later"), "expected")
        self.optional(self.unsigned)

    def subject(self):
        n = self.count()
        need(1 <= n <= 64, "range")
        for _ in range(n):
            self.text(512)

    def redacted(self, name):
        first, _, rest = name.partition("/")
        if first == "hashed":
            self.octets(32)
        elif first == "bucketed":
            x = self.float()
            low = lower_end(x, rest)
            need(low is not None and struct.pack(">d", low) == struct.pack(">d", x) or x != x, "content")
        else:
            kept, _, of = rest.partition("/")
            if kept not in UNITS:
                need(len(self.octets() if of == "bytes" else self.text()) <= int(kept), "content")
            elif of == "date":
                self.tag(100)
                days = self.integer(-(1 << 31), (1 << 31) - 1)
                need(begins(days * 86400, 0, kept), "content")
            else:
                self.tag(1001)
                need(begins(*self.seconds(), kept), "content")

    def typed(self, name):
        """A value of this type, and nothing of what follows."""
        start = self.at
        if self.null():
            return
        if name in ("null", "dropped"):
            raise Refused("expected")
        if is_redacted_type(name):
            self.redacted(name)
            need(self.at - start <= MIB, "too-large")
            return
        if name in INTEGERS:
            self.integer(*INTEGERS[name])
        elif name.startswith("tensor/"):
            self.tag(40)
            _, n, raw = self.tensor()
            need(n == ELEMENTS[name[7:]][0], "expected")
            need(name != "tensor/bool" or set(raw) <= {0, 1}, "content")
        elif name.split("/")[0] in ("timestamp", "datetime"):
            self.tag(1001)
            self.seconds()
        else:
            {"bool": lambda: need(self.peek() in (0xf4, 0xf5), "expected") or self.take(1),
             "f16": lambda: self.float(2), "f32": lambda: self.float(4), "f64": self.float,
             "decimal": lambda: (self.tag(4), self.decimal()), "text": self.text, "category": self.text, "bytes": self.octets,
             "date": lambda: (self.tag(100), self.days()), "duration": lambda: (self.tag(1002), self.seconds()),
             "list": lambda: need(self.peek() >> 5 == 4, "expected") or self.any(),
             "map": lambda: need(self.peek() >> 5 == 5, "expected") or self.any(),
             "blob": lambda: (self.tag(27), self.blob()), "event": self.event, "model": self.model,
             "attributions": self.attributions, "explanation": self.explanation, "subject": self.subject}[name]()
        need(self.at - start <= MIB, "too-large")

    def header(self):
        n = self.count(5)
        for key, read in enumerate((lambda: need(self.unsigned() == 1, "content"), self.record_id,
                                    lambda: self.unsigned(1, 18), lambda: self.octets(16),
                                    lambda: self.unsigned(1, (1 << 63) - 1), lambda: self.unsigned(1, (1 << 63) - 1),
                                    lambda: need(re.fullmatch("[a-z][a-z0-9-]{0,31}", self.text()), "content"))):
            need(key < n and self.unsigned() == key, "content")
            read()
        need(n == 7, "content")

    def schema(self):
        start = self.at
        n = self.count()
        need(n <= 16384, "fields")
        fields = []
        for _ in range(n):
            self.array(2)
            p = self.path()
            name = self.text()
            first, _, rest = name.partition("/")
            known = name in WORDS or first == "tensor" and rest in ELEMENTS or is_zoned(name) or is_redacted_type(name)
            need(known, "unknown-type")
            fields.append((p, name))
        for p, name in fields:
            own = SYSTEM.get(p)
            left_out = name == "dropped" and own == "attributions"
            need(name == own or left_out if own else name not in ("event", "model", "attributions", "explanation", "subject"), "type")
        need(len({p for p, _ in fields}) == n, "duplicate-path")
        need(self.at - start <= MIB, "bytes")
        return fields

    def preimage(self):
        self.array(4)
        need(self.text() == "minutebook/record/1", "content")
        self.header()
        self.octets(32)
        self.octets(32)

    def disclosure(self):
        """The leaf, and which places are shown."""
        self.array(4)
        need(self.text() == "minutebook/disclosure/1", "content")
        at = self.at
        self.header()
        header_bytes = self.data[at:self.at]
        at = self.at
        fields = self.schema()
        schema_bytes = self.data[at:self.at]
        need(self.count() == len(fields), "count")
        digests, shown, total = [], [], 0
        for place, (_, name) in enumerate(fields):
            if self.peek() >> 5 == 4:
                self.array(2)
                salt = self.octets(16)
                at = self.at
                self.typed(name)
                total += self.at - at
                digests.append(sha256(salt, self.data[at:self.at]))
                shown.append(place)
            else:
                digests.append(self.octets(32))
        self.end()
        need(total <= MIB, "values")
        return sha256(b"\0", preimage(header_bytes, sha256(schema_bytes), commitment(digests))), shown


def reason(what, name, data):
    """Why these bytes are refused; None when they are not."""
    reader = Reader(data)
    try:
        reader.typed(name) if what == "value" else getattr(reader, what)()
        reader.end()
    except Refused as refused:
        return refused.args[0]
    return None


# ---- the vectors ---------------------------------------------------------------------------------------------------------

def short(data):
    """Hex, or digest and length of what is long."""
    return {"cbor": data.hex()} if len(data) <= 2048 else {"cbor_sha256": sha256(data).hex(), "cbor_length": len(data)}


def runs(data):
    """Hex; where one byte comes 100 times or more, a list of pieces: hex, or byte and how often."""
    pieces = []
    for found in re.finditer(rb"(?s)(.)\1{99,}|(?:(?!(.)\2{99,}).)+", data):
        pieces.append([found[1].hex(), len(found[0])] if found[1] else found[0].hex())
    return pieces if len(pieces) > 1 else data.hex()


def f(x):
    return struct.pack(">d", x).hex()


def nested(depth, inner):
    for _ in range(depth):
        inner = {"list": [inner]}
    return inner


def values():
    """(name, type, description) of values that are well-formed."""
    yield from ((f"null as {t}", t, None) for t in ("null", "f64", "text", "event", "timestamp/Europe/Berlin", "tensor/f32"))
    yield from ((f"bool {b}", "bool", b) for b in (False, True))
    for name, (low, high) in INTEGERS.items():
        for n in sorted({low, high, 0, 1, 23, 24, 100} | ({-1, -24, -25} if low else set())):
            yield f"{name} {n}", name, {"int": str(n)}
    for n in (255, 256, 65535, 65536, (1 << 32) - 1, 1 << 32, -256, -257, -65537, -(1 << 32) - 1):
        yield f"i64 {n}", "i64", {"int": str(n)}
    halves = {"0": 0.0, "-0": -0.0, "1": 1.0, "1.5": 1.5, "largest half": 65504.0, "smallest half": 2.0 ** -24,
              "largest subnormal half": 1023 * 2.0 ** -24, "smallest normal half": 2.0 ** -14, "inf": float("inf"),
              "-inf": float("-inf"), "nan": float("nan"), "-2": -2.0}
    singles = {"65505": 65505.0, "65536": 65536.0, "half of the smallest half": 2.0 ** -25, "100000": 100000.0,
               "three halves of the smallest half": 1.5 * 2.0 ** -24, "largest single": 3.4028234663852886e38,
               "smallest single": 2.0 ** -149, "0.1 as single": struct.unpack(">f", struct.pack(">f", 0.1))[0]}
    doubles = {"0.1": 0.1, "1.1": 1.1, "1e300": 1.0e300, "-4.1": -4.1, "smallest": 5e-324, "largest": 1.7976931348623157e308,
               "above the largest single": 3.4028235677973366e38, "below the smallest single": 2.0 ** -150, "pi": 3.141592653589793}
    for types, of in ((("f16", "f32", "f64"), halves), (("f32", "f64"), singles), (("f64",), doubles)):
        yield from ((f"{t} {name}", t, {"float": f(x)}) for t in types for name, x in of.items())
    yield "nan with a payload", "f64", {"float": "7ff8000000000001"}
    yield "signalling nan", "f64", {"float": "fff0000000000001"}
    for exponent, mantissa in ((-2, 27315), (0, 0), ((1 << 31) - 1, -1), (-(1 << 31), (1 << 64) - 1), (-3, -(1 << 63)), (-1, 120)):
        yield f"decimal {mantissa}e{exponent}", "decimal", {"decimal": [exponent, str(mantissa)]}
    for name, s in (("empty", ""), ("ascii", "car"), ("two bytes", "Ümläut"), ("composed", "\u00e9"), ("decomposed", "e\u0301"),
                    ("outside of the basic plane", "𝔘😀"), ("zero and controls", "a\0b\n\x7f"), ("23 bytes", "x" * 23),
                    ("24 bytes", "x" * 24), ("255 bytes", "x" * 255), ("256 bytes", "x" * 256)):
        yield f"text {name}", "text", s
    yield "text of 1 MiB", "text", {"repeat": ["x", MIB - 5]}
    yield "text of many characters", "text", {"repeat": ["é", 100_000]}
    yield "category", "category", "A14"
    yield "bytes empty", "bytes", {"bytes": ""}
    yield "bytes", "bytes", {"bytes": bytes(range(256)).hex()}
    for t in ("timestamp", "timestamp/Europe/Berlin", "timestamp/Etc/GMT+5", "timestamp/America/Port-au-Prince", "datetime"):
        yield t, t, {"timestamp": ["1795253400", 123456789]}
    for name, seconds, nanoseconds in (("first", -(1 << 63), 0), ("last", (1 << 63) - 1, 999_999_999), ("before 1970", -1, 500_000_000)):
        yield f"timestamp {name}", "timestamp", {"timestamp": [str(seconds), nanoseconds]}
        yield f"duration {name}", "duration", {"duration": [str(seconds), nanoseconds]}
    yield from ((f"date {d}", "date", {"date": d}) for d in (0, -1, 20_778, (1 << 31) - 1, -(1 << 31)))
    yield "list empty", "list", {"list": []}
    every = [None, True, {"int": "-7"}, {"float": f(0.5)}, "t", {"bytes": "00ff"}, {"decimal": [1, "2"]}, {"timestamp": ["0", 0]},
             {"date": 1}, {"duration": ["1", 5]}, {"list": []}, {"map": []},
             {"tensor": {"element": "u8", "shape": [2], "data": "0102"}},
             {"blob": {"media_type": "image/png", "length": "70000", "id": "0f" * 16, "digest": "aa" * 32}}]
    yield "list of every value", "list", {"list": every}
    yield "map empty", "map", {"map": []}
    yield "map of every value", "map", {"map": [[f"k{i}", v] for i, v in enumerate(every)]}
    yield "map in the order of encodings", "map", {"map": [[k, {"int": str(i)}] for i, k in enumerate(
        ["aa", "b", "", "z", "ä", "a" * 24, "a" * 23, "B"])]}
    yield "list of 300", "list", {"list": [{"int": str(i)} for i in range(300)]}
    yield "16 lists", "list", nested(15, {"list": []})
    yield "15 lists and a date", "list", nested(15, {"date": 0})
    yield "14 lists and a timestamp", "list", nested(14, {"timestamp": ["0", 0]})
    yield "13 lists and a tensor", "list", nested(13, {"tensor": {"element": "f16", "shape": [], "data": "003c"}})
    yield "16 maps", "map", {"map": [["m", nested(14, {"map": []})]]}
    for name, (_, size) in ELEMENTS.items():
        data = bytes(i % 2 if name == "bool" else 0xf0 + i for i in range(6 * size)) if size == 1 else bytes(range(6 * size))
        yield f"tensor of {name}", f"tensor/{name}", {"tensor": {"element": name, "shape": [2, 3], "data": data.hex()}}
    yield "tensor without dimensions", "tensor/f64", {"tensor": {"element": "f64", "shape": [], "data": "00" * 8}}
    yield "tensor without elements", "tensor/f32", {"tensor": {"element": "f32", "shape": [1 << 40, 0, 1 << 40], "data": ""}}
    yield "tensor of 32 dimensions", "tensor/i8", {"tensor": {"element": "i8", "shape": [1] * 32, "data": "80"}}
    yield "tensor with nan payloads", "tensor/f32", {"tensor": {"element": "f32", "shape": [2], "data": "0100c07fffffffff"}}
    yield "blob", "blob", {"blob": {"media_type": "application/x-numpy", "length": str(1 << 33), "id": "01" * 16, "digest": "02" * 32}}
    yield "event of little", "event", {"event": EVENT | {"clock_error_ns": None, "duration_ns": None, "trace": None, "span": None}}
    yield "event of much", "event", {"event": EVENT | {
        "time_ns": -(1 << 63), "status": "ValueError", "batch": {"call": "0c" * 16, "row": 3, "rows": 4},
        "kept": {"rule": "sample", "rate": f(0.05)}, "links": [record_id(i) for i in range(30)]}}
    yield "event kept at rate 1", "event", {"event": EVENT | {"kept": {"rule": "all", "rate": f(1.0)}}}
    yield "event kept without a rate", "event", {"event": EVENT | {"kept": {"rule": "busy", "rate": None}}}
    yield "model", "model", {"model": MODEL}
    yield "model without artifact", "model", {"model": {"name": "", "version": "", "artifact": None}}
    yield "attributions of the inputs", "attributions", {"attributions": {"features": None, "tensor": floats_tensor([2], [-0.4, 0.1])}}
    yield "attributions of named features", "attributions", {"attributions": {
        "features": ["bias", ["inputs", "a.b"], ["inputs", "a", "b"]], "tensor": floats_tensor([3, 2], [1, 2, 3, 4, 5, 6])}}
    yield "explanation of little", "explanation", {"explanation": META | {
        "parameters": [], "seed": None, "background": None, "space": None, "class": None, "base": None, "residual": None,
        "when": "later", "duration_ns": None}}
    yield "explanation", "explanation", {"explanation": META}
    yield "explanation of two outputs", "explanation", {"explanation": META | {
        "class": {"list": ["a", {"int": "1"}]}, "base": [f(0.5), f(float("nan"))], "residual": [], "seed": str((1 << 64) - 1)}}
    yield from ((f"{t} of null", t, None) for t in ("dropped", "hashed/0123abcd", "truncated/3/text", "bucketed/width/10"))
    yield "hashed", f"hashed/{key_id(KEY)}", {"bytes": keyed_hash(KEY, "DE89370400440532013000")}
    for t, cut in (("text", "DE8"), ("text", ""), ("text", "𝔘e\u0301"), ("category", "A14"), ("bytes", {"bytes": "00ff01"})):
        yield f"truncated {t} {cut}", f"truncated/3/{t}", cut
    yield "truncated to the longest length", "truncated/65535/text", {"repeat": ["é", 65535]}
    for unit, seconds in (("second", 1795253459), ("minute", 1795253400), ("hour", 1795251600), ("day", 1795219200),
                          ("month", 1793491200), ("year", 1767225600)):
        for t in ("timestamp", "timestamp/Europe/Berlin", "datetime"):
            yield f"truncated to the {unit} {t}", f"truncated/{unit}/{t}", {"timestamp": [str(seconds), 0]}
    for unit, days in (("day", 20_778), ("month", 20_758), ("year", 20_454), ("year", first_day(-800_000, "year")),
                       ("month", first_day(11_016, "month")), ("month", -25_508), ("month", first_day((1 << 31) - 1, "month")),
                       ("year", first_day(-(1 << 31) + 400, "year"))):
        yield f"truncated to the {unit} date {days}", f"truncated/{unit}/date", {"date": days}
    for t, each in (("width/10", (40.0, 0.0, -10.0, math.inf, math.nan)), ("width/0.1", (0.3, 0.30000000000000004, -0.1, 12345.6)),
                    ("width/2.5", (2.5, 5.0)), ("width/1000000", (float(1 << 49) // 1e6 * 1e6,)), ("edges/18", (18.0, -math.inf)),
                    ("edges/-0.5,0,65", (-0.5, 0.0, 65.0, math.nan))):
        for x in each:
            if lower_end(x, t) == x or x != x:
                yield f"bucketed {t} {x}", f"bucketed/{t}", {"float": f(x)}
    yield "subject", "subject", {"subject": ["applicant-7"]}
    yield "64 subjects", "subject", {"subject": [str(i) for i in range(63)] + ["ü" * 256]}


def floats_tensor(shape, numbers):
    return {"element": "f64", "shape": shape, "data": struct.pack(f"<{len(numbers)}d", *numbers).hex()}


def redactions():
    """(type, value): what is left of it."""
    texts = ("DE89370400440532013000", "DE", "", "𝔘😀e\u0301x")
    yield from ((f"truncated/3/{t}", s) for t in ("text", "category") for s in texts)
    yield "truncated/3/bytes", {"bytes": "0102030405"}
    for unit in UNITS:
        for seconds, nanoseconds in ((1795253459, 123456789), (-1, 500_000_000), (951_827_696, 0), (-62_135_596_801, 0), (4_107_542_399, 9)):
            yield f"truncated/{unit}/timestamp", {"timestamp": [str(seconds), nanoseconds]}
    yield from ((f"truncated/{unit}/date", {"date": days}) for unit in UNITS[3:] for days in (20_778, 11_016, -25_509, 0, -1, (1 << 31) - 1))
    numbers = (0.0, -0.0, 0.1, 0.3, 0.1 * 3, 0.7, 2.5, 9.999999999999998, 10.0, 41.7, -0.05, -10.0, -10.5, 1234567.891, math.nan)
    for buckets in ("width/10", "width/0.1", "width/2.5", "width/0.001", "edges/18", "edges/-0.5,0,65"):
        yield from ((f"bucketed/{buckets}", {"float": f(x)}) for x in (*numbers, math.inf, -math.inf))
        yield from ((f"bucketed/{buckets}", {"int": str(n)}) for n in (18, 65, -3, 1 << 40))
    yield from (("bucketed/width/0.1", {"decimal": pair}) for pair in ([-2, "35"], [0, "-7"], [3, "12"]))
    yield from ((f"hashed/{key_id(KEY)}", v) for v in ("DE89370400440532013000", "", True, {"int": "-7"}, {"float": f(0.5)}, {"date": 1}))


def redacted(t, v):
    """What the redaction leaves of a value."""
    first, _, rest = t.partition("/")
    if first == "hashed":
        return octets(bytes.fromhex(keyed_hash(KEY, v)))
    if first == "bucketed":
        (kind, content), = v.items()
        x = struct.unpack(">d", bytes.fromhex(content))[0] if kind == "float" else float(
            decimal.Decimal(content) if kind == "int" else decimal.Decimal(content[1]).scaleb(content[0]))
        return float_(struct.pack(">d", lower_end(x, rest)))
    kept = rest.partition("/")[0]
    if kept not in UNITS:
        return text(v[:int(kept)]) if isinstance(v, str) else octets(bytes.fromhex(v["bytes"])[:int(kept)])
    (kind, content), = v.items()
    days, of_day = (content, 0) if kind == "date" else divmod(int(content[0]), 86400)
    days = first_day(days, kept) if kept in ("month", "year") else days
    of_day = of_day - of_day % {"second": 1, "minute": 60, "hour": 3600}.get(kept, 86400)
    return value({"date": days} if kind == "date" else {"timestamp": [str(days * 86400 + of_day), 0]})


def record_id(n):
    return (0x0193_4f00_0000 + n).to_bytes(6, "big").hex() + "7" + f"{n:03x}" + "8" + "0" * 12 + f"{n:03x}"


EVENT = {"time_ns": 1795253400123456789, "clock_error_ns": 5000, "duration_ns": 81000, "status": "ok",
         "trace": "4bf92f3577b34da6a3ce929d0e0e4736", "span": "00f067aa0ba902b7", "batch": None, "kept": None, "links": []}
MODEL = {"name": "credit-risk", "version": "1.4.0", "artifact": "9f" * 32}
KEY = bytes(range(32))
META = {"method": "coefficients", "library": "scikit-learn 1.7.2", "parameters": [["feature_perturbation", "interventional"]], "seed": "7",
        "background": "bb" * 32, "space": "log-odds", "class": True, "base": f(0.12), "residual": f(0.0), "when": "inline", "duration_ns": 900}


def records():
    """(name, kind, [(path, type, value)]); header and seed follow from the name."""
    decision = [
        (["inputs", "duration_months"], "i64", {"int": "24"}), (["inputs", "purpose"], "category", "car"),
        (["inputs", "amount"], "f64", {"float": f(4870.0)}), (["outputs", "approve"], "bool", False),
        (["outputs", "probability"], "f32", {"float": f(0.3125)}), (["event"], "event", {"event": EVENT}),
        (["model"], "model", {"model": MODEL}), (["params"], "map", {"map": [["threshold", {"float": f(0.5)}]]}),
        (["explanation", "attributions"], "attributions",
         {"attributions": {"features": None, "tensor": floats_tensor([3], [-0.4, 0.1, -0.2])}}),
        (["explanation", "meta"], "explanation", {"explanation": META}),
        (["counterfactual", "amount"], "f64", {"float": f(4100.0)}), (["subject"], "subject", {"subject": ["applicant-7"]}),
        (["actor"], "text", "branch-12")]
    yield "a decision", "decision", decision
    yield "another order is another schema", "decision", decision[::-1]
    for kind in KINDS:
        yield f"kind {kind}", kind, [(["event"], "event", {"event": EVENT | {"links": [record_id(1)]}}), ([kind, "says"], "text", kind)] \
            if kind not in ("model", "explanation") else [(["event"], "event", {"event": EVENT}), ([kind, "x"], "null", None)]
    yield "no field", "note", []
    yield "prefix paths", "note", [(p, "text", "/".join(p)) for p in (
        ["a"], ["a", "b"], ["a.b"], ["a", "b", "c"], ["a", ""], ["a", "", ""], ["ab"], ["A"], ["a/b"], ["é"], ["e\u0301"], ["inputs"])]
    yield "longest paths", "note", [([str(i)] + ["ü" * 128] * 7, "null", None) for i in range(3)]
    yield "200 fields", "decision", [(["inputs", f"f{i}"], "f64", {"float": f(i / 7)}) for i in range(200)]
    for count in (63, 64, 65):
        yield f"{count} fields", "decision", [(["inputs", f"f{i}"], "u16", {"int": str(i)}) for i in range(count)]
    yield "every value", "decision", [(["inputs", name], t, v) for name, t, v in values()
                                      if t not in SYSTEM.values() and not name.startswith("text of")
                                      and t != "dropped" and not is_redacted_type(t)]
    yield "all null", "decision", [(["inputs", "a"], "f64", None), (["event"], "event", None), (["subject"], "subject", None)]
    yield "a later explanation", "explanation", [decision[5], decision[8], decision[9]]
    reason = {"map": [["code", "A7"], ["text", "amount too high"], ["features", {"list": ["amount"]}], ["attribution", {"float": f(-0.4)}]]}
    yield "a decision with reasons", "decision", [
        *decision, (["explanation", "reasons"], "list", {"list": [reason]}),
        (["explanation", "counterfactuals"], "list", {"list": [{"map": [["amount", {"float": f(4100.0)}]]}]})]

    yield "a decision redacted at the source", "decision", [
        (["inputs", "name"], "dropped", None), (["inputs", "iban"], f"hashed/{key_id(KEY)}", {"bytes": keyed_hash(KEY, "DE89370400440532013000")}),
        (["inputs", "postcode"], "truncated/3/text", "101"), (["inputs", "born"], "truncated/year/date", {"date": 7305}),
        (["inputs", "age"], "bucketed/edges/18,30,65", {"float": f(30.0)}), (["inputs", "income"], "bucketed/width/1000", None),
        (["outputs", "approve"], "bool", False), (["tags"], "map", {"map": [["channel", "web"]]}), (["tags", "customer"], "dropped", None),
        (["explanation", "attributions"], "dropped", None), (["explanation", "meta"], "explanation", {"explanation": META}),
        (["explanation", "reasons"], "dropped", None)]


def disclosures():
    """(name, record, mask). Below what is masked all is."""
    yield "all shown", "a decision", []
    yield "an input masked", "a decision", [["inputs", "purpose"]]
    yield "an output masked", "a decision", [["outputs", "probability"]]
    yield "all inputs masked", "a decision", [["inputs"]]
    yield "subject and actor masked", "a decision", [["subject"], ["actor"]]
    yield "a path that is not there", "a decision", [["inputs", "income"], ["nowhere"]]
    yield "all masked", "a decision", [[p] for p in "inputs outputs event model params explanation counterfactual subject actor".split()]
    yield "below a prefix", "prefix paths", [["a", "b"]]
    yield "a dotted name is one text", "prefix paths", [["a.b"]]
    yield "a later explanation of a masked input", "a later explanation", [["inputs", "purpose"]]
    yield "an input masked that reasons betray", "a decision with reasons", [["inputs", "purpose"]]
    yield "the reasons alone masked", "a decision with reasons", [["explanation", "reasons"]]
    yield "no field", "no field", [["inputs"]]


def masked_places(fields, mask):
    paths = [tuple(p) for p, _ in fields]
    hidden = {i for i, p in enumerate(paths) if any(p[:len(m)] == tuple(m) for m in mask)}
    inputs = [i for i, p in enumerate(paths) if p[0] == "inputs"]
    if hidden.intersection(inputs) or not inputs and any(m[0] == "inputs" for m in mask):
        hidden |= {i for i, p in enumerate(paths) if p[0] == "counterfactual" or p[0] == "explanation" and p != ("explanation", "meta")}
    return hidden


def header_of(name, kind, place):
    return {"id": record_id(place), "kind": kind, "producer": sha256(b"producer", name.encode())[:16].hex(),
            "epoch": str([1, 23, 24, (1 << 63) - 1][place % 4]), "seq": str([1, 255, 256, 1 << 40, (1 << 63) - 1][place % 5]),
            "class": ["standard", "a", "high-risk-10y", "a" + "-" * 31][place % 4]}


def refused():
    """(name, what, type or None, bytes) of what every reader refuses."""
    raw = bytes.fromhex
    h = header(header_of("refused", "decision", 0))
    one = schema([(["a"], "u8")])

    def value_(name, t, data):
        return name, "value", t, data if isinstance(data, bytes) else raw(data)

    yield value_("nothing", "f64", "")
    yield value_("integer as float", "f64", "01")
    yield value_("float as integer", "i64", "f93c00")
    yield value_("cut head", "u64", "1b00000001")
    yield value_("cut text", "text", "6361")
    yield value_("trailing byte", "u8", "0000")
    yield value_("a text that was left out", "dropped", "6161")
    yield value_("a hash of 31 bytes", "hashed/0123abcd", "581f" + "00" * 31)
    yield value_("a text instead of a hash", "hashed/0123abcd", "6161")
    yield value_("4 characters of 3", "truncated/3/text", text("a\u0301bc"))
    yield value_("4 bytes of 3", "truncated/3/bytes", "4400000000")
    yield value_("bytes for text", "truncated/3/text", "4161")
    for unit, at in (("second", ["0", 1]), ("minute", ["1", 0]), ("hour", ["60", 0]), ("day", ["3600", 0]), ("month", ["86400", 0]),
                     ("year", ["2678400", 0])):
        yield value_(f"no beginning of a {unit}", f"truncated/{unit}/timestamp", value({"timestamp": at}))
    yield value_("the 29th of February", "truncated/month/date", value({"date": 11_016}))
    yield value_("a year's month", "truncated/year/date", value({"date": 31}))
    for t, x in (("width/10", 41.0), ("width/10", -0.0), ("width/0.1", 0.1 * 3), ("width/0.1", 1e300), ("edges/18,65", 20.0), ("edges/0", -0.0),
                 ("edges/18", math.inf)):
        yield value_(f"{x} by {t}", f"bucketed/{t}", value({"float": f(x)}))
    yield value_("an integer by width", "bucketed/width/10", "1828")
    yield value_("trailing null", "text", "60f6")
    for data in ("1817", "190018", "1a0000ffff", "1b00000000ffffffff"):
        yield value_(f"integer {data}", "u64", data)
    yield value_("length not shortest", "text", "780161")
    yield value_("tag not shortest", "date", "d9006400")
    yield value_("array head not shortest", "list", "9800")
    yield value_("double that is a half", "f64", "fb3ff8000000000000")
    yield value_("double that is a single", "f64", "fb3fb99999a0000000")
    yield value_("single that is a half", "f32", "fa3fc00000")
    yield value_("single subnormal half", "f32", "fa33800000")
    yield value_("double nan", "f64", "fb7ff8000000000000")
    yield value_("single nan", "f64", "fa7fc00000")
    yield value_("half nan with a payload", "f64", "f97e01")
    yield value_("negative nan", "f64", "f9fe00")
    yield value_("double infinity", "f64", "fb7ff0000000000000")
    yield value_("double negative zero", "f64", "fb8000000000000000")
    yield value_("single in f16", "f16", "fa477fe100")
    yield value_("double in f32", "f32", "fb3fb999999999999a")
    yield value_("double in f16", "f16", "fb3fb999999999999a")
    for t, (low, high) in INTEGERS.items():
        if t not in ("u64",):
            yield value_(f"{t} too large", t, integer(high + 1))
        if t != "i64":
            yield value_(f"{t} too small", t, integer(low - 1))
    yield value_("integer below -2^63", "i64", "3b8000000000000000")
    yield value_("integer of -2^64", "list", "813bffffffffffffffff")
    yield value_("positive bignum", "u64", "c249010000000000000000")
    yield value_("bignum in a list", "list", "81c240")
    yield value_("negative bignum", "list", "81c340")
    for data, t in (("5f4161ff", "bytes"), ("7f6161ff", "text"), ("9fff", "list"), ("bfff", "map"), ("81ff", "list")):
        yield value_(f"indefinite {data}", t, data)
    for info in (28, 29, 30):
        yield value_(f"reserved {info}", "list", bytes([0x81, info]))
        yield value_(f"reserved simple {info}", "list", bytes([0x81, 0xe0 | info]))
    for data in ("81f7", "81f0", "81f820", "81e0", "81f8ff"):
        yield value_(f"simple {data}", "list", data)
    for name, data in (("byte alone", "61ff"), ("overlong", "62c080"), ("surrogate", "63eda080"), ("cut", "61c3"), ("beyond", "64f4908080")):
        yield value_(f"utf-8 {name}", "text", data)
        yield value_(f"utf-8 {name} in a key", "map", raw("a1") + raw(data) + NULL)
    yield value_("keys not in order", "map", "a2616201616102")
    yield value_("longer key first", "map", "a262616101616202")
    yield value_("key twice", "map", "a2616101616102")
    yield value_("key twice in a list", "list", "81a2600060f6")
    yield value_("key that is no text", "map", "a10101")
    yield value_("map without its last value", "map", "a16161")
    yield value_("list of more than there is", "list", "9b7fffffffffffffff")
    yield value_("map of more than there is", "map", "bb7fffffffffffffff00")
    yield value_("17 lists", "list", b"\x81" * 16 + b"\x80")
    yield value_("17 maps", "map", b"\xa1\x60" * 16 + b"\xa0")
    yield value_("100,000 lists", "list", b"\x81" * 100_000 + b"\x80")
    yield value_("16 lists and a date", "list", b"\x81" * 16 + raw("d86400"))
    yield value_("15 lists and a timestamp", "list", b"\x81" * 15 + value({"timestamp": ["0", 0]}))
    yield value_("14 lists and a tensor", "list", b"\x81" * 14 + value({"tensor": {"element": "u8", "shape": [], "data": "00"}}))
    yield value_("unknown tag", "list", "81d9d9f700")
    yield value_("date as text", "list", "81c06a323032362d31312d3231")
    yield value_("another tag", "date", "c100")
    yield value_("typed array alone", "list", "81d84041ff")
    yield value_("null where a value must be", "decimal", "c482f600")
    yield value_("exponent of a decimal", "decimal", tag(4, array(integer(1 << 31), integer(0))))
    yield value_("decimal of three", "decimal", "c483000000")
    yield value_("mantissa that is a bignum", "decimal", "c48200c24101")
    yield value_("date out of range", "date", tag(100, integer(-(1 << 31) - 1)))
    yield value_("seconds beyond 2^63", "timestamp", tag(1001, mapping([(integer(1), integer(1 << 63)), (integer(-9), integer(0))])))
    yield value_("a whole second of nanoseconds", "datetime", tag(1001, mapping([(integer(1), integer(0)), (integer(-9), integer(10 ** 9))])))
    yield value_("negative nanoseconds", "duration", tag(1002, mapping([(integer(1), integer(0)), (integer(-9), integer(-1))])))
    yield value_("timestamp without nanoseconds", "timestamp", tag(1001, mapping([(integer(1), integer(0))])))
    yield value_("timestamp with the nanoseconds first", "timestamp", "d903e9a228000100")
    yield value_("timestamp with other keys", "timestamp", "d903e9a201002700")
    yield value_("duration as timestamp", "timestamp", value({"duration": ["0", 0]}))
    yield value_("text as number", "u8", "6137")
    yield value_("bytes as text", "text", "4161")
    yield value_("list as map", "map", "80")
    yield value_("anything but null", "null", "00")
    yield value_("true as 1", "bool", "01")
    t = {"element": "f32", "shape": [2], "data": "00" * 8}
    yield value_("tensor of other elements", "tensor/f64", tensor(t))
    yield value_("tensor of other elements, same size", "tensor/i32", tensor(t))
    yield value_("tensor longer than its dimensions", "tensor/f32", tensor(t | {"shape": [1]}))
    yield value_("tensor shorter than its dimensions", "tensor/f32", tensor(t | {"shape": [3]}))
    yield value_("tensor whose dimensions overflow", "tensor/f32", tensor(t | {"shape": [1 << 63, 4], "data": ""}))
    yield value_("tensor of 33 dimensions", "tensor/f32", tensor(t | {"shape": [1] * 33, "data": "00" * 4}))
    yield value_("tensor of big-endian numbers", "tensor/f32", "d828828101d85144" + "00" * 4)
    yield value_("truth value 2", "tensor/bool", tensor({"element": "bool", "shape": [2], "data": "0102"}))
    yield value_("negative dimension", "tensor/u8", "d828828120d84040")
    yield value_("other object", "blob", tag(27, array(text("other/blob"), text(""), integer(0), octets(bytes(16)), octets(bytes(32)))))
    yield value_("blob with a short id", "blob", tag(27, array(text("minutebook/blob"), text(""), integer(0), octets(bytes(15)), octets(bytes(32)))))
    yield value_("blob of four parts", "blob", tag(27, array(text("minutebook/blob"), text(""), integer(0), octets(bytes(16)))))
    yield value_("value over 1 MiB", "text", text("x" * (MIB - 4)))
    e = EVENT
    for name, change in {"clock error negative": {"clock_error_ns": -1}, "time beyond 2^63": {"time_ns": 1 << 63}, "trace": {"trace": "00" * 15},
                         "span": {"span": "00" * 16}, "row": {"batch": {"call": "00" * 16, "row": 4, "rows": 4}},
                         "rate 0": {"kept": {"rule": "", "rate": f(0.0)}}, "rate above 1": {"kept": {"rule": "", "rate": f(1.5)}},
                         "rate nan": {"kept": {"rule": "", "rate": f(float("nan"))}}, "link": {"links": ["00" * 16]},
                         "1,025 links": {"links": [record_id(i) for i in range(1025)]}}.items():
        yield value_(f"event: {name}", "event", event(e | change))
    without_rate = event(e | {"kept": {"rule": "r", "rate": None}})
    yield value_("event: kept by a rule alone", "event", without_rate.replace(array(text("r"), NULL), array(text("r"))))
    yield value_("event of eight parts", "event", b"\x88" + event(e)[1:-1])
    yield value_("model: artifact", "model", value({"model": MODEL | {"artifact": "00" * 20}}))
    a = {"features": ["a"], "tensor": floats_tensor([1], [1])}
    yield value_("attributions: too few features", "attributions", value({"attributions": a | {"features": []}}))
    yield value_("attributions: no dimension", "attributions", value({"attributions": a | {"tensor": floats_tensor([], [1])}}))
    yield value_("attributions: three dimensions", "attributions", value({"attributions": a | {"tensor": floats_tensor([1, 1, 1], [1])}}))
    yield value_("attributions: an empty path", "attributions", value({"attributions": a | {"features": [[]]}}))
    for name, change in {"space": {"space": "logits"}, "when": {"when": "never"}, "background": {"background": "00"},
                         "duration": {"duration_ns": -1}}.items():
        yield value_(f"explanation: {name}", "explanation", explanation(META | change))
    yield value_("explanation: nested too deep", "explanation", explanation(META | {"class": nested(15, {"list": []})}))
    yield value_("explanation: base that is an integer", "explanation", explanation(META).replace(float_(raw(f(0.12))), b"\x01"))
    yield value_("no subject", "subject", "80")
    yield value_("65 subjects", "subject", array(*[text("x")] * 65))
    yield value_("a subject of 513 bytes", "subject", array(text("x" * 513)))

    def schema_(name, data):
        return name, "schema", None, data

    yield schema_("a path twice", schema([(["a"], "u8"), (["b"], "u8"), (["a"], "u8")]))
    yield schema_("a path twice, with two types", schema([(["a", "b"], "u8"), (["a", "b"], "text")]))
    for name, p in (("no text", []), ("nine texts", ["a"] * 9), ("first text empty", [""]), ("257 bytes", ["x" * 257])):
        yield schema_(f"path: {name}", schema([(p, "u8")]))
    for t in ("", "U8", "u8 ", "i128", "timestamp/", "timestamp/a//b", "timestamp/ü", "timestamp/" + "a" * 65, "tensor", "tensor/", "tensor/text",
              "tensor/f64/2", "float", "decimal/2", "bool\0"):
        yield schema_(f"type `{t}`", schema([(["a"], t)]))
    for t in ("hashed", "hashed/", "hashed/0123ABCD", "hashed/0123abc", "hashed/0123abcd0", "dropped/text", "truncated", "truncated/3",
              "truncated/0/text", "truncated/03/text", "truncated/+3/text", "truncated/65536/text", "truncated/3/f64", "truncated/3/date",
              "truncated/hour/date", "truncated/day/text", "truncated/week/date", "truncated/day/timestamp/", "truncated/1/truncated/1/text",
              "truncated/3/text/x", "bucketed", "bucketed/10", "bucketed/width", "bucketed/width/0", "bucketed/width/-1", "bucketed/width/1.0",
              "bucketed/width/1e3",
              "bucketed/width/NaN", "bucketed/width/inf", "bucketed/width/01", "bucketed/width/1,2", "bucketed/width/0.10000000000000001",
              "bucketed/edges/", "bucketed/edges/1,", "bucketed/edges/1,1", "bucketed/edges/2,1", "bucketed/edges/-0", "bucketed/edges/1, 2",
              "bucketed/width/1" + "0" * 24, "bucketed/edges/" + ",".join(map(str, range(65)))):
        yield schema_(f"type `{t}`", schema([(["a"], t)]))
    yield schema_("params left out", schema([(["params"], "dropped")]))
    yield schema_("subject left out", schema([(["subject"], "dropped")]))
    yield schema_("attributions hashed", schema([(["explanation", "attributions"], "hashed/0123abcd")]))
    yield schema_("event of another type", schema([(["event"], "map")]))
    yield schema_("subject as text", schema([(["subject"], "text")]))
    yield schema_("params as list", schema([(["params"], "list")]))
    yield schema_("the type of a subject elsewhere", schema([(["inputs", "who"], "subject")]))
    yield schema_("the type of an event below the event", schema([(["event", "x"], "event")]))
    yield schema_("path as text", array(array(text("a"), text("u8"))))
    yield schema_("field of three", array(array(path(["a"]), text("u8"), NULL)))
    yield schema_("field of one", array(array(path(["a"]))))
    yield schema_("schema as map", mapping([(text("a"), text("u8"))]))
    yield schema_("schema with a trailing byte", one + b"\0")
    yield schema_("schema cut", one[:-1])
    yield schema_("schema not shortest", b"\x98\x01" + one[1:])

    def header_(name, data):
        return name, "header", None, data

    entries = [(integer(0), integer(1)), (integer(1), unhex(record_id(0))), (integer(2), integer(1)), (integer(3), octets(bytes(16))),
               (integer(4), integer(1)), (integer(5), integer(1)), (integer(6), text("standard"))]
    for missing in range(7):
        yield header_(f"entry {missing} missing", mapping(entries[:missing] + entries[missing + 1:]))
    yield header_("entry 7 unknown", mapping(entries + [(integer(7), NULL)]))
    yield header_("entry -1 unknown", mapping(entries + [(integer(-1), NULL)]))
    yield header_("entry twice", b"\xa8" + b"".join(k + v for k, v in [entries[0]] + entries))
    yield header_("entries not in order", b"\xa7" + b"".join(k + v for k, v in entries[::-1]))
    for name, key, data in (("version 2", 0, integer(2)), ("version 0", 0, integer(0)), ("kind 0", 2, integer(0)), ("kind 19", 2, integer(19)),
                            ("id of 15 bytes", 1, octets(bytes(15))), ("id of version 4", 1, unhex(record_id(0)[:12] + "4" + record_id(0)[13:])),
                            ("id of another variant", 1, unhex(record_id(0)[:16] + "c" + record_id(0)[17:])),
                            ("producer of 17 bytes", 3, octets(bytes(17))), ("epoch 0", 4, integer(0)), ("epoch 2^63", 4, integer(1 << 63)),
                            ("seq 0", 5, integer(0)), ("seq negative", 5, integer(-1)), ("seq 2^63", 5, integer(1 << 63)),
                            ("class empty", 6, text("")),
                            ("class upper case", 6, text("Standard")), ("class begins with a digit", 6, text("1a")),
                            ("class of 33 bytes", 6, text("a" * 33)), ("class with a newline", 6, text("a\n")),
                            ("kind as text", 2, text("decision"))):
        yield header_(name, mapping([(k, data if k == integer(key) else v) for k, v in entries]))
    yield header_("header with a trailing byte", h + b"\0")
    yield header_("header as array", array(integer(1)))

    p = preimage(h, bytes(32), bytes(32))
    yield "preimage with a trailing byte", "preimage", None, p + b"\0"
    yield "preimage of another format", "preimage", None, p.replace(b"record/1", b"record/2")
    yield "preimage with a digest of 31 bytes", "preimage", None, array(text("minutebook/record/1"), h, octets(bytes(31)), octets(bytes(32)))
    yield "preimage of three parts", "preimage", None, array(text("minutebook/record/1"), h, octets(bytes(32)))

    def disclosure_(name, fields, made=one, top=lambda *parts: array(*parts), name_of="minutebook/disclosure/1"):
        return name, "disclosure", None, top(text(name_of), h, made, array(*fields))

    shown = array(octets(bytes(16)), integer(7))
    yield disclosure_("disclosure of too few fields", [])
    yield disclosure_("disclosure of too many fields", [shown, shown])
    yield disclosure_("value that does not fit", [array(octets(bytes(16)), integer(256))])
    yield disclosure_("salt of 15 bytes", [array(octets(bytes(15)), integer(7))])
    yield disclosure_("digest of 31 bytes", [octets(bytes(31))])
    yield disclosure_("field without a value", [array(octets(bytes(16)))])
    yield disclosure_("field of three parts", [array(octets(bytes(16)), integer(7), integer(7))])
    yield disclosure_("field that is null", [NULL])
    yield disclosure_("disclosure of another format", [shown], name_of="minutebook/disclosure/2")
    yield disclosure_("disclosure with a trailing byte", [shown], top=lambda *parts: array(*parts) + b"\0")
    yield disclosure_("disclosure of a schema with a path twice", [shown, shown], schema([(["a"], "u8"), (["a"], "u8")]))
    yield disclosure_("values over 1 MiB together", [array(octets(bytes(16)), text("x" * 600_000))] * 2, schema([(["a"], "text"), (["b"], "text")]))


def build():
    made_values, made_records, made_disclosures, made_refused, kept = [], [], [], [], {}
    for name, t, v in values():
        data = value(v)
        assert reason("value", t, data) is None, (name, reason("value", t, data))
        made_values.append({"name": name, "type": t, "value": v, **short(data)})
    for place, (name, kind, fields) in enumerate(records()):
        h, seed = header_of(name, kind, place), sha256(b"seed", name.encode())
        pairs_ = [(p, t) for p, t, _ in fields]
        header_bytes, schema_bytes, encoded = header(h), schema(pairs_), [value(v) for _, _, v in fields]
        for what, data in (("header", header_bytes), ("schema", schema_bytes)):
            assert reason(what, None, data) is None, (name, reason(what, None, data))
        salts_ = salts(seed, len(fields))
        digests = [sha256(s, v) for s, v in zip(salts_, encoded)]
        committed = commitment(digests)
        whole = preimage(header_bytes, sha256(schema_bytes), committed)
        assert reason("preimage", None, whole) is None
        kept[name] = (header_bytes, schema_bytes, pairs_, encoded, salts_, digests, sha256(b"\0", whole))
        many = len(fields) > 20
        made_records.append({
            "name": name, "header": h, "header_cbor": header_bytes.hex(), "seed": seed.hex(),
            "fields": [[p, t, v.hex()] for (p, t), v in zip(pairs_, encoded)],
            "schema_digest": sha256(schema_bytes).hex(), **({} if many else {"schema_cbor": schema_bytes.hex()}),
            "salts": [s.hex() for s in (salts_[-1:] if many else salts_)], "digests": [d.hex() for d in (digests[-1:] if many else digests)],
            "commitment": committed.hex(), "preimage": whole.hex(), "leaf": sha256(b"\0", whole).hex()})
    for name, record, mask in disclosures():
        header_bytes, schema_bytes, pairs_, encoded, salts_, digests, leaf = kept[record]
        hidden = masked_places(pairs_, mask)
        fields = [octets(digests[i]) if i in hidden else array(octets(salts_[i]), encoded[i]) for i in range(len(encoded))]
        data = array(text("minutebook/disclosure/1"), header_bytes, schema_bytes, array(*fields))
        found, shown = Reader(data).disclosure()
        assert found == leaf and shown == [i for i in range(len(encoded)) if i not in hidden]
        made_disclosures.append({"name": name, "record": record, "mask": mask, "shown": shown, "leaf": leaf.hex(), "cbor": data.hex()})
    # Nobody makes this one, and everybody can check it: it shows what betrays the masked input.
    header_bytes, schema_bytes, pairs_, encoded, salts_, digests, leaf = kept["a decision"]
    fields = [octets(digests[i]) if i == 1 else array(octets(salts_[i]), encoded[i]) for i in range(len(encoded))]
    data = array(text("minutebook/disclosure/1"), header_bytes, schema_bytes, array(*fields))
    found, shown = Reader(data).disclosure()
    assert found == leaf
    made_disclosures.append({"name": "an input masked, the attributions shown", "record": "a decision", "mask": None, "shown": shown,
                             "betrays": ["explanation", "attributions"], "leaf": leaf.hex(), "cbor": data.hex()})
    for name, what, t, data in refused():
        why = reason(what, t, data)
        assert why, f"not refused: {name}"
        made_refused.append({"name": name, "what": what, **({"type": t} if t else {}), "reason": why, "cbor": runs(data)})
    made_redactions = []
    for t, v in redactions():
        left = redacted(t, v)
        assert reason("value", t, left) is None, f"{t} of {v}"
        key = {"key": KEY.hex()} if t.startswith("hashed/") else {}
        made_redactions.append({"type": t, **key, "value": v, "redacted": left.hex()})
    return {"format": "minutebook/record/1", "redactions": made_redactions, "values": made_values, "records": made_records,
            "disclosures": made_disclosures, "refused": made_refused}


def main():
    made = build()
    lines = ",\n".join(f' "{key}": {json.dumps(part, ensure_ascii=False)}' if isinstance(part, str) else
                       f' "{key}": [\n' + ",\n".join("  " + json.dumps(item, ensure_ascii=False) for item in part) + "\n ]"
                       for key, part in made.items())
    written = "{\n" + lines + "\n}\n"
    if sys.argv[1:] == ["--write"]:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(written, encoding="utf-8")
    elif sys.argv[1:]:
        sys.exit("usage: check_record_vectors.py [--write]")
    elif FILE.read_text(encoding="utf-8") != written:
        known = json.loads(FILE.read_text(encoding="utf-8"))
        for part in made.keys() | known.keys():
            ours, theirs = made.get(part, []), known.get(part, [])
            if ours != theirs:
                names = [str(a.get("name")) for a, b in zip(ours, theirs) if a != b] if isinstance(ours, list) else []
                print(f"{FILE.name}: `{part}` differs: {', '.join(names[:5]) or 'another number of entries'}", file=sys.stderr)
        sys.exit(f"{FILE}: not what docs/formats/record.md gives")
    print(f"{FILE.name}: " + ", ".join(f"{len(part)} {key}" for key, part in made.items() if isinstance(part, list)))


if __name__ == "__main__":
    main()
