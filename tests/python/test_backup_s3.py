"""Backups to an object store, over HTTP: made, continued, damaged, mended, restored."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import minutebook
import pytest

PROGRAM = Path(sys.executable).with_name("minutebook")
BUCKET = "backups"


@pytest.fixture
def store():
    """The address of an object store with an empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [os.environ["MINUTEBOOK_S3_SERVER"], "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert server.poll() is None, "the server ended"
            try:
                request(f"{address}/{BUCKET}", "PUT")
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def request(address, method, body=b""):
    # It asks that requests are signed, and does not look how.
    signed = {"authorization": "AWS some-key-id:some-signature"}
    sent = urllib.request.Request(address, method=method, headers=signed, data=body if method == "PUT" else None)
    with urllib.request.urlopen(sent, timeout=10) as answer:
        return answer.read()


def run(store, *arguments):
    variables = {
        "AWS_ENDPOINT": store,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "some-key-id",
        "AWS_SECRET_ACCESS_KEY": "canary-of-a-secret",
        "AWS_REGION": "us-east-1",
    }
    ran = subprocess.run(
        [str(PROGRAM), *map(str, arguments)], capture_output=True, text=True, env=os.environ | variables, timeout=120, check=False
    )
    assert "canary" not in ran.stdout + ran.stderr
    return ran


def record(folder, purposes):
    with minutebook.open(folder) as trail:
        model = trail.model("credit-risk", version="1.0", git=None)
        for purpose in purposes:
            with model.decision(inputs={"purpose": purpose}) as decision:
                decision.outputs = {"approve": True}
        trail.flush("sealed")


def purposes(store, folder):
    listed = run(store, "search", "--trail", folder, "--json", "--columns", "inputs.purpose")
    assert listed.returncode == 0, listed.stderr
    return sorted(json.loads(line)["inputs.purpose"] for line in listed.stdout.splitlines())


def test_a_backup_in_an_object_store_is_continued_mended_and_restored(store, folder, tmp_path):
    place = f"s3://{BUCKET}/credit/daily"
    record(folder, ["car", "education"])
    first = run(store, "backup", place, "--trail", folder, "--json")
    assert first.returncode == 0, first.stderr
    made = json.loads(first.stdout)
    assert made["copied"] == made["objects"] > 0

    record(folder, ["repairs"])
    second = json.loads(run(store, "backup", place, "--trail", folder, "--json").stdout)
    assert 0 < second["copied"] < second["objects"]

    listing = request(f"{store}/{BUCKET}?list-type=2&prefix=credit/daily/segments/", "GET").decode()
    name = listing.split("<Key>")[1].split("</Key>")[0]
    request(f"{store}/{BUCKET}/{name}", "PUT", b"something else")
    mended = json.loads(run(store, "backup", place, "--trail", folder, "--json").stdout)
    assert mended["mended"] == [name.removeprefix("credit/daily/")]

    keys = tmp_path / "keys"
    copied = run(store, "key", "copy", keys, "--trail", folder)
    assert copied.returncode == 0, copied.stderr
    restored = tmp_path / "restored"
    again = run(store, "restore", place, restored, "--keys", keys)
    assert again.returncode == 0, again.stderr
    checked = run(store, "verify", restored, "--keys", keys)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    os.environ["MINUTEBOOK_KEYS"] = str(keys)
    try:
        assert purposes(store, restored) == ["car", "education", "repairs"]
    finally:
        del os.environ["MINUTEBOOK_KEYS"]


def test_a_damaged_backup_in_an_object_store_is_not_restored(store, folder, tmp_path):
    place = f"s3://{BUCKET}/credit"
    record(folder, ["car"])
    assert run(store, "backup", place, "--trail", folder).returncode == 0
    listing = request(f"{store}/{BUCKET}?list-type=2&prefix=credit/segments/", "GET").decode()
    name = listing.split("<Key>")[1].split("</Key>")[0]
    request(f"{store}/{BUCKET}/{name}", "PUT", b"something else")
    ran = run(store, "restore", place, tmp_path / "restored")
    assert ran.returncode != 0
    assert name.removeprefix("credit/") in ran.stderr


def test_an_object_store_that_refuses_is_told(store, folder):
    record(folder, ["car"])
    ran = run(store, "backup", "s3://nobody/credit", "--trail", folder)
    assert ran.returncode not in (0, 101)
    assert "nobody" in ran.stderr
    with pytest.raises(urllib.error.HTTPError):
        request(f"{store}/nobody", "GET")
