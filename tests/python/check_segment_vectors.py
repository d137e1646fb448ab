"""Checks docs/formats/vectors/{segment,keys}.json against segment.md, keys.md and record.md, independently of the Rust code.

Opens the segment from its bytes with the keys beside it, and computes every leaf and the root again. Needs `cryptography` and `zstandard`.
"""

import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = Path(__file__).resolve().parents[2] / "docs/formats/vectors"


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def derive(key: bytes, label: str, context: bytes) -> bytes:
    return hmac.digest(key, b"minutebook/" + label.encode() + b"/1\0" + context + b"\1", "sha256")


def head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise ValueError(argument)


def cbor(value) -> bytes:
    """The few kinds of CBOR that are needed here; map keys are given in their order."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list():
            return head(4, len(value)) + b"".join(map(cbor, value))
        case dict():
            return head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())
    raise TypeError(type(value))


def read(data: bytes, at: int):
    """One CBOR item as (value, where it ends). Floats and tags are given as their bytes."""
    start, major, low = at, data[at] >> 5, data[at] & 31
    at += 1
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(low, 0)
    argument = int.from_bytes(data[at : at + size], "big") if size else low
    at += size
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        content = data[at : at + argument]
        return (content if major == 2 else content.decode()), at + argument
    if major == 4:
        items = []
        for _ in range(argument):
            item, at = read(data, at)
            items.append(item)
        return items, at
    if major == 5:
        pairs = {}
        for _ in range(argument):
            key, at = read(data, at)
            pairs[key], at = read(data, at)
        return pairs, at
    if major == 6:
        _, at = read(data, at)
        return data[start:at], at
    return ({20: False, 21: True, 22: None}[low] if low in (20, 21, 22) else data[start:at]), at


def uleb(data: bytes, at: int):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def sleb(data: bytes, at: int):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (value - (1 << shift) if byte & 64 else value), at


def open_section(key: bytes, number: int, associated: bytes, sealed: bytes) -> bytes:
    clear = AESGCM(key).decrypt(number.to_bytes(12, "big"), sealed, associated)
    form, length, content_length = struct.unpack_from("<BII", clear)
    assert len(clear) % 256 == 0 and not any(clear[9 + length :])
    data = clear[9 : 9 + length]
    content = zstandard.decompress(data) if form == 1 else data
    assert len(content) == content_length
    return content


def salts(seed: bytes, count: int) -> bytes:
    stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    return stream.update(bytes(16 * count))


def root(leaves: list[bytes]) -> bytes:
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1", root(leaves[:split]), root(leaves[split:]))


def subject_key(keys: list[bytes]) -> bytes:
    return keys[0] if len(keys) == 1 else sha256(b"minutebook/subjects/1\0", *keys)


def check_segment(v: dict) -> None:
    get = lambda name: bytes.fromhex(v[name])
    obj, segment = get("object"), get("segment")
    assert obj[:8] == b"mbsegm1\n" and obj[-8:] == b"mbsegend"
    assert obj[8:24] == segment and obj[24:40] == bytes.fromhex(v["class_epoch"]["id"])
    footer_length = int.from_bytes(obj[-12:-8], "little")
    (records, head_length, blocks, audit_length), _ = read(obj, len(obj) - 12 - footer_length)
    lengths = [head_length, *(length for _, length in blocks), audit_length]
    assert 40 + sum(lengths) == len(obj) - 12 - footer_length
    at, sections = 40, []
    for length in lengths:
        sections.append(obj[at : at + length])
        at += length

    class_epoch = bytes.fromhex(v["class_epoch"]["key"])
    audit_key = derive(derive(class_epoch, "audit", b""), "segment", segment)
    content_key = derive(derive(class_epoch, "content", b""), "segment", segment)
    audit = open_section(audit_key, 0, cbor(["minutebook/audit/1", segment]), sections[-1])
    leaves = check_audit(audit, v["records"])
    assert root(leaves) == get("root")

    content = open_section(content_key, 0, cbor(["minutebook/head/1", segment]), sections[0])
    (schemas, shapes), _ = read(content, 0)
    subjects = {int(number): bytes.fromhex(key) for number, key in v["subjects"].items()}
    bounds = [first for first, _ in blocks] + [records]
    for block, sealed in enumerate(sections[1:-1]):
        first, end = bounds[block], bounds[block + 1]
        associated = cbor(["minutebook/block/1", segment, block, sha256(*leaves[first:end])])
        entries, at = open_section(content_key, block + 1, associated, sealed), 0
        for place in range(first, end):
            length, at = uleb(entries, at)
            body = open_entry(entries[at : at + length], segment, place, subjects)
            at += length
            check_body(body, schemas, shapes, v["records"][place])
        assert at == len(entries)
    descriptor, _ = read(get("descriptor"), 0)
    assert descriptor[1:4] == [segment, records, get("root")]
    assert descriptor[6:8] == [sha256(obj), len(obj)]
    assert cbor(descriptor) == get("descriptor")


def check_audit(audit: bytes, records: list[dict]) -> list[bytes]:
    count, tables_length = struct.unpack_from("<II", audit)
    assert count == len(records)
    (class_name, producers, schemas), at = read(audit, 8)
    assert at == 8 + tables_length
    times, ms = [], 0
    for _ in range(count):
        step, at = uleb(audit, at)
        ms += step
        times.append(ms)

    def column(width: int) -> list[bytes]:
        nonlocal at
        values = [audit[at + width * n : at + width * (n + 1)] for n in range(count)]
        at += width * count
        return values

    ids = [time.to_bytes(6, "big") + rest for time, rest in zip(times, column(10), strict=True)]
    kinds = [kind[0] for kind in column(1)]
    producer_of = [int.from_bytes(value, "little") for value in column(2)]
    schema_of = [int.from_bytes(value, "little") for value in column(2)]
    seqs, last = [], [0] * len(producers)
    for n in range(count):
        step, at = sleb(audit, at)
        last[producer_of[n]] += step
        seqs.append(last[producer_of[n]])
    commitments = column(32)
    assert at == len(audit)
    leaves = []
    for n, record in enumerate(records):
        producer, epoch = producers[producer_of[n]]
        header = {0: 1, 1: ids[n], 2: kinds[n], 3: producer, 4: epoch, 5: seqs[n], 6: class_name}
        preimage = cbor(["minutebook/record/1", header, schemas[schema_of[n]], commitments[n]])
        assert preimage.hex() == record["preimage"]
        leaves.append(sha256(b"\0", preimage))
        assert leaves[-1].hex() == record["leaf"]
        values = [bytes.fromhex(value) for value in record["values"]]
        salt = salts(bytes.fromhex(record["seed"]), len(values))
        digests = [sha256(salt[16 * n : 16 * n + 16], value) for n, value in enumerate(values)]
        assert sha256(cbor(digests)) == commitments[n]
    return leaves


def open_entry(entry: bytes, segment: bytes, place: int, subjects: dict[int, bytes]) -> bytes:
    if entry[0] == 0:
        return entry[1:]
    assert entry[0] == 1
    count, at = uleb(entry, 1)
    keys = []
    for _ in range(count):
        number, at = uleb(entry, at)
        keys.append(subjects[number])
    key = derive(subject_key(keys), "record", segment + place.to_bytes(4, "big"))
    padded = AESGCM(key).decrypt(bytes(12), entry[at:], cbor(["minutebook/body/1", segment, place]))
    length, at = uleb(padded, 1)
    assert len(padded) % (32 if len(padded) <= 1024 else 256) == 0 and not any(padded[at + length :])
    data = padded[at : at + length]
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 21) if padded[0] else data


def check_body(body: bytes, schemas: list, shapes: list, record: dict) -> None:
    assert body[:32].hex() == record["seed"]
    shape, at = uleb(body, 32)
    schema, constants = shapes[shape]
    constants = dict(map(tuple, constants))
    for place in range(len(schemas[schema])):
        expected = bytes.fromhex(record["values"][place])
        if place in constants:
            assert cbor(constants[place]) == expected
        else:
            assert body[at : at + len(expected)] == expected
            at += len(expected)
    assert at == len(body)


def check_rest(v: dict) -> None:
    get = lambda name: bytes.fromhex(v[name])
    full, _ = read(get("full_descriptor"), 0)
    assert cbor(full) == get("full_descriptor")
    mark = full[11][1]
    producer, epoch, name, time, counts, signature = mark
    signed = b"minutebook/mark/1\n" + cbor([get("trail"), producer, epoch, name, time, counts])
    assert signed.hex() == v["mark"]["signed"]
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(v["mark"]["key"])).verify(signature, signed)
    assert get("trail_entry") == cbor(["minutebook/trail/1", get("trail"), bytes([0x86]) * 32])
    receipt, _ = read(get("receipt"), 0)
    assert receipt[0] == "minutebook/receipt/1" and receipt[1] == get("descriptor") and receipt[5] is None
    blob = {name: bytes.fromhex(value) for name, value in v["blob"].items()}
    assert blob["object"][:8] == b"mbblob1\n"
    associated = cbor(["minutebook/blob/1", blob["id"], 0, True])
    assert AESGCM(blob["key"]).decrypt(bytes(12), blob["object"][8:], associated) == blob["content"]


def check_keys(v: dict) -> None:
    get = lambda name: bytes.fromhex(v[name])
    assert derive(get("class_epoch"), "audit", b"") == get("audit")
    assert derive(get("class_epoch"), "content", b"") == get("content")
    assert derive(get("audit"), "segment", get("segment")) == get("segment_audit")
    assert derive(get("content"), "segment", get("segment")) == get("segment_content")
    place = get("segment") + (5).to_bytes(4, "big")
    assert derive(get("subject"), "record", place) == get("record_place_5")
    both = subject_key([bytes.fromhex(key) for key in v["subjects"]])
    assert derive(both, "record", place) == get("record_of_both_place_5")
    assert derive(get("subject"), "blob", get("blob")) == get("blob_key")
    sealed = v["sealed"]
    clear = AESGCM(get("subject")).decrypt(
        sealed["nonce"].to_bytes(12, "big"), bytes.fromhex(sealed["bytes"]), bytes.fromhex(sealed["associated"])
    )
    assert clear.hex() == sealed["clear"]


def main() -> int:
    segment = json.loads((VECTORS / "segment.json").read_text())
    check_segment(segment)
    check_rest(segment)
    check_keys(json.loads((VECTORS / "keys.json").read_text()))
    print("segment.json and keys.json agree with the pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
