"""Explainers for rows of a batch and for what is awaited: they harm neither decisions nor other tasks."""

import asyncio
import threading
import time

import lime.lime_tabular
import lime.lime_text
import minutebook
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import shap
import xgboost
from conftest import decisions, wait
from minutebook._explain import batch
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_explain_with import NAMES, X, Y, counts, own


def explanations(trail):
    """By the decision that each is about."""
    trail.flush()
    return {record.links[0]: record for record in trail.records(kind="explanation", limit=10_000)}


def test_rows_of_a_call_inline(trail):
    booster = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(X, Y)
    model = trail.model("m", "1", booster, git=None, reasons={("age", "-"): "too young", ("debt", "-"): "too much debt"})
    model.explain_with(shap.TreeExplainer(booster), space="log-odds", background=X, limit_s=60)
    with minutebook.context(subject="applicant-7"):
        answered = model.wrap(booster, features=NAMES).predict_proba(X[:4])
    assert answered.tolist() == booster.predict_proba(X[:4]).tolist()
    margins = booster.predict(X[:4], output_margin=True)
    found = explanations(trail)
    assert len(found) == 4
    for row, decision in enumerate(decisions(trail)):
        assert (decision.explanation, decision.fields["batch"]["row"]) == (None, row)
        explained = found[decision.id]
        attributions = explained.explanation["attributions"]
        assert list(attributions) == NAMES
        assert explained.explanation["base"] + sum(attributions.values()) == pytest.approx(margins[row], abs=1e-5)
        assert (explained.explanation.get("when", "inline"), explained.subject, explained.model) == ("inline", "applicant-7", decision.model)
        assert {reason["text"] for reason in explained.reasons if reason["text"]} <= {"too young", "too much debt"}
        assert explained.reasons or not [value for value in attributions.values() if value < 0]
    assert counts(trail, "made", "failed", "skipped") == (4, 0, 0)


def test_rows_of_several_classes_behind_the_call(trail):
    iris = load_iris(as_frame=True)
    forest = RandomForestClassifier(10, random_state=7).fit(iris.data, iris.target)
    model = trail.model("iris", "1", forest, git=None)
    model.explain_with(shap.TreeExplainer(forest), when="kept", space="probability")
    model.wrap(forest).predict_proba(iris.data[::50])
    wait(lambda: counts(trail, "made") == (3,))
    found = explanations(trail)
    for decision in decisions(trail):
        explained = found[decision.id].explanation
        assert list(explained["attributions"]) == list(iris.data.columns)
        assert explained["when"] == "later"
        assert explained["residual"] == pytest.approx([0.0] * 3, abs=1e-9)


def test_lime_of_rows_of_a_table(trail):
    forest = RandomForestClassifier(10, random_state=7).fit(X, Y)
    near = lime.lime_tabular.LimeTabularExplainer(X, feature_names=NAMES, class_names=["no", "yes"], random_state=7)
    model = trail.model("m", "1", forest, git=None)
    wrapped = model.wrap(forest, features=NAMES)
    model.explain_with(lambda row: near.explain_instance(row[0], wrapped.predict_proba, num_samples=200), takes="array", of="yes", limit_s=60)
    answered = wrapped.predict_proba(X[:2])
    found = explanations(trail)
    assert len(found) == 2
    # What LIME asks of the model is no decision.
    for row, decision in enumerate(decisions(trail)):
        explained = found[decision.id].explanation
        assert (explained["method"], explained["class"], explained["space"]) == ("lime", "yes", "probability")
        assert 0 <= explained["parameters"]["local_r2"] <= 1
        assert explained["base"] + sum(explained["attributions"].values()) - explained["residual"] == pytest.approx(answered[row, 1])
    assert len(decisions(trail)) == 2


def test_lime_of_texts_behind_the_call(trail, model):
    texts = ["free money now", "meeting at noon", "win money free", "lunch at noon"] * 5
    spam = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [1, 0, 1, 0] * 5)
    near = lime.lime_text.LimeTextExplainer(class_names=["ham", "spam"], random_state=7)
    model.explain_with(lambda inputs: near.explain_instance(inputs["text"], spam.predict_proba, num_samples=200), when="kept", of="spam")
    ids = model.record_batch({"text": ["free lunch", "money money"]}, {"spam": spam.predict_proba(["free lunch", "money money"])[:, 1]})
    wait(lambda: counts(trail, "made") == (2,))
    found = explanations(trail)
    attributions = found[ids[0]].explanation["attributions"]
    assert attributions["free"] > 0 > attributions["lunch"]
    assert found[ids[1]].explanation["attributions"]["money"] > 0


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"age": [30, 40], "name": ["a", None], "income": [1.5, 2.5]}),
        pl.DataFrame({"age": [30, 40], "name": ["a", None], "income": [1.5, 2.5]}),
        pa.table({"age": [30, 40], "name": ["a", None], "income": [1.5, 2.5]}),
        {"age": np.array([30, 40]), "name": ["a", None], "income": np.array([1.5, 2.5])},
        [{"age": 30, "name": "a", "income": 1.5}, {"age": 40, "name": None, "income": 2.5}],
    ],
    ids=["pandas", "polars", "arrow", "columns", "rows"],
)
@pytest.mark.parametrize("when", ["inline", "kept"])
def test_a_batch_by_hand(trail, model, table, when):
    asked = []

    def explainer(inputs):
        asked.append(inputs)
        return {"method": "own", "attributions": {"age": float(inputs["age"]), "income": inputs["income"]}}

    model.explain_with(explainer, when=when, limit_s=60)
    ids = model.record_batch(table, [0.25, 0.75], subject=["jane", "joe"])
    wait(lambda: counts(trail, "made") == (2,))
    assert asked == [{"age": 30, "name": "a", "income": 1.5}, {"age": 40, "name": None, "income": 2.5}]
    assert [type(value) for value in asked[0].values()] == [int, str, float]
    found = explanations(trail)
    assert [found[id].explanation["attributions"] for id in ids] == [{"age": 30.0, "income": 1.5}, {"age": 40.0, "income": 2.5}]
    assert [found[id].subject for id in ids] == ["jane", "joe"]


@pytest.mark.parametrize("when", ["inline", "kept"])
def test_an_explainer_that_fails_harms_no_row(trail, model, when):
    def fails_for_some(inputs):
        return 1 / 0 if inputs["age"] % 2 else own(inputs)

    model.explain_with(fails_for_some, when=when, limit_s=60)
    with pytest.warns(minutebook.TrailWarning, match="recorded without explanation: the explainer failed with ZeroDivisionError"):
        ids = model.record_batch({"age": np.arange(6)}, np.arange(6.0))
        wait(lambda: sum(counts(trail, "made", "failed")) == 6)
    assert counts(trail, "made", "failed") == (3, 3)
    assert [record.outputs["prediction"] for record in decisions(trail)] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert set(explanations(trail)) == set(ids[::2])
    assert trail.status()["faults"] == {}


def test_a_call_waits_no_longer_for_many_rows_than_for_one(trail, model):
    def slow(inputs):
        time.sleep(0.02)
        return own(inputs)

    model.explain_with(slow, limit_s=0.1)
    before = time.monotonic()
    ids = model.record_batch({"age": np.arange(500)}, np.arange(500.0))
    assert time.monotonic() - before < 5
    made, skipped, slow_ones = counts(trail, "made", "skipped", "slow")
    assert 1 <= made <= 6 and made + skipped == 500 and slow_ones == 0
    # The first rows are those that are explained.
    assert set(explanations(trail)) == set(ids[:made])
    assert len(decisions(trail)) == 500


def test_a_slow_explainer_is_switched_off_within_a_call(trail, model):
    model.explain_with(own, limit_s=0.0)
    model.record_batch({"age": np.arange(3)})
    assert counts(trail, "made", "skipped", "slow", "on") == (1, 2, 1, True)
    with pytest.warns(minutebook.TrailWarning, match="switched off"):
        for _ in range(5):
            model.record_batch({"age": np.arange(3)})
    assert counts(trail, "made", "skipped", "slow", "on") == (5, 13, 5, False)


def test_more_rows_than_can_wait(trail, model, monkeypatch):
    monkeypatch.setattr("minutebook._explain.explainer.EXPLAIN_QUEUE_MAX", 2)
    may_go, is_in = threading.Event(), threading.Event()

    def held(inputs):
        is_in.set()
        assert may_go.wait(30)
        return own(inputs)

    model.explain_with(held, when="kept")
    model.record({"age": 0})
    assert is_in.wait(30)
    read, row = [], batch._row
    monkeypatch.setattr("minutebook._explain.batch._row", lambda columns, place: read.append(place) or row(columns, place))
    ids = model.record_batch({"age": np.arange(1, 8)})
    assert counts(trail, "skipped") == (5,)
    # For the others not even their values are gathered.
    assert read == [0, 1]
    may_go.set()
    wait(lambda: counts(trail, "made") == (3,))
    assert set(ids[:2]) < set(explanations(trail))


@pytest.mark.parametrize("when", ["inline", "kept"])
def test_what_betrays_a_redacted_input_is_left_out(trail, when):
    """The explainer of a row sees what the model saw; its record goes by the rules of the model, as the row's own does."""
    model = trail.model("m", "1", git=None, redact={"inputs.income": minutebook.drop()})
    seen = []
    model.explain_with(lambda inputs: seen.append(inputs["income"]) or own(inputs), when=when, limit_s=60)
    ids = model.record_batch({"age": np.arange(3), "income": np.array([7001.5, 7002.5, 7003.5])})
    wait(lambda: counts(trail, "made") == (3,))
    assert seen == [7001.5, 7002.5, 7003.5]
    found = explanations(trail)
    assert set(found) == set(ids)
    for record in [*found.values(), *decisions(trail)]:
        assert "attributions" not in (record.explanation or {})
        assert "700" not in str(record.inputs)
    assert all(("explanation", "attributions") in record.redacted for record in found.values())


def test_a_batch_that_failed_is_not_explained(trail, model):
    model.explain_with(own, limit_s=60)
    model.record_batch({"age": np.arange(3)}, status="ValueError")
    assert counts(trail, "made", "skipped") == (0, 0)


def test_awaited_functions(trail, model):
    where = []

    def explainer(inputs):
        where.append(threading.current_thread())
        return {"method": "own", "attributions": {"n": float(inputs["n"])}}

    model.explain_with(explainer, limit_s=60)

    async def decide(n):
        await asyncio.sleep(0.001)
        return n

    async def main():
        with minutebook.context(subject="applicant-7"):
            return await asyncio.gather(*map(model.wrap(decide), range(5)))

    assert asyncio.run(main()) == list(range(5))
    found = decisions(trail)
    assert sorted(record.explanation["attributions"]["n"] for record in found) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert all(record.explanation["attributions"]["n"] == record.inputs["n"] for record in found)
    assert {record.subject for record in found} == {"applicant-7"}
    assert threading.main_thread() not in where
    assert counts(trail, "made", "failed") == (5, 0)


def test_awaited_functions_behind_the_call(trail, model):
    model.explain_with(own, when="kept")

    async def decide(n):
        return n

    assert asyncio.run(model.wrap(decide)(3)) == 3
    wait(lambda: counts(trail, "made") == (1,))
    (decision,) = decisions(trail)
    assert explanations(trail)[decision.id].explanation["attributions"] == {"n": 0.5}


def test_an_explainer_does_not_hold_up_other_tasks(trail, model):
    may_go = threading.Event()
    model.explain_with(lambda inputs: may_go.wait(30) and own(inputs), limit_s=60)

    async def decide(n):
        return n

    async def main():
        decided = asyncio.create_task(model.wrap(decide)(3))
        async with model.decision(inputs={"n": 4}) as block:
            block.outputs = {"y": 1}
            # This task goes on while the other's explainer is asked.
            await asyncio.sleep(0.05)
            assert not decided.done()
            may_go.set()
        return await decided

    assert asyncio.run(asyncio.wait_for(main(), 25)) == 3
    assert [record.explanation["method"] for record in decisions(trail)] == ["own", "own"]
    assert counts(trail, "made") == (2,)


@pytest.mark.parametrize("explainer", [lambda inputs: 1 / 0, lambda inputs: None])
def test_an_explainer_that_fails_harms_nothing_awaited(trail, model, explainer):
    asked = []
    model.explain_with(lambda inputs: asked.append(inputs) or explainer(inputs), limit_s=60)

    async def decide(n):
        return n

    async def main():
        async with model.decision(inputs={"n": 4}) as block:
            block.outputs = {"y": 1}
        with pytest.raises(LookupError):
            async with model.decision(inputs={"n": 5}):
                raise LookupError
        return await model.wrap(decide)(3)

    with pytest.warns(minutebook.TrailWarning, match="recorded without explanation"):
        assert asyncio.run(main()) == 3
    assert [(record.inputs["n"], record.explanation, record.status) for record in decisions(trail)] == [
        (4, None, "ok"), (5, None, "LookupError"), (3, None, "ok"),
    ]  # fmt: skip
    # Each once, and what failed itself not at all.
    assert (len(asked), counts(trail, "failed")) == (2, (2,))


def test_what_is_cancelled_while_it_is_explained_was_decided(trail, model):
    may_go, is_in = threading.Event(), threading.Event()

    def held(inputs):
        is_in.set()
        may_go.wait(30)
        return own(inputs)

    model.explain_with(held, limit_s=60)

    async def decide(n):
        return n

    async def block():
        async with model.decision(inputs={"n": 4}) as decision:
            decision.outputs = {"y": 1}

    async def main():
        for coroutine in (model.wrap(decide)(3), block()):
            is_in.clear()
            task = asyncio.create_task(coroutine)
            while not is_in.is_set():
                await asyncio.sleep(0.001)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        may_go.set()

    asyncio.run(main())
    assert [(record.inputs["n"], record.outputs, record.explanation, record.status) for record in decisions(trail)] == [
        (3, {"prediction": 3}, None, "ok"), (4, {"y": 1}, None, "ok"),
    ]  # fmt: skip
    assert trail.status()["producer"]["lost"] == 0
