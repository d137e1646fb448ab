"""`minutebook explain --compute`: the program asks the package for an explanation that was not made."""

import json
import os
import subprocess
import sys

import joblib
import minutebook
import numpy as np
import pytest
from minutebook import _program
from sklearn.ensemble import RandomForestClassifier

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((80, 3))
NAMES = ["age", "income", "debt"]

EXPLAINERS = """
import minutebook

print("loaded")


def credit(record):
    import joblib
    import shap

    path = f"model-{record.model['version']}.joblib"
    return minutebook.explainer(shap.TreeExplainer(joblib.load(path)), artifact=path, of=1, space="probability", seed=7)


def other(record):
    return minutebook.explainer(lambda row: 1 / 0, artifact=b"other")


def fails(record):
    return minutebook.explainer(lambda inputs: 1 / 0, artifact=f"model-{record.model['version']}.joblib")


def gives_nothing(record):
    pass
"""


@pytest.fixture
def decided(trail, tmp_path):
    """A decision that was not explained, beside what can explain it."""
    forest = RandomForestClassifier(5, random_state=7).fit(X, X[:, 0] > X[:, 1])
    path = tmp_path / "model-1.joblib"
    joblib.dump(forest, path)
    (tmp_path / "explainers.py").write_text(EXPLAINERS)
    model = trail.model("credit", "1", path, git=None)
    probability = float(forest.predict_proba(X[:1])[0, 1])
    id = model.record(dict(zip(NAMES, X[0].tolist())), {"probability_1": probability}, subject="applicant-7")
    trail.flush()
    return id


def explain(trail, id, function, *options):
    command = [_program.find(), "explain", id, "--compute", function, "--python", sys.executable, "--trail", trail.folder, *options]
    return subprocess.run(command, cwd=os.path.dirname(trail.folder), capture_output=True, text=True, timeout=120)


def test_one_that_was_not_made(trail, decided):
    models = len(trail.records(kind="model"))
    ran = explain(trail, decided, "explainers:credit", "--json")
    assert ran.returncode == 0, ran.stderr
    assert "loaded" in ran.stderr
    (told,) = map(json.loads, ran.stdout.splitlines())
    assert (told["decision"], told["linked"], told["explanation"]["when"]) == (decided, True, "later")
    later = trail[told["record"]]
    assert (later.links, later.subject, later.model) == ([decided], "applicant-7", trail[decided].model)
    assert later.explanation["residual"] == pytest.approx(0.0, abs=1e-9)
    assert list(later.explanation["attributions"]) == NAMES
    assert later.verify()
    assert len(trail.records(kind="model")) == models


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("explainers:other", "load the one that decided"),
        ("explainers:fails", "failed with ZeroDivisionError"),
        ("explainers:gives_nothing", "return `minutebook.explainer("),
        ("explainers:nowhere", "failed with AttributeError"),
        ("nowhere:credit", "failed with ModuleNotFoundError"),
        ("explainers", "MODULE:FUNCTION"),
    ],
)
def test_what_cannot_be_computed_is_told(trail, decided, function, says):
    ran = explain(trail, decided, function)
    assert (ran.returncode, ran.stdout) == (2, ""), ran.stderr
    assert says in ran.stderr
    trail.flush()
    assert trail.records(kind="explanation") == []


def test_a_decision_of_an_unknown_artifact_is_not_explained(trail, decided):
    id = trail.model("credit", "1", git=None).record(dict(zip(NAMES, X[0].tolist())), {"y": 1})
    trail.flush()
    ran = explain(trail, id, "explainers:credit")
    assert ran.returncode == 2
    assert "digest unknown" in ran.stderr


def test_records_of_other_kinds_are_not_explained(trail, decided):
    note = trail.note("hello")
    trail.flush()
    ran = explain(trail, note, "explainers:credit")
    assert ran.returncode == 2
    assert "of kind `note`" in ran.stderr
    assert isinstance(minutebook.explainer(print, artifact=b"x"), tuple)
