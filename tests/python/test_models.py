"""What a trail knows of its models, over `open` and `connect`; and what is read for, in the records of reads."""

import datetime
import json
import subprocess

import minutebook
import pytest
from minutebook import _client, _program
from test_connect import server  # noqa: F401  a fixture

DIGEST = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
UTC = datetime.timezone.utc


def register(trail, model, what, **body):
    path = f"/v1/models/{model}/{what}"
    return trail._engine.ask_json("POST", path, body)["id"]


def check(trail):
    assert trail.models() == ()
    with pytest.raises(KeyError):
        trail.model_history("credit")
    for version, count in [("1.4", 3), ("1.5", 2)]:
        model = trail.model("credit", version=version, git=None)
        for n in range(count):
            model.record(inputs={"n": n}, outputs={"y": n})
    registered = register(trail, "night%2Fshift", "versions", version="1", artifact=DIGEST)
    first = register(trail, "credit", "deployments", version="1.4", time="2026-11-20T09:00:00Z")
    second = register(trail, "credit", "deployments", version="1.5", time="2026-11-21T09:00:00.5Z")

    credit, night = trail.models()
    assert (credit.name, credit.versions, credit.decisions, credit.weighted) == ("credit", ("1.5", "1.4"), 5, 5.0)
    assert (credit.registrations, credit.deployments) == (2, 2)
    assert credit.first <= credit.last <= datetime.datetime.now(UTC) + datetime.timedelta(minutes=1)
    assert (night.name, night.versions, night.decisions, night.first, night.last) == ("night/shift", ("1",), 0, None, None)

    history = trail.model_history("credit")
    assert history.model == credit
    assert [(version.version, version.decisions, version.deployments) for version in history.versions] == [("1.5", 2, 1), ("1.4", 3, 1)]
    assert [record.id for record in history.deployments] == [second, first], "the latest first"
    assert history.deployments[0].time == datetime.datetime(2026, 11, 21, 9, 0, 0, 500_000, UTC)
    # `model` registers what it sees for the first time.
    assert [record.version for record in history.registrations] == ["1.5", "1.4"] and not history.more
    (record,) = trail.model_history("night/shift").registrations
    assert (record.id, record.version, record.artifact) == (registered, "1", DIGEST)
    assert trail.model_history("night/shift").versions[0].artifacts == (DIGEST,)
    assert trail[record.id].kind == "model"


def test_models_of_a_folder(tmp_path):
    with minutebook.open(tmp_path / "trail") as trail:
        check(trail)


def test_models_of_a_server(server):  # noqa: F811
    with minutebook.connect(server.url, api_key=server.key("all"), purpose="a test", service="shop") as trail:
        check(trail)
    with (
        minutebook.connect(server.url, api_key=server.key("shop", "recorder"), service="shop") as trail,
        pytest.raises(minutebook.EngineError) as refused,
    ):
        trail.models()
    assert refused.value.code == "not-permitted"


def test_what_is_read_of_a_server_is_on_the_record_and_what_for(server):  # noqa: F811
    with minutebook.open(server.folder, keys=server.keys, engine="external", purpose="case 7", service="desk") as trail:
        trail.model("credit", version="1", git=None).record(inputs={"n": 1}, outputs={"y": 1})
        trail.flush()
        assert len(list(trail.search("inputs.n = 1", model="credit"))) == 1
        trail.models()
    server.run("seal")
    reads = [json.loads(line)["access"] for line in server.run("list", "--kind", "access", "--json", "--oldest").splitlines()]
    assert {(read["who"], read["purpose"]) for read in reads} == {("owner", "case 7")}
    assert [read["asked"].split(":")[0] for read in reads] == ["POST /v1/search", "GET /v1/models"]


def test_an_engine_that_open_begins_records_no_reads_unless_settings_say_so(tmp_path):
    folder, keys = tmp_path / "trail", tmp_path / "keys"

    def run(*arguments):
        command = [_program.find(), *arguments, "--trail", str(folder), "--keys", str(keys)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def read_of(purpose):
        with minutebook.open(folder, keys=keys, purpose=purpose) as trail:
            trail.records()
        run("engine", "--stop")
        return [json.loads(line)["access"]["purpose"] for line in run("list", "--kind", "access", "--json").splitlines()]

    assert read_of("one") == []
    (tmp_path / "access.toml").write_text('format = "minutebook/access/1"\n[owner]\nreads = "recorded"\n')
    run("access", "set", str(tmp_path / "access.toml"))
    assert read_of("two") == ["two"]
    assert read_of(None) == ["", "two"]


@pytest.mark.parametrize("purpose", ["", " ", "two\nlines", "Prüfung"])
def test_a_purpose_is_a_line_of_ascii(tmp_path, purpose):
    with pytest.raises(ValueError, match="purpose"):
        minutebook.open(tmp_path / "trail", purpose=purpose)
    assert _client.checked_purpose(None) is None
