"""A trail from Python: opened, written, read, verified, closed."""

import hashlib
import re
import subprocess
import sys
import warnings

import minutebook
import pytest
from conftest import decisions, stop


def test_opening_makes_a_trail_and_starts_its_engine(folder):
    with minutebook.open(folder, service="shop") as trail:
        assert re.fullmatch("[0-9a-f]{32}", trail.id)
        status = trail.status()
        assert status["engine"]["version"] == minutebook.__version__
        assert status["service"] == "shop"
        assert status["faults"] == {}
        assert status["producer"]["epoch"] == 1


def test_a_decision_is_found_again_by_its_id(trail):
    credit = trail.model("credit-risk", "1.4.0", b"weights", params={"threshold": 0.5}, tags={"channel": "web"}, git=None)
    id = credit.record({"amount": 4870.0, "purpose": "car"}, {"approve": False}, subject="applicant-7", actor="branch-12")
    record = trail[id]
    assert (record.id, record.kind, record.status) == (id, "decision", "ok")
    assert record.inputs == {"amount": 4870.0, "purpose": "car"}
    assert record.outputs == {"approve": False}
    assert record.params == {"threshold": 0.5}
    assert record.tags == {"channel": "web"}
    assert record.actor == "branch-12"
    assert record.subject in ("applicant-7", ["applicant-7"])
    assert record.model["name"] == "credit-risk"
    assert record.model["artifact"] == "sha256:" + hashlib.sha256(b"weights").hexdigest()
    assert record.time.tzinfo is not None
    assert record.readable
    assert "amount" in record._repr_html_() and id in repr(record)


def test_what_is_added_to_the_model_goes_beside_what_it_has(trail):
    credit = trail.model("credit-risk", "1", params={"threshold": 0.5, "seed": 7}, tags={"channel": "web"}, git=None)
    record = trail[credit.record({"x": 1.0}, params={"threshold": 0.7}, tags={"test": True})]
    assert record.params == {"threshold": 0.7, "seed": 7}
    assert record.tags == {"channel": "web", "test": True}


def test_a_record_is_verified_shown_and_proved(trail, model):
    id = model.record({"amount": 1.0}, {"approve": True})
    assert trail[id].verify()
    assert trail.verify()
    assert "credit-risk" in trail.show(id)
    assert trail[id].show() == trail.show(id)
    assert trail[id].receipt().startswith("c2sp.org/tlog-proof")


def test_outcome_review_and_note_link_to_the_decision(trail, model):
    id = model.record({"amount": 1.0}, {"approve": True})
    outcome = trail[trail.outcome(id, {"defaulted": True})]
    assert (outcome.kind, outcome.links, outcome.fields["outcome"]) == ("outcome", [id], {"defaulted": True})
    review = trail[trail[id].review("overridden", by="j.doe", reason="income was wrong")]
    assert review.links == [id]
    assert review.fields["review"] == {"action": "overridden", "by": "j.doe", "reason": "income was wrong"}
    note = trail[trail.note("looked at", links=[id])]
    assert note.fields["note"] == {"text": "looked at"}


def test_records_are_listed(trail, model):
    ids = [model.record({"n": n}) for n in range(3)]
    other = trail.model("other", "1", git=None).record({"n": 9})
    assert [record.id for record in decisions(trail)] == [*ids, other]
    assert [record.id for record in decisions(trail, model="other")] == [other]
    assert len(trail.records(kind="decision", limit=2)) == 2


def test_an_id_that_is_not_there(trail):
    with pytest.raises(KeyError):
        trail["01a1fe48-2d55-7ca3-8f34-c9d643392f46"]


@pytest.mark.parametrize("level", ["process", "disk", "sealed"])
def test_levels(trail, model, level):
    id = model.record({"n": 1}, level=level)
    trail.flush(level)
    assert trail[id].inputs == {"n": 1}


def test_a_level_that_cannot_be_reached(folder):
    with minutebook.open(folder, service="tests") as trail:
        with pytest.raises(minutebook.EngineError) as raised:
            trail.flush("witnessed")
        assert raised.value.code == "no-witness"
        with pytest.warns(minutebook.TrailWarning, match="recorded, but not `witnessed`"):
            id = trail.model("m", "1", git=None).record({"n": 1}, level="witnessed")
        assert trail[id].inputs == {"n": 1}
        assert trail.status()["faults"] == {"engine": 1}


def test_no_trail_and_nobody_to_make_one(folder):
    with pytest.raises(FileNotFoundError, match="minutebook init"):
        minutebook.open(folder, engine="external")


@pytest.mark.parametrize(
    ("option", "value"),
    [("level", "paper"), ("engine", "diesel"), ("on_error", "cry"), ("full", "hide"), ("service", "No Such Name"), ("block", 0.0)],
)
def test_options_that_are_none(folder, option, value):
    minutebook.open(folder, service="tests").close()
    given = {"service": "tests", option: value} | ({"full": "block"} if option == "block" else {})
    with pytest.raises(ValueError, match="name" if option == "service" else option):
        minutebook.open(folder, **given)


def test_a_relative_path_stays_the_same_folder(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    with minutebook.open("trail", service="tests") as trail:
        monkeypatch.chdir("/")
        id = trail.model("m", "1", git=None).record({"n": 1})
        assert trail[id].inputs == {"n": 1}


def test_closing_twice(trail, model):
    model.record({"n": 1})
    trail.close()
    trail.close()


def test_what_the_process_left_is_there(folder):
    script = f"""
import minutebook
trail = minutebook.open({str(folder)!r})
model = trail.model("m", "1", git=None)
for n in range(100):
    model.record({{"n": n}})
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    with minutebook.open(folder, service="tests") as trail:
        assert [record.inputs["n"] for record in decisions(trail)] == list(range(100))
        assert trail.verify()


def test_the_engine_of_one_process_serves_the_next(folder):
    with minutebook.open(folder, service="first") as trail:
        pid = trail.status()["engine"]["pid"]
    with minutebook.open(folder, service="second") as trail:
        assert trail.status()["engine"]["pid"] == pid


def test_nothing_is_warned_of_when_nothing_is_wrong(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with minutebook.open(folder) as trail:
            model = trail.model("m", "1")
            model.record({"n": 1})
    stop(folder)
