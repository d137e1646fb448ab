"""That nothing of what is redacted leaves the process, by whichever way it came in: not in records, files, warnings, errors or statuses.

A canary is recorded by every way there is, then looked for everywhere.
"""

import asyncio
import contextlib
import json
import logging
import traceback
import urllib.parse
import warnings
from pathlib import Path

import minutebook
import numpy as np
import openai
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import decisions, stop, wait
from fastapi import FastAPI
from fastapi.testclient import TestClient
from minutebook import bucket, drop, keyed_hash, truncate
from minutebook.asgi import Middleware
from sklearn.linear_model import LogisticRegression
from test_openai import server  # noqa: F401  a fixture

TEXT = "CANARY-DE89370400440532013000"
NUMBER = 271828.182845
SECRET = b"CANARY-0123456789abcdef"
# As they would be found: in JSON, in CBOR, cut, and as the bytes of numbers in records and in tensors.
SEEN = [
    TEXT.encode(), TEXT[3:].encode(), b"DE89", b"271828.1", SECRET, NUMBER.hex().encode(),
    *(np.array(NUMBER, dtype=kind).tobytes()[::order] for kind in (">f8", ">f4") for order in (1, -1)),
]  # fmt: skip
HASH = keyed_hash(SECRET)
REDACT = {
    "inputs.dropped": drop(), "inputs.hashed": HASH, "inputs.cut": truncate(3), "inputs.misfit": bucket(10),
    "inputs.amount": bucket(1e6), "inputs.number": drop(), "outputs.answer": HASH, "outputs.score": bucket(edges=[0.0]),
    "outputs.probability_1": drop(), "outputs.prediction": truncate(1), "params.secret": drop(), "tags.customer": HASH,
    "environment.host": drop(),
}  # fmt: skip


def inputs(**more):
    return {
        "dropped": TEXT, "hashed": TEXT, "cut": TEXT, "misfit": TEXT, "amount": NUMBER, "number": NUMBER, "plain": 1.5, **more,
    }  # fmt: skip


OUTPUTS = {"answer": TEXT, "score": NUMBER}


@pytest.fixture
def told(trail):
    """What the process says meanwhile; it holds no canary at the end, and neither does anything that is stored."""
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(handler.format(record))
    logging.getLogger().addHandler(handler)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield said
            said += [str(one.message) for one in warned]
    finally:
        logging.getLogger().removeHandler(handler)
    trail.flush()
    records = trail.records(limit=10_000)
    said.append(json.dumps(trail.status(), default=str))
    for record in records:
        said += [json.dumps(record._told), record.show(), record.receipt(), repr(record), record._repr_html_(), repr(record.fields)]
    assert trail.verify()
    trail.close()
    stop(trail.folder)
    for place, text in enumerate(said):
        assert_clean(text.encode(), f"what was said at {place}: {text}")
    # The trail's folder, and beside it the keys.
    for file in Path(trail.folder).parent.rglob("*"):
        # The engine may still be about to go, and to take files with it.
        with contextlib.suppress(FileNotFoundError):
            if file.is_file():
                assert_clean(file.read_bytes(), str(file))


def assert_clean(content, where):
    content += b"\n" + urllib.parse.unquote_to_bytes(content)
    for canary in SEEN:
        assert canary not in content, f"{canary!r} in {where}"


def model_of(trail, **more):
    given = {"params": {"secret": TEXT, "limit": 1}, "tags": {"customer": TEXT}, "environment": {"host": TEXT}, "redact": REDACT}
    return trail.model("credit", "1", b"model", git=None, **given | more)


def test_the_canary_is_found_where_it_is_not_redacted(trail):
    """Else the tests below would prove nothing."""
    trail.model("credit", "1", git=None).record(inputs(), OUTPUTS)
    (record,) = decisions(trail)
    for text in (json.dumps(record._told), record.show()):
        with pytest.raises(AssertionError):
            assert_clean(text.encode(), "")


def test_by_hand(trail, told):
    model = model_of(trail)
    model.record(inputs(), OUTPUTS, tags={"customer": TEXT}, params={"secret": TEXT})
    with model.decision(inputs=inputs(), subject="a-7") as decision:
        decision.outputs = OUTPUTS
    with minutebook.context(tags={"customer": TEXT}):
        model.record(pd.Series(inputs()), OUTPUTS)

    async def later():
        async with model.decision(inputs=inputs()) as decision:
            await asyncio.sleep(0)
            decision.outputs = OUTPUTS

    asyncio.run(later())
    with pytest.raises(RuntimeError), model.decision(inputs=inputs()):
        raise RuntimeError(TEXT)
    found = decisions(trail)
    assert len(found) == 5
    for record in found:
        assert record.inputs["hashed"].hex() == HASH.of(TEXT)
        assert (record.inputs["cut"], record.inputs["amount"], record.inputs["plain"]) == ("CAN", 0.0, 1.5)


@pytest.mark.parametrize("made", [dict, pd.DataFrame, pl.DataFrame, pa.table])
def test_batches(trail, told, made):
    model = model_of(trail)
    columns = {name: [value] * 3 for name, value in inputs().items()}
    outputs = {name: [value] * 3 for name, value in OUTPUTS.items()}
    assert len(model.record_batch(made(columns), made(outputs), tags={"customer": TEXT})) == 3
    assert len(model.record_batch({name: np.array(value) for name, value in columns.items()})) == 3
    assert {record.inputs["hashed"].hex() for record in decisions(trail)} == {HASH.of(TEXT)}


def estimator():
    class Estimator:
        classes_ = [0, 1]
        feature_names_in_ = list(inputs())

        def predict(self, X):
            if len(X) == 7:
                raise ValueError(TEXT)
            return np.array([TEXT] * len(X))

        def predict_proba(self, X):
            return np.array([[0.5, NUMBER]] * len(X))

    return Estimator()


def test_a_wrapped_estimator(trail, told):
    wrapped = model_of(trail).wrap(estimator())
    row = np.array([list(inputs().values())], dtype=object)
    for table in (row, np.repeat(row, 3, axis=0), pd.DataFrame([inputs()]), pd.DataFrame([inputs()] * 3)):
        wrapped.predict(table)
        assert wrapped.predict_proba(table)[0, 1] == NUMBER
    for table in (np.repeat(row, 7, axis=0), pd.DataFrame([inputs()] * 7)):
        with pytest.raises(ValueError, match="CANARY"):
            wrapped.predict(table)
    found = decisions(trail)
    assert len(found) == 2 * (1 + 3 + 1 + 3) + 14
    assert {record.status for record in found} == {"ok", "ValueError"}


def test_a_row_of_numbers(trail, told):
    """Which goes the way without Python when nothing is redacted."""
    names = ["amount", "number", "plain"]
    fitted = LogisticRegression().fit([[0, 0, 0], [1, 1, 1]], [0, 1])
    model = model_of(trail, redact=REDACT | {"outputs.probability_0": drop()})
    wrapped = model.wrap(fitted, features=names)
    for kind in ("float64", "float32", "int64"):
        for rows in (1, 4):
            wrapped.predict_proba(np.array([[NUMBER, NUMBER, 2]] * rows).astype(kind))
    for record in decisions(trail):
        assert record.inputs == {"amount": 0.0, "number": None, "plain": 2}
        assert record.outputs == {"probability_0": None, "probability_1": None}


def test_functions(trail, told):
    model = model_of(trail)

    @model.wrap
    def decide(dropped, hashed, cut, misfit, amount, number, plain):
        if plain == 2:
            raise KeyError(TEXT)
        return OUTPUTS

    @model.wrap
    async def decide_later(**given):
        if given["plain"] == 2:
            raise KeyError(TEXT)
        return OUTPUTS

    decide(**inputs())
    asyncio.run(decide_later(**inputs()))
    for call in (lambda: decide(**inputs(plain=2)), lambda: asyncio.run(decide_later(**inputs(plain=2)))):
        with pytest.raises(KeyError):
            call()
    assert len(decisions(trail)) == 4


def test_requests(trail, told):
    model = model_of(trail)
    app = FastAPI()
    app.add_middleware(Middleware, ids_header="decision-ids")

    @app.get("/decide")
    async def decide(iban: str):
        model.record(inputs(hashed=iban), OUTPUTS)
        return {}

    answer = TestClient(app).get(f"/decide?iban={TEXT}")
    assert trail[answer.headers["decision-ids"]].inputs["hashed"].hex() == HASH.of(TEXT)


def test_language_models(trail, told, server):  # noqa: F811
    rules = {"inputs.messages": HASH, "outputs.content": drop(), "outputs.tool_calls": drop(), "params.user": drop()}
    client = model_of(trail, redact=REDACT | rules).wrap(openai.OpenAI(base_url=server, api_key=TEXT))
    messages = [{"role": "user", "content": TEXT}]
    client.chat.completions.create(model="m", messages=messages, user=TEXT)
    for _ in client.chat.completions.create(model="m", messages=messages, user=TEXT, stream=True):
        pass
    for record in decisions(trail):
        assert record.inputs["messages"].hex() == HASH.of(messages)
        assert record.redacted["outputs", "content"] == record.redacted["params", "user"] == "left out at the source"


class Odd(dict):
    """A mapping that fails with what it holds."""

    def items(self):
        raise ValueError(TEXT)

    keys = __iter__ = items


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_faults(folder, trail, told, on_error):
    """What a caller's code raises while a decision is read says nothing of what it read."""
    with minutebook.open(folder, service="faults", on_error=on_error) as other:
        model = model_of(other)

        def fails(*_, **__):
            raise ValueError(f"could not convert string to float: {TEXT!r}")

        def attempt(call):
            try:
                call()
            except Exception as error:
                # As the program would print it.
                told.append("".join(traceback.format_exception(error)).replace("TEXT", ""))

        attempt(lambda: model.wrap(lambda a: a, inputs=fails)(1))
        attempt(lambda: model.wrap(lambda a: a, outputs=fails)(1))
        attempt(lambda: model.record(inputs(hashed=Odd(a=1), cut=Odd(a=1)), OUTPUTS))
        attempt(lambda: model.record(inputs(plain=object()), OUTPUTS))
        attempt(lambda: model.record(inputs(), {"answer": {TEXT: object()}}))
        attempt(lambda: model.record_batch({"hashed": [Odd(a=1)], "cut": [TEXT], "plain": [object()]}))
        attempt(lambda: model.record_batch({"hashed": [TEXT, {TEXT: object()}], "cut": [TEXT, 1]}))
        told.append(repr(other.status()))
        assert other.status()["faults"]["value"] >= 4
        assert other.status()["faults"]["redaction"] >= 4


def shap_of(names, value=NUMBER):
    return {"method": "shap", "base": 0.5, "residual": 0.25, "of": TEXT, "parameters": {"row": TEXT}, "attributions": dict.fromkeys(names, value)}


EXPLANATIONS = {
    "a redacted input": shap_of(["amount", "plain"]),
    "terms of LIME": {"method": "lime", "attributions": ([f"amount <= {NUMBER}", "plain > 1"], np.array([1.0, 2.0]))},
    "terms of inputs that are whole": {"method": "lime", "attributions": {"plain <= 2": 0.5}},
    "an array": {"method": "captum", "attributions": (list(inputs()), np.full(7, NUMBER))},
    "what betrays in lists": {
        "method": "own", "attributions": {"plain": 0.5}, "counterfactuals": [{"plain": 2.0, "amount": NUMBER}],
        "reasons": [{"features": ["amount"], "attribution": NUMBER, "text": TEXT}],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_explanations(trail, told, name):
    model = model_of(trail)
    given = EXPLANATIONS[name]
    model.record(inputs(), {"approve": True}, explanation=given)
    with model.decision(inputs=inputs()) as decision:
        decision.outputs, decision.explanation = {"approve": True}, given
    later = model_of(trail)
    later.explain_with(lambda row: given, "kept")
    later.record(inputs(), {"approve": True})
    wait(lambda: trail.status()["explainers"]["credit 1"]["made"] == 1)
    found = [*decisions(trail)[:2], *trail.records(kind="explanation")]
    assert len(found) == 3
    for record in found:
        is_kept = name == "what betrays in lists"
        assert (("explanation", "attributions") in record.redacted) != is_kept
        assert record.explanation["method"] == given["method"]
        assert set(record.explanation) <= {"method", "library", "when", "duration_ns", *(["attributions"] if is_kept else [])}
        assert record.reasons == record.counterfactuals == []
        if is_kept:
            assert {("explanation", "reasons"), ("explanation", "counterfactuals")} <= set(record.redacted)


@pytest.mark.parametrize("when", ["inline", "kept"])
def test_explanations_of_rows_and_of_what_is_awaited(trail, told, when):
    model = trail.model("credit", "1", b"model", git=None, redact=REDACT)
    model.explain_with(lambda row: shap_of(row), when, limit_s=60)
    model.record_batch(pd.DataFrame([inputs()] * 3))
    model.wrap(estimator()).predict(pd.DataFrame([inputs()] * 2))

    @model.wrap
    async def decide(**given):
        return {"approve": True}

    async def by_hand():
        async with model.decision(inputs=inputs()) as decision:
            decision.outputs = {"approve": True}

    asyncio.run(decide(**inputs()))
    asyncio.run(by_hand())
    wait(lambda: trail.status()["explainers"]["credit 1"]["made"] == 7)
    explained = [record for record in [*decisions(trail), *trail.records(kind="explanation")] if record.explanation]
    assert len(explained) == 7
    assert all(set(record.explanation) <= {"method", "when", "duration_ns", "library"} for record in explained)


def test_an_explanation_adds_up_to_a_redacted_output(trail, told):
    model_of(trail).record({"plain": 1.0}, {"score": NUMBER}, explanation=shap_of(["plain"]))
    (record,) = decisions(trail)
    assert set(record.explanation) == {"method", "library"}


def test_an_explanation_of_what_is_whole_stays(trail, told):
    given = {
        "method": "shap", "base": 0.5, "attributions": {"plain": 0.5, "other": 0.25},
        "reasons": [{"features": ["plain"], "attribution": 0.5, "text": None}], "counterfactuals": [{"plain": 2.0, "approve": False}],
    }  # fmt: skip
    model_of(trail).record(inputs(other=1), {"approve": True}, explanation=given)
    (record,) = decisions(trail)
    assert record.explanation["attributions"] == given["attributions"]
    assert record.counterfactuals == given["counterfactuals"]
    assert [reason["features"] for reason in record.reasons] == [["plain"]]


def test_explainers_that_fail_say_nothing(trail, told):
    def fails(row):
        assert row["dropped"] == TEXT, "the explainer sees what the model saw"
        raise ValueError(TEXT)

    for when in ("inline", "kept"):
        model = trail.model(when, "1", b"model", git=None, redact=REDACT)
        model.explain_with(fails, when)
        model.record(inputs(), OUTPUTS)
        wait(lambda: trail.status()["explainers"][f"{when} 1"]["failed"] == 1)


def test_what_was_redacted_is_not_explained_later(trail, told):
    model = model_of(trail)
    model.explain_with(lambda row: shap_of(row), "on_demand")
    id = model.record(inputs(), OUTPUTS)
    with pytest.raises(minutebook.TrailError, match="redacted at the source"):
        trail.explain(id)


def test_values_of_the_caller_stay_as_they_are(trail):
    model = model_of(trail, redact={path: rule for path, rule in REDACT.items() if path != "inputs.misfit"})
    given, answered, tags = inputs(), dict(OUTPUTS), {"customer": TEXT}
    explanation = shap_of(["amount"])
    frame = pd.DataFrame([given])
    before = [dict(given), dict(answered), dict(tags), {**explanation}, frame.copy()]
    model.record(given, answered, tags=tags, explanation=explanation)
    model.record_batch(frame)
    assert [given, answered, tags, explanation] == before[:4]
    pd.testing.assert_frame_equal(frame, before[4])
    with contextlib.suppress(KeyError):
        assert given["hashed"] == TEXT
