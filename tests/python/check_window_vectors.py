"""Checks docs/formats/vectors/window.json against window.md, independently of the Rust code: the sketches with Apache DataSketches' own library."""

import json
import math
import struct
import sys
from pathlib import Path

import datasketches

VECTORS = Path(__file__).resolve().parents[2] / "docs/formats/vectors"


def read(data: bytes, at: int = 0):
    """One item of deterministic CBOR, and where it ends."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7 and low in (20, 21, 22):
        return {20: False, 21: True, 22: None}[low], at
    if major == 7:
        form, size = {25: (">e", 2), 26: (">f", 4), 27: (">d", 8)}[low]
        return struct.unpack(form, data[at : at + size])[0], at + size
    if low >= 24:
        size = 1 << (low - 24)
        number = int.from_bytes(data[at : at + size], "big")
        # The shortest form, and no other.
        assert number >= (24 if size == 1 else 1 << (4 * size)), "not the shortest form"
        at += size
    else:
        number = low
    if major in (0, 1):
        return (number if major == 0 else -1 - number), at
    if major in (2, 3):
        content = data[at : at + number]
        return (content if major == 2 else content.decode()), at + number
    items = []
    if major == 4:
        for _ in range(number):
            item, at = read(data, at)
            items.append(item)
        return items, at
    assert major == 5
    before = b""
    for _ in range(number):
        start = at
        key, at = read(data, at)
        assert data[start:at] > before, "keys are not in order"
        before = data[start:at]
        item, at = read(data, at)
        items.append((key, item))
    return dict(items), at


def whole(text: str):
    data = bytes.fromhex(text)
    item, end = read(data)
    assert end == len(data)
    return item


def main() -> int:
    vectors = json.loads((VECTORS / "window.json").read_text())
    assert whole(vectors["status"]) == {"ok": 118, "ValueError": 2}
    assert whole(vectors["rules"]) == {"others": [100, 7]}
    producer = bytes([7] * 16)
    covers = whole(vectors["covers"])
    assert covers == [[producer, 3, "standard", 1, 100, 100], [producer, 3, "standard", 121, 140, 20]]
    assert sum(cover[5] for cover in covers) == vectors["decisions"]
    features = whole(vectors["features"])
    assert [feature["path"][1] for feature in features] == ["amount", "name", "purpose", "seldom"]
    amount, name, purpose, seldom = features

    values = vectors["amounts"]
    numbers = amount["numbers"]
    assert (numbers["count"], numbers["other"], amount["present"]) == (len(values), 1, 120)
    mean = math.fsum(values) / len(values)
    assert math.isclose(numbers["mean"], mean, rel_tol=1e-12)
    assert math.isclose(numbers["m2"], math.fsum((value - mean) ** 2 for value in values), rel_tol=1e-12)
    assert (numbers["min"], numbers["max"]) == (min(values), max(values))
    sketch = datasketches.kll_doubles_sketch.deserialize(numbers["kll"])
    assert (sketch.k, sketch.n, sketch.is_estimation_mode()) == (200, len(values), False)
    ordered = sorted(values)
    for part in (0.1, 0.5, 0.9):
        assert sketch.get_quantile(part, True) == ordered[math.ceil(part * len(ordered)) - 1]

    expected = [[text, count] for text, count in vectors["purposes"] if count >= 10]
    texts = purpose["texts"]
    assert (texts["count"], texts["items"], texts["distinct"], texts["id-like"]) == (114, expected, 3, False)
    hll = datasketches.hll_sketch.deserialize(texts["hll"])
    assert (hll.lg_config_k, round(hll.get_estimate())) == (11, 3)
    # The same texts again are no new ones: they are hashed as every other DataSketches library does.
    union = datasketches.hll_union(11)
    union.update(hll)
    for text, _ in vectors["purposes"]:
        union.update(text)
    assert round(union.get_estimate()) == 3

    assert name["texts"] == {"count": 40, "items": [], "distinct": 40, "id-like": True}
    assert seldom["numbers"] == {"count": 2, "other": 0}
    assert "Person" not in bytes.fromhex(vectors["features"]).decode("latin-1")
    print("window.json agrees with the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
