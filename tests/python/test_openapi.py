"""The HTTP API as its own description has it: schemathesis makes up requests from the document that a server gives, right ones and wrong ones,
and holds each answer against it."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from minutebook import _program

ROLES = ("recorder", "investigator", "auditor", "privacy-officer", "model-owner", "administrator")
RECORDS = [
    {"model": {"name": "credit", "version": "1"}, "inputs": {"n": n, "word": "x"}, "outputs": {"y": 0.5}, "subject": f"p{n}"} for n in range(20)
]
# What is made up is made up quickly.
LIMITS = """
format = "minutebook/access/1"

[limits]
requests_per_second = 10000
request_burst = 10000
queries_at_once = 60
query_seconds_per_minute = 100000
"""


@pytest.fixture
def server(tmp_path):
    """The URL of a server with some records, and a key for everything."""

    def run(*arguments, **options):
        command = [_program.find(), *arguments, "--trail", str(tmp_path / "trail"), "--keys", str(tmp_path / "keys")]
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout

    command = [_program.find(), "serve", str(tmp_path / "trail"), "--create", "--keys", str(tmp_path / "keys"), "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as serving:
        url = json.loads(serving.stdout.readline())["listen"]
        run("record", input="\n".join(map(json.dumps, RECORDS)))
        (tmp_path / "access.toml").write_text(LIMITS)
        run("access", "set", str(tmp_path / "access.toml"))
        key = run("api-key", "create", "everything", *(part for role in ROLES for part in ("--role", role))).strip()
        yield url, key
        assert serving.poll() is None, "it still serves"
        serving.terminate()
        serving.wait()
    assert run("verify")


def test_every_answer_is_one_that_is_described(server, tmp_path):
    url, key = server
    program = Path(os.environ["MINUTEBOOK_SERVERS_PYTHON"]).with_name("schemathesis")
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    command = [
        program, "run", f"{url}/v1/openapi.json", "--header", f"authorization: Bearer {key}", "--header", "minutebook-purpose: a test",
        "--exclude-path", "/v1/stop", "--checks", checks, "--max-examples", "25", "--seed", "1", "--generation-database", "none",
        "--suppress-health-check", "all", "--no-color",
    ]  # fmt: skip
    hooks = {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    ran = subprocess.run(command, cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True, timeout=600)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    generated, passed = map(int, re.search(r"(\d+) generated, (\d+) passed", ran.stdout).groups())
    assert generated == passed and generated > 1000
