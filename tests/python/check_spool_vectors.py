"""Checks docs/formats/vectors/spool.json against docs/formats/spool.md, independently of the Rust code.

HPKE (RFC 9180) is done by hand from X25519, HKDF and AES-GCM. Needs the package `cryptography`.
"""

import hashlib
import hmac
import json
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

VECTORS = Path(__file__).resolve().parents[2] / "docs/formats/vectors/spool.json"


def extract(salt: bytes, key: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), key, "sha256")


def expand(key: bytes, info: bytes, length: int) -> bytes:
    out, block = b"", b""
    for n in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([n]), "sha256")
        out += block
    return out[:length]


def hpke_open(private: bytes, encapsulated: bytes, ciphertext: bytes, info: bytes, aad: bytes) -> bytes:
    """RFC 9180, base mode, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM."""
    kem, suite = b"KEM" + b"\x00\x20", b"HPKE" + b"\x00\x20" + b"\x00\x01" + b"\x00\x02"

    def labeled_extract(suite_id: bytes, salt: bytes, label: bytes, key: bytes) -> bytes:
        return extract(salt, b"HPKE-v1" + suite_id + label + key)

    def labeled_expand(suite_id: bytes, key: bytes, label: bytes, context: bytes, length: int) -> bytes:
        return expand(key, length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + context, length)

    receiver = X25519PrivateKey.from_private_bytes(private)
    shared = receiver.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    context = encapsulated + receiver.public_key().public_bytes_raw()
    eae = labeled_extract(kem, b"", b"eae_prk", shared)
    secret = labeled_expand(kem, eae, b"shared_secret", context, 32)

    schedule = b"\x00" + labeled_extract(suite, b"", b"psk_id_hash", b"") + labeled_extract(suite, b"", b"info_hash", info)
    prk = labeled_extract(suite, secret, b"secret", b"")
    key = labeled_expand(suite, prk, b"key", schedule, 32)
    nonce = labeled_expand(suite, prk, b"base_nonce", schedule, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, aad)


def head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | code]) + argument.to_bytes(size, "big")
    raise ValueError(argument)


def cbor(value) -> bytes:
    """Deterministic CBOR of what the vectors need."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case int():
            return head(0, value) if value >= 0 else head(1, -1 - value)
        case bytes():
            return head(2, len(value)) + value
        case str():
            return head(3, len(value.encode())) + value.encode()
        case list():
            return head(4, len(value)) + b"".join(map(cbor, value))
        case float():
            for code, form in ((0xF9, ">e"), (0xFA, ">f"), (0xFB, ">d")):
                try:
                    packed = struct.pack(form, value)
                except OverflowError:
                    continue
                if struct.unpack(form, packed)[0] == value:
                    return bytes([code]) + packed
    raise TypeError(type(value))


def check(what: str, found, wanted) -> None:
    if found != wanted:
        sys.exit(f"{what}: {found!r}, wanted {wanted!r}")


def check_epoch(vectors: dict) -> dict:
    epoch = vectors["epoch"]
    header = bytes.fromhex(epoch["header"])
    check("epoch header", len(header), 240)
    magic, trail, producer, number, made, pid, zero, ticks, boot, namespace, mark_key = struct.unpack(
        "<8s16s16sQqIIQ16sQ32s", header[:128]
    )
    check("magic", magic, b"mbepoch1")
    check("trail", trail.hex(), epoch["trail"])
    check("producer", producer.hex(), epoch["producer"])
    check("numbers", [number, made, pid, zero, ticks, namespace],
          [epoch[k] for k in ("epoch", "made_ns", "pid")] + [0, epoch["start_ticks"], epoch["pid_namespace"]])
    check("boot id", boot.hex(), epoch["boot_id"])
    seed = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(epoch["mark_seed"]))
    check("mark key", mark_key, seed.public_key().public_bytes_raw())
    check("digest", header[208:], hashlib.sha256(header[:208]).digest())
    private = bytes.fromhex(vectors["intake"]["private"])
    public = X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    check("intake key", public.hex(), vectors["intake"]["public"])
    key = hpke_open(private, header[128:160], header[160:208], b"minutebook/spool/1", header[:128])
    check("epoch key", key.hex(), epoch["key"])
    check("name of the epoch file", epoch["file"], f"{number:010}.epoch")
    return {"trail": trail, "producer": producer, "epoch": number, "key": key, "mark_key": mark_key}


def check_part(vectors: dict, epoch: dict) -> None:
    part = vectors["part"]
    wanted = struct.pack("<8s16s16sQIIQ", b"mbspool1", epoch["trail"], epoch["producer"], epoch["epoch"],
                         part["part"], 0, part["capacity"])
    check("part header", part["header"], wanted.hex())
    check("name of the part", part["file"], f"{epoch['epoch']:010}-{part['part']:06}.spool")


def check_frames(vectors: dict, epoch: dict) -> None:
    part = vectors["part"]["part"]
    schema = [[["inputs", "amount"], "f64"], [["inputs", "months"], "i64"], [["inputs", "source"], "text"],
              [["outputs", "approve"], "bool"]]
    shape = cbor([schema, [[2, "branch"]]])
    check("shape", vectors["shape"]["encoded"], shape.hex())
    record_id = (1_795_000_000_123).to_bytes(6, "big")
    tail = bytearray(b"0123456789")
    tail[0], tail[2] = tail[0] & 0x0F | 0x70, tail[2] & 0x3F | 0x80
    wanted = {
        "class": b"\x05\x01standard",
        "shape": b"\x01" + struct.pack("<I", 7) + shape,
        "blob": b"\x03" + b"blob-id-01234567" + struct.pack("<QQ", 11, 6) + b"world",
        "record": b"\x02" + bytes([1, 1, 0]) + struct.pack("<IQ", 7, 41) + record_id + bytes(tail)
        + cbor(4870.5) + cbor(24) + cbor(False),
        "lost": b"\x04" + bytes([1, 4, 0]) + struct.pack("<QQ", 42, 45),
    }
    offset = 4096
    for entry in vectors["frames"]:
        what, frame = entry["what"], bytes.fromhex(entry["frame"])
        check(f"{what}: offset", entry["offset"], offset)
        length, state = struct.unpack("<II", frame[:8])
        check(f"{what}: state", state, 2)
        check(f"{what}: padding", frame[length:], bytes(-length % 16))
        nonce = struct.pack(">IQ", part, offset)
        aad = epoch["producer"] + struct.pack(">QIQ", epoch["epoch"], part, offset)
        clear = AESGCM(epoch["key"]).decrypt(nonce, frame[8:length], aad)
        check(f"{what}: clear text", clear, wanted.pop(what))
        check(f"{what}: clear text as told", entry["clear"], clear.hex())
        offset += len(frame)
    check("frames left", wanted, {})


def check_mark(vectors: dict, epoch: dict) -> None:
    mark = vectors["mark"]
    signed = b"minutebook/mark/1\n" + cbor(
        [epoch["trail"], epoch["producer"], epoch["epoch"], mark["mark"], mark["time"], mark["counts"]]
    )
    check("what the mark signs", mark["signed"], signed.hex())
    Ed25519PublicKey.from_public_bytes(epoch["mark_key"]).verify(bytes.fromhex(mark["signature"]), signed)


def main() -> None:
    vectors = json.loads((Path(sys.argv[1]) if len(sys.argv) > 1 else VECTORS).read_bytes())
    check("format", vectors["format"], "minutebook/spool/1")
    epoch = check_epoch(vectors)
    check_part(vectors, epoch)
    check_frames(vectors, epoch)
    check_mark(vectors, epoch)
    print("spool vectors: all good")


if __name__ == "__main__":
    main()
