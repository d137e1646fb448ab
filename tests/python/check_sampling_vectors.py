"""Checks docs/formats/vectors/sampling.json against policy.md, independently of the Rust code."""

import hashlib
import hmac
import json
import sys
from fractions import Fraction
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[2] / "docs/formats/vectors"


def draw(key: bytes, producer: bytes, epoch: int, name: str, seq: int) -> int:
    in_class = name.encode()
    said = producer + epoch.to_bytes(8, "big") + bytes([len(in_class)]) + in_class + seq.to_bytes(8, "big")
    return int.from_bytes(hmac.digest(key, said, "sha256")[:8], "big")


def keeps(rate: float, drawn: int) -> bool:
    return Fraction(drawn, 2**64) < Fraction(rate)


def main() -> int:
    vectors = json.loads((VECTORS / "sampling.json").read_text())
    key = bytes.fromhex(vectors["key"])
    assert hashlib.sha256(key).hexdigest() == vectors["digest"]
    for case in vectors["draws"]:
        drawn = draw(key, bytes.fromhex(case["producer"]), int(case["epoch"]), case["class"], int(case["seq"]))
        assert f"{drawn:016x}" == case["draw"], case
        assert [keeps(rate, drawn) for rate in vectors["rates"]] == case["kept"], case
    for case in vectors["edges"]:
        assert keeps(case["rate"], int(case["draw"], 16)) == case["kept"], case
    print("sampling.json agrees with the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
