"""Faults of the trail, and mistakes of the caller: a prediction goes on, nothing is silent."""

import json
import os
import signal
import warnings

import minutebook
import pytest
from conftest import decisions, stop
from minutebook import _client, _core, _engine, _trail


@pytest.fixture
def quiet(folder):
    """A trail as it is by default: faults are warned of."""
    with minutebook.open(folder, service="tests") as trail:
        yield trail


class Strange:
    pass


def test_a_value_that_no_record_takes_is_counted_and_warned_of_once(quiet):
    model = quiet.model("m", "1", git=None)
    with pytest.warns(minutebook.TrailWarning, match=r"inputs/applicant.*Strange") as warned:
        assert model.record({"applicant": Strange()}) is None
        assert model.record({"applicant": Strange()}) is None
    assert len(warned) == 1
    assert warned[0].filename == __file__
    status = quiet.status()
    assert status["faults"] == {"value": 2}
    assert "inputs/applicant" in status["last_fault"]
    assert status["producer"]["lost"] == 2
    assert model.record({"n": 1}) is not None


def test_each_kind_is_warned_of(quiet):
    model = quiet.model("m", "1", git=None)
    with pytest.warns(minutebook.TrailWarning):
        model.record({"n": Strange()})
    quiet._producer.close()
    with pytest.warns(minutebook.TrailWarning, match="trail"):
        assert model.record({"n": 1}) is None
    assert quiet.status()["faults"]["trail"] == 1


def test_a_decision_keeps_its_id_and_the_block_goes_on(quiet):
    model = quiet.model("m", "1", git=None)
    with pytest.warns(minutebook.TrailWarning):
        with model.decision(inputs={"n": Strange()}) as decision:
            reached = True
    assert reached and decision.id
    assert quiet.status()["producer"]["lost"] == 1


def test_a_batch_with_a_wrong_column(quiet):
    model = quiet.model("m", "1", git=None)
    with pytest.warns(minutebook.TrailWarning, match="inputs/a"):
        assert model.record_batch({"a": [Strange(), Strange()]}) is None


def test_asked_for_they_are_raised(trail, model):
    with pytest.raises(TypeError, match="inputs/n"):
        model.record({"n": Strange()})
    with pytest.raises(TypeError, match="inputs/n"):
        with model.decision(inputs={"n": Strange()}):
            pass
    with pytest.raises(TypeError):
        model.record_batch({"n": [Strange()]})
    with pytest.raises(TypeError):
        model.wrap(lambda n: n)(Strange())
    assert trail.status()["faults"] == {"value": 4}


def test_the_models_own_exception_wins(trail, model):
    with pytest.raises(ZeroDivisionError):
        with model.decision(inputs={"n": Strange()}):
            1 / 0
    assert trail.status()["faults"] == {"value": 1}


def test_where_warnings_are_errors_the_prediction_goes_on(quiet, caplog):
    model = quiet.model("m", "1", git=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.record({"n": Strange()}) is None
    assert "inputs/n" in caplog.text


def test_a_misspelt_argument_is_raised_as_everywhere(quiet):
    model = quiet.model("m", "1", git=None)
    with pytest.raises(TypeError, match="subjekt"):
        model.record({"n": 1}, subjekt="applicant-7")


def test_a_full_spool(folder):
    minutebook.open(folder, service="tests").close()
    stop(folder)
    trail = minutebook.open(folder, service="small", spill_bytes=4 << 20, full="drop", engine="external")
    model = trail.model("m", "1", git=None)
    with pytest.warns(minutebook.TrailWarning, match="spool-full") as warned:
        recorded = [model.record({"text": "x" * 10_000, "n": n}) for n in range(2_000)]
    assert len(warned) == 1
    lost = recorded.count(None)
    assert 0 < lost < 2_000
    assert trail.status()["faults"] == {"spool-full": lost}
    assert trail.status()["producer"]["lost"] == lost
    with pytest.raises(minutebook.SpoolFull):
        minutebook.open(folder, service="small", spill_bytes=4 << 20, engine="external")
    # The engine makes room, and is told what was lost.
    with minutebook.open(folder, service="tests") as other:
        other.flush()
        recorded.append(model.record({"n": 2_000}))
        trail.close()
        assert [record.id for record in decisions(other)] == [id for id in recorded if id is not None]
        assert other.verify()
        losses = [record.fields["loss"] for record in other.records(kind="loss")]
        assert sum(last - first + 1 for loss in losses for _, _, _, first, last in loss["ranges"]) == lost
        assert {loss["reason"] for loss in losses} == {"lost: the spool was full"}


def fill(folder, spill_bytes):
    """Fills the spool of a service while no engine runs; gives how many decisions are in it."""
    minutebook.open(folder, service="tests").close()
    stop(folder)
    count = 0
    with pytest.raises(minutebook.SpoolFull):
        with minutebook.open(folder, service="small", spill_bytes=spill_bytes, engine="external", on_error="raise") as trail:
            model = trail.model("m", "1", git=None)
            while True:
                model.record({"text": "x" * 10_000, "n": count})
                count += 1
    return count


def test_a_full_spool_is_waited_for_while_the_engine_is_killed(folder, monkeypatch):
    """`open` asked the engine once for room, and raised when that one was killed."""
    request, killed = _client.request, []

    def kill_first(folder, method, path, *rest, **given):
        if path == "/v1/seal" and len(killed) < 4:
            pid = json.loads(request(folder, "GET", "/v1/engine"))["pid"]
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
        return request(folder, method, path, *rest, **given)

    for attempt in range(5):
        place = folder.with_name(f"trail-{attempt}")
        count = fill(place, 32 << 20)
        with monkeypatch.context() as patched:
            patched.setattr(_client, "request", kill_first)
            trail = minutebook.open(place, service="small", spill_bytes=32 << 20)
        with trail:
            assert len(decisions(trail)) == count
            assert trail.verify()
        stop(place)
        # An engine that has just been started may have sealed all before this process looks for room: then nobody has to be asked.
        if killed:
            return
    pytest.fail("the engine was always quicker")


def test_a_spool_that_stays_full_is_told(folder, monkeypatch):
    fill(folder, 4 << 20)

    def ask(*_, **__):
        raise minutebook.EngineError("sealing failed: no space left on device", code="storage-failed")

    with monkeypatch.context() as patched:
        patched.setattr(_trail, "SEAL_TIMEOUT_S", 0.2)
        patched.setattr(_engine.Engine, "ask", ask)
        # As if the disk under it were full.
        patched.setattr(_core, "Producer", _raise_full)
        with pytest.raises(minutebook.SpoolFull, match="no room within 0.2 s: sealing failed"):
            minutebook.open(folder, service="small", spill_bytes=4 << 20)


def test_live_processes_of_a_service_that_take_all_are_told(folder):
    given = {"service": "small", "spill_bytes": 256 << 10}
    trails = [minutebook.open(folder, **given) for _ in range(4)]
    with pytest.raises(minutebook.SpoolFull, match="processes of this service that live"):
        minutebook.open(folder, **given)
    for trail in trails:
        trail.close()
    minutebook.open(folder, **given).close()


def _raise_full(*_, **__):
    raise minutebook.SpoolFull("the spool is full")


def test_without_an_engine_records_wait_in_the_spool(folder, monkeypatch):
    minutebook.open(folder, service="tests").close()
    stop(folder)
    with monkeypatch.context() as patched:
        patched.setenv("MINUTEBOOK_PROGRAM", "/dev/null")
        with pytest.warns(minutebook.TrailWarning, match="no engine runs"):
            trail = minutebook.open(folder, service="tests")
        id = trail.model("m", "1", git=None).record({"n": 1})
        assert id is not None
        status = trail.status()
        assert status["engine"] is None
        assert status["faults"] == {"engine": 1}
        with pytest.raises(minutebook.EngineError, match="MINUTEBOOK_PROGRAM"):
            trail.flush()
    assert [record.id for record in decisions(trail)] == [id]
    trail.close()


def test_no_trail_and_no_program(folder, monkeypatch):
    monkeypatch.setenv("MINUTEBOOK_PROGRAM", str(folder / "none"))
    with pytest.raises(minutebook.EngineError, match="minutebook init") as raised:
        minutebook.open(folder)
    assert raised.value.code == "no-program"


def test_many_processes_of_a_service_fit_with_any_limit(folder):
    minutebook.open(folder, service="first").close()
    stop(folder)
    for full in ("drop", "spill"):
        trails = [minutebook.open(folder, service=f"many-{full}", full=full, engine="external", on_error="raise") for _ in range(24)]
        for trail in trails:
            assert trail.model("m", "1", git=None).record({"n": 1})
        for trail in trails:
            trail.close()
