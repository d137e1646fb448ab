"""Checks docs/formats/vectors/acknowledgement.json against trail.md, independently of the Rust code. Needs `cryptography`."""

import base64
import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from check_segment_vectors import cbor

VECTORS = Path(__file__).resolve().parents[2] / "docs/formats/vectors"


def main() -> int:
    vectors = json.loads((VECTORS / "acknowledgement.json").read_text())
    key = base64.b64decode(vectors["key"].split("+", 2)[2])
    assert key[0] == 1
    public = Ed25519PublicKey.from_public_bytes(key[1:])
    for case in vectors["acknowledgements"]:
        records = []
        for record in case["records"]:
            digest = record["digest"]
            records.append([bytes.fromhex(record["id"]), None if digest is None else bytes.fromhex(digest)])
        trail = bytes.fromhex(vectors["trail"])
        said = cbor(["minutebook/acknowledgement/1", trail, case["level"], case["time"], records])
        assert said.hex() == case["bytes"]
        public.verify(bytes.fromhex(case["signature"]), said)
    print("acknowledgement.json agrees with the page")
    return 0


if __name__ == "__main__":
    sys.exit(main())
