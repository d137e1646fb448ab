"""Retention, holds and erasure from Python: what a privacy officer's script does, and what it is refused."""

import datetime

import minutebook
import pytest

SETTINGS = 'format = "minutebook/retention/1"\n\n[[class]]\nname = "credit"\nfloor = "6 months"\nkeep = "3 years"\n'


@pytest.fixture
def decided(trail):
    """A decision about each of two persons, in a class without settings."""
    model = trail.model("credit-risk", "1.4.0", git=None)
    ids = [model.record({"amount": 7.0}, {"approve": True}, subject=subject) for subject in ("jane", "john")]
    trail.flush()
    return ids


def test_retention_settings_are_set_read_back_and_checked(trail, tmp_path):
    assert trail.retention is None
    assert trail.set_retention(SETTINGS) is True
    assert trail.set_retention(SETTINGS) is False
    assert trail.retention == SETTINGS
    path = tmp_path / "retention.toml"
    path.write_text(SETTINGS.replace("3 years", "4 years"))
    assert trail.set_retention(path) is True
    with pytest.raises(ValueError, match="line 6"):
        trail.set_retention(SETTINGS.replace("3 years", "3 fortnights"))
    assert trail.retention == path.read_text()


def test_what_is_not_past_its_retention_stays(trail, decided):
    trail.set_retention(SETTINGS.replace("credit", "standard"))
    plan = trail.disposal_plan()
    assert plan["due"] == []
    (kept,) = [kept for kept in plan["kept"] if kept["class"] == "standard"]
    assert kept["records"] >= 2 and kept["why"] == ["not past its retention"]
    done = trail.dispose(by="privacy officer")
    assert done["disposed"] == [] and done["by"] == "privacy officer"
    assert trail[decided[0]].inputs == {"amount": 7.0}


def test_an_erased_person_is_gone_and_the_others_stay(trail, decided):
    jane, john = decided
    certificate = trail.erase("jane", ground="request 2026-131", by="privacy officer")
    assert certificate["ground"] == "request 2026-131" and certificate["shapes_left"] == 0
    assert len(trail.search("subject = 'jane'")) == 0
    assert len(trail.search("subject = 'john'")) == 1
    assert trail[john].inputs == {"amount": 7.0}
    assert trail.verify()
    with pytest.raises(KeyError, match="nothing is recorded"):
        trail.erase("jane", ground="again", by="privacy officer")


def test_a_hold_forbids_an_erasure_until_it_is_lifted(trail, decided):
    begin = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=1)
    hold = trail.hold("case-7", reason="dispute", by="counsel", model="credit-risk", since=begin)
    assert hold["model"] == "credit-risk" and hold["class"] is None and hold["since"] is not None
    assert [held["name"] for held in trail.holds()] == ["case-7"]
    with pytest.raises(minutebook.Refused, match="case-7") as refused:
        trail.erase("jane", ground="request", by="privacy officer")
    assert refused.value.code == "held"
    assert len(trail.search("subject = 'jane'")) == 1
    assert trail.lift_hold("case-7", reason="settled", by="counsel")["id"] == hold["id"]
    assert trail.holds() == []
    with pytest.raises(KeyError):
        trail.lift_hold("case-7", reason="settled", by="counsel")
    trail.erase("jane", ground="request", by="privacy officer")


def test_a_floor_forbids_an_erasure_and_cannot_be_shortened(trail, decided):
    trail.set_retention(SETTINGS.replace("credit", "standard"))
    with pytest.raises(minutebook.Refused, match="6 months") as refused:
        trail.erase("jane", ground="request", by="privacy officer")
    assert refused.value.code == "inside-floor"
    with pytest.raises(minutebook.Refused) as refused:
        trail.set_retention(SETTINGS.replace("credit", "standard").replace("6 months", "1 month"))
    assert refused.value.code == "floor-shortened"


def test_a_wrong_hold_is_told(trail, decided):
    with pytest.raises(minutebook.TrailError):
        trail.hold("case-8", reason="dispute", by="counsel")
    with pytest.raises(ValueError, match="no time zone"):
        trail.hold("case-8", reason="dispute", by="counsel", since=datetime.datetime(2026, 1, 1))
    assert trail.holds() == []
