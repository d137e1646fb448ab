"""Explainers of a model: in the call, behind it, and when asked. One that fails or is slow harms no decision."""

import threading
import time

import minutebook
import numpy as np
import pytest
import shap
import xgboost
from conftest import decisions, wait
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((80, 3))
Y = (X[:, 0] > X[:, 1]).astype(int)
NAMES = ["age", "income", "debt"]


def own(inputs):
    return {"method": "own", "attributions": {name: 0.5 for name in inputs}}


def counts(trail, *names):
    (status,) = trail.status()["explainers"].values()
    return tuple(status[name] for name in names)


def test_inline_of_xgboost(trail):
    booster = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(X, Y)
    model = trail.model("m", "1", booster, git=None)
    model.explain_with(shap.TreeExplainer(booster), space="log-odds", background=X, limit_s=60)
    wrapped = model.wrap(booster, features=NAMES)
    assert wrapped.predict_proba(X[:1]).tolist() == booster.predict_proba(X[:1]).tolist()
    (found,) = decisions(trail)
    assert list(found.explanation["attributions"]) == NAMES
    margin = float(booster.predict(X[:1], output_margin=True)[0])
    assert found.explanation["base"] + sum(found.explanation["attributions"].values()) == pytest.approx(margin, abs=1e-5)
    assert found.explanation.get("when", "inline") == "inline"
    assert found.explanation["background"].startswith("sha256:")
    assert 0 < found.explanation["duration_ns"] <= found.duration_ns
    assert counts(trail, "made", "failed", "slow") == (1, 0, 0)


def test_inline_of_several_classes_with_reasons(trail):
    forest = RandomForestClassifier(10, random_state=7).fit(X, np.digitize(X[:, 0], [0.3, 0.6]))
    model = trail.model("m", "1", forest, git=None, reasons={(name, "-"): f"{name} is against it" for name in NAMES})
    model.explain_with(shap.TreeExplainer(forest), of=2, space="probability", limit_s=60)
    least = X[:, 0].argmin()
    model.wrap(forest, features=NAMES).predict_proba(X[least : least + 1])
    (found,) = decisions(trail)
    against = sorted((value, name) for name, value in found.explanation["attributions"].items() if value < 0)
    assert [reason["text"] for reason in found.reasons] == [f"{name} is against it" for _, name in against] != []
    # The class is a place; the wrapped model's outputs are named by it.
    assert found.explanation["residual"] == pytest.approx(0.0, abs=1e-9)


def test_inline_in_a_block_and_by_hand(trail, model):
    model.explain_with(own, limit_s=60)
    with model.decision(inputs={"age": 3}) as d:
        d.outputs = {"y": 1}
    with model.decision(inputs={"age": 3}) as given:
        given.explanation = {"method": "by hand", "attributions": {"age": 1.0}}
    with pytest.raises(KeyError), model.decision(inputs={"age": 3}) as failed:
        raise KeyError
    by_record = model.record({"age": 3}, {"y": 1})
    assert [trail[id].explanation and trail[id].explanation["method"] for id in (d.id, given.id, failed.id, by_record)] == [
        "own", "by hand", None, "own",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "explainer",
    [
        lambda inputs: 1 / 0,
        lambda inputs: None,
        lambda inputs: "because",
        lambda inputs: {"method": "own"},
        lambda inputs: {"attributions": {"age": 1.0}},
        lambda inputs: own(inputs) | {"why": 1},
        lambda inputs: own(inputs) | {"seed": -1},
        lambda inputs: own(inputs) | {"space": "somewhere"},
        lambda inputs: own(inputs) | {"base": "low"},
        lambda inputs: own(inputs) | {"background": b"short"},
        lambda inputs: own(inputs) | {"parameters": {"model": object()}},
        lambda inputs: own(inputs) | {"library": "\ud800"},
        lambda inputs: {"method": "own", "attributions": {"age": "much"}},
        lambda inputs: {"method": "own", "attributions": (["age"], np.zeros((2, 2)))},
        lambda inputs: {"method": "own", "attributions": (["x"] * 100_000, np.zeros(100_000))},
        lambda inputs: np.zeros((1, 7)),
    ],
)
def test_an_explainer_that_fails_harms_no_decision(trail, model, explainer):
    model.explain_with(explainer, limit_s=60)
    function = model.wrap(lambda age: age + 1)
    with pytest.warns(minutebook.TrailWarning, match="recorded without explanation"):
        assert function(3) == 4
    function(4)
    found = decisions(trail)
    assert [(record.inputs, record.outputs, record.explanation) for record in found] == [
        ({"age": 3}, {"prediction": 4}, None), ({"age": 4}, {"prediction": 5}, None),
    ]  # fmt: skip
    assert counts(trail, "made", "failed", "on") == (0, 2, True)
    assert trail.status()["faults"] == {}


def test_a_slow_explainer_is_switched_off(trail, model):
    model.explain_with(own, limit_s=0.0)
    function = model.wrap(lambda age: age + 1)
    with pytest.warns(minutebook.TrailWarning, match="switched off") as warned:
        for age in range(8):
            assert function(age) == age + 1
    assert len(warned) == 1
    found = decisions(trail)
    # The slow ones are recorded: they are there.
    assert [record.explanation is not None for record in found] == [True] * 5 + [False] * 3
    assert counts(trail, "made", "slow", "skipped", "on") == (5, 5, 3, False)


def test_what_an_explainer_asks_of_the_model_is_no_decision(trail):
    estimator = LogisticRegression().fit(X, Y)
    model = trail.model("m", "1", estimator, git=None)
    wrapped = model.wrap(estimator, features=NAMES)
    model.explain_with(lambda row: {"method": "own", "attributions": {"age": float(wrapped.predict_proba(row)[0, 1])}}, takes="array", limit_s=60)
    wrapped.predict(X[:1])
    (found,) = decisions(trail)
    assert found.explanation["attributions"]["age"] > 0


def test_a_frame(trail, model):
    model.explain_with(lambda frame: {"method": "own", "attributions": frame.iloc[0].to_dict()}, takes="frame", limit_s=60)
    assert trail[model.record({"age": 3.0}, {"y": 1})].explanation["attributions"] == {"age": 3.0}


def test_it_comes_before_the_first_call(trail):
    estimator = LogisticRegression().fit(X, Y)
    model = trail.model("m", "1", estimator, git=None)
    model.wrap(estimator, features=NAMES).predict(X[:1])
    with pytest.raises(ValueError, match="before its first decision"):
        model.explain_with(own)


def test_kept(trail):
    forest = RandomForestClassifier(5, random_state=7).fit(X, Y)
    model = trail.model("m", "1", forest, git=None)
    model.explain_with(shap.TreeExplainer(forest), when="kept", of=1, space="probability")
    with minutebook.context(subject="applicant-7"):
        model.wrap(forest, features=NAMES).predict_proba(X[:1])
    (decision,) = decisions(trail)
    assert decision.explanation is None
    wait(lambda: counts(trail, "made") == (1,))
    trail.flush()
    (later,) = trail.records(kind="explanation")
    assert later.links == [decision.id]
    assert later.subject == "applicant-7"
    assert later.model == decision.model
    assert later.explanation["when"] == "later"
    assert later.explanation["residual"] == pytest.approx(0.0, abs=1e-9)


def test_a_full_queue_blocks_nobody(trail, model, monkeypatch):
    monkeypatch.setattr("minutebook._explain.explainer.EXPLAIN_QUEUE_MAX", 2)
    may_go, is_in = threading.Event(), threading.Event()

    def held(inputs):
        is_in.set()
        assert may_go.wait(30)
        return own(inputs)

    model.explain_with(held, when="kept")
    model.record({"age": 0}, {"y": 1})
    assert is_in.wait(30)
    before = time.monotonic()
    for age in range(1, 6):
        model.record({"age": age}, {"y": 1})
    assert time.monotonic() - before < 5
    # One is under way, two wait.
    assert counts(trail, "skipped") == (3,)
    may_go.set()
    wait(lambda: counts(trail, "made") == (3,))
    trail.flush()
    assert len(trail.records(kind="explanation")) == 3
    assert len(decisions(trail)) == 6


def test_the_worker_ends_for_want_of_work_and_comes_back(trail, model, monkeypatch):
    """It holds the trail: one that nobody uses any more would live as long as the process."""
    monkeypatch.setattr("minutebook._explain.explainer.EXPLAIN_IDLE_S", 0.01)
    model.explain_with(own, when="kept")
    for age in range(3):
        model.record({"age": age}, {"y": 1})
        wait(lambda: counts(trail, "made") == (age + 1,))
        wait(lambda: not any(thread.name == "minutebook-explain" for thread in threading.enumerate()))


def test_what_waits_is_explained_before_the_end(folder):
    with minutebook.open(folder, service="tests") as trail:
        model = trail.model("m", "1", git=None)
        model.explain_with(own, when="kept")
        for age in range(20):
            model.record({"age": age}, {"y": 1})
    again = minutebook.open(folder, service="tests")
    again.flush()
    assert len(again.records(kind="explanation")) == 20


def test_an_explainer_that_hangs_does_not_hold_up_the_end(folder, monkeypatch):
    monkeypatch.setattr("minutebook._explain.explainer.EXPLAIN_CLOSE_S", 0.1)
    may_go = threading.Event()
    trail = minutebook.open(folder, service="tests")
    model = trail.model("m", "1", git=None)
    model.explain_with(lambda inputs: may_go.wait(30) and own(inputs), when="kept")
    for age in range(3):
        model.record({"age": age}, {"y": 1})
    before = time.monotonic()
    trail.close()
    assert time.monotonic() - before < 10
    assert counts(trail, "skipped") >= (2,)
    may_go.set()


def test_on_demand(trail):
    forest = RandomForestClassifier(5, random_state=7).fit(X, Y)
    model = trail.model("m", "1", forest, git=None)
    wrapped = model.wrap(forest, features=NAMES)
    wrapped.predict_proba(X[:3])
    model.explain_with(shap.TreeExplainer(forest), when="on_demand", of=1, space="probability")
    decision = decisions(trail)[1]
    later = trail[decision.explain()]
    assert (later.kind, later.links, later.explanation["when"]) == ("explanation", [decision.id], "later")
    assert later.explanation["attributions"] == pytest.approx(dict(zip(NAMES, shap.TreeExplainer(forest)(X[1:2]).values[0, :, 1].tolist())))
    assert later.explanation["residual"] == pytest.approx(0.0, abs=1e-9)
    assert later.verify()
    with pytest.raises(minutebook.TrailError, match="of kind `explanation`"):
        later.explain()


def test_on_demand_only_by_the_model_that_decided(trail):
    forest = RandomForestClassifier(5, random_state=7).fit(X, Y)
    trail.model("m", "1", forest, git=None).wrap(forest, features=NAMES).predict_proba(X[:1])
    (decision,) = decisions(trail)
    with pytest.raises(minutebook.TrailError, match="no explainer in this process"):
        decision.explain()
    other = RandomForestClassifier(5, random_state=8).fit(X, Y)
    trail.model("m", "1", other, git=None).explain_with(shap.TreeExplainer(other), when="on_demand")
    with pytest.raises(minutebook.TrailError, match="load the one that decided"):
        decision.explain()
    without = trail.model("n", "1", git=None)
    without.explain_with(own, when="on_demand")
    with pytest.raises(minutebook.TrailError, match="digest unknown"):
        trail[without.record({"age": 3}, {"y": 1})].explain()


@pytest.mark.parametrize(
    ("given", "says"),
    [({"when": "never"}, "`when`"), ({"takes": "bytes"}, "`takes`"), ({"explainer": 7}, "cannot be called")],
)
def test_what_is_no_explainer(model, given, says):
    with pytest.raises((TypeError, ValueError), match=says):
        model.explain_with(**{"explainer": own} | given)
