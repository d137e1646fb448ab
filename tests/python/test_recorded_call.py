"""Calls with one row of an array are recorded without Python on the way, and say the same as those that go the long way."""

import gc
import inspect
import threading
import weakref

import minutebook
import numpy as np
import pytest
from conftest import decisions

NAMES = ["a", "b", "c"]


class Answers:
    """A model that gives what it is told to."""

    def __init__(self, answer):
        self.answer = answer
        self.seen = None

    def predict(self, X):
        """Answers."""
        self.seen = X
        return self.answer(X) if callable(self.answer) else self.answer


def contents(trail, record):
    """What two records of one call have in common, with the types of all values."""
    said = {name: record.fields.get(name) for name in ("inputs", "outputs", "subject", "actor", "status", "model")}
    schema = trail._engine.ask_json("GET", f"/v1/records/{record.id}?types=true")["schema"]
    return repr((said, [field for field in schema if field[0] != ["tags"]]))


@pytest.mark.parametrize("kind", ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?", "q", "Q", ">f8", ">i4"])
@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 2)])
def test_both_ways_say_the_same(trail, model, kind, shape):
    row = np.array([[0, 1, 1]]).astype(kind)
    if kind[-2:] in ("f8", "f4", "f2"):
        row[0] = [np.nan, -0.0, 0.1]
    elif kind[0] in "iu":
        info = np.iinfo(kind)
        row[0] = [info.min, info.max, 7]
    wrapped = model.wrap(Answers(row.reshape(-1)[: np.prod(shape)].reshape(shape)), features=NAMES)
    wrapped.predict(row)
    with minutebook.context(tags={"this": "goes the long way"}):
        wrapped.predict(row)
    short, long = decisions(trail)
    assert contents(trail, short) == contents(trail, long)
    assert long.fields["tags"] and "tags" not in short.fields


@pytest.mark.parametrize(
    "answer",
    [
        np.array(["yes"]),
        np.array([["yes", "no"]], dtype=object),
        np.array([np.datetime64("2026-03-01")]),
        [np.array([[0.5, 0.5]]), np.array([[0.1, 0.2, 0.7]])],
        [0.5],
        0.5,
    ],
    ids=repr,
)
def test_answers_of_other_kinds(trail, model, answer):
    wrapped = model.wrap(Answers(answer), features=NAMES)
    for _ in range(2):
        wrapped.predict(np.zeros((1, 3)))
    with minutebook.context(tags={"this": "goes the long way"}):
        wrapped.predict(np.zeros((1, 3)))
    first, second, long = decisions(trail)
    assert contents(trail, first) == contents(trail, second) == contents(trail, long)


def test_arrays_of_any_stride(trail, model):
    wrapped = model.wrap(Answers(np.array([1])), features=NAMES)
    table = np.arange(24.0).reshape(4, 6)
    for row in (table[2:3, ::2], table[2:3, ::-2], np.asfortranarray(table)[2:3, 1::2], table.T[2:3, :3]):
        wrapped.predict(row)
        assert list(decisions(trail)[-1].inputs.values()) == row[0].tolist()


def test_what_the_model_saw_and_not_what_it_made_of_it(trail, model):
    def in_place(X):
        X *= 2
        return X[:, 0]

    wrapped = model.wrap(Answers(in_place), features=NAMES)
    assert wrapped.predict(np.array([[1.0, 2.0, 3.0]])) == [2.0]
    (record,) = decisions(trail)
    assert (record.inputs, record.outputs) == ({"a": 1.0, "b": 2.0, "c": 3.0}, {"prediction": 2.0})


def test_what_is_around(trail, model):
    wrapped = model.wrap(Answers(np.array([1])), features=NAMES)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with minutebook.context(subject="applicant-7", actor="branch-12", trace=trace):
        wrapped.predict(np.zeros((1, 3)))
    with minutebook.context(subject=["one", "two"]):
        wrapped.predict(X=np.zeros((1, 3)))
    wrapped.predict(np.zeros((1, 3)))
    first, second, third = decisions(trail)
    assert (first.subject, first.fields["actor"]) == ("applicant-7", "branch-12")
    assert first.fields["trace"] == "0af7651916cd43dd8448eb211c80319c"
    assert second.subject == ["one", "two"]
    assert third.subject is None


def test_an_exception(trail, model):
    def fails(X):
        raise KeyError("no such branch")

    wrapped = model.wrap(Answers(fails), features=NAMES)
    with pytest.raises(KeyError, match="no such branch"):
        wrapped.predict(np.zeros((1, 3)))
    (record,) = decisions(trail)
    assert record.status == "KeyError"
    assert (record.inputs, record.outputs) == ({"a": 0.0, "b": 0.0, "c": 0.0}, {})


def test_a_model_that_asks_itself_decides_once(trail, model):
    thing = Answers(None)
    wrapped = model.wrap(thing, features=NAMES)
    thing.answer = lambda X: wrapped.predict(X) if X[0, 0] == 0 and X.fill(1) is None else np.array([2.0])
    assert wrapped.predict(np.zeros((1, 3))) == [2.0]
    assert len(decisions(trail)) == 1


def test_an_answer_that_no_record_takes(folder):
    with minutebook.open(folder, service="tests") as trail:
        answer = object()
        wrapped = trail.model("m", "1", git=None).wrap(Answers(answer), features=NAMES)
        with pytest.warns(minutebook.TrailWarning, match="has no place in a record|a table is asked for"):
            assert wrapped.predict(np.zeros((1, 3))) is answer
        assert decisions(trail) == []
        report = trail.verify()
        (account,) = [one for one in report["accounts"] if one["class"] == "standard"]
        assert account["lost"] == {"lost: dropped by the caller": 1}


def test_a_closed_trail_harms_no_prediction(folder):
    trail = minutebook.open(folder, service="tests")
    wrapped = trail.model("m", "1", git=None).wrap(Answers(np.array([1])), features=NAMES)
    trail.close()
    with pytest.warns(minutebook.TrailWarning):
        assert wrapped.predict(np.zeros((1, 3))) == [1]


def test_threads(trail, model):
    wrapped = model.wrap(Answers(lambda X: X[:, 0]), features=NAMES)

    def decide(thread):
        for n in range(200):
            wrapped.predict(np.full((1, 3), 1000.0 * thread + n, dtype="f4" if n % 2 else "f8"))

    threads = [threading.Thread(target=decide, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = decisions(trail)
    assert sorted(record.inputs["a"] for record in found) == sorted(1000.0 * thread + n for thread in range(4) for n in range(200))
    assert all(record.outputs == {"prediction": record.inputs["a"]} for record in found)


def test_it_looks_like_the_method_and_is_collected_with_it(model):
    thing = Answers(np.array([1]))
    wrapped = model.wrap(thing, features=NAMES)
    assert inspect.signature(wrapped.predict) == inspect.signature(thing.predict)
    assert (wrapped.predict.__name__, wrapped.predict.__doc__) == ("predict", "Answers.")
    gone = weakref.ref(thing)
    del thing, wrapped
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize(
    "scalar",
    ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool_", "longlong", "ulonglong"],
)
def test_scalars_of_numpy(trail, model, scalar):
    kind = getattr(np, scalar)
    values = [kind(0), kind(1), kind(7)]
    if np.issubdtype(kind, np.integer):
        values += [np.iinfo(kind).min, np.iinfo(kind).max]
    elif np.issubdtype(kind, np.floating):
        values += [np.finfo(kind).max, np.finfo(kind).tiny, kind(0.1), kind("nan"), kind("inf"), kind("-0.0")]
    for value in values:
        model.record({"x": kind(value)})
    found = decisions(trail)
    # The first of them finds the type out, the others are written by it.
    assert [repr(record.inputs["x"]) for record in found] == [repr(kind(value).item()) for value in values]
    types = {str(trail._engine.ask_json("GET", f"/v1/records/{record.id}?types=true")["schema"]) for record in found}
    assert len(types) == 1
