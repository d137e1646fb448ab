"""Decisions by hand: one at a time, in blocks, in batches; whom they are about."""

import asyncio
import threading
import time

import minutebook
import numpy as np
import pytest
from conftest import decisions


def test_the_id_is_there_before_the_answer(trail, model):
    with model.decision(subject="applicant-7", inputs={"amount": 1.0}) as d:
        id = d.id
        d.outputs = {"approve": False}
    record = trail[id]
    assert record.inputs == {"amount": 1.0}
    assert record.outputs == {"approve": False}
    assert record.duration_ns > 0


def test_inputs_may_come_later(trail, model):
    with model.decision() as d:
        d.inputs = {"amount": 2.0}
        d.outputs = {"approve": True}
        d.subject, d.actor, d.tags, d.params = "applicant-8", "branch-1", {"a": 1}, {"threshold": 0.1}
    record = trail[d.id]
    assert (record.inputs, record.actor, record.tags, record.params) == ({"amount": 2.0}, "branch-1", {"a": 1}, {"threshold": 0.1})


class Refused(Exception):
    pass


@pytest.mark.parametrize("kind", [Refused, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exception_is_recorded_and_goes_on(trail, model, kind):
    error = kind("no")
    with pytest.raises(kind) as raised:
        with model.decision(inputs={"n": 1}) as d:
            raise error
    assert raised.value is error
    assert trail[d.id].status == kind.__name__


def test_asynchronously(trail, model):
    async def decide(n):
        async with model.decision(inputs={"n": n}) as d:
            await asyncio.sleep(0)
            d.outputs = {"n": n}
        return d.id

    async def every():
        return await asyncio.gather(*map(decide, range(20)))

    for n, id in enumerate(asyncio.run(every())):
        assert trail[id].outputs == {"n": n}


def test_context(trail, model):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with minutebook.context(subject="applicant-7", tags={"a": 1}, trace=trace):
        with minutebook.context(actor="branch-12", tags={"b": 2}):
            first = model.record({"n": 1})
            second = model.record({"n": 1}, subject="applicant-8", actor="branch-9", tags={"b": 3})
        third = model.record({"n": 1})
    fourth = model.record({"n": 1})
    record = trail[first]
    assert (record.actor, record.tags) == ("branch-12", {"a": 1, "b": 2})
    assert record.fields["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert record.fields["span"] == "00f067aa0ba902b7"
    assert "applicant-7" in record.subject
    record = trail[second]
    assert (record.actor, record.tags) == ("branch-9", {"a": 1, "b": 3})
    assert "applicant-8" in record.subject
    assert trail[third].actor is None
    assert trail[fourth].subject is None


def test_context_does_not_leak_between_tasks(trail, model):
    async def one(subject):
        with minutebook.context(subject=subject):
            await asyncio.sleep(0.01)
            return model.record({"n": 1})

    async def every():
        return await asyncio.gather(one("a"), one("b"))

    first, second = asyncio.run(every())
    assert "a" in trail[first].subject and "b" in trail[second].subject


@pytest.mark.parametrize("trace", ["", "zz", "00-00-00-00", "4bf92f3577b34da6a3ce929d0e0e473", b"short"])
def test_a_trace_that_is_none(trace):
    with pytest.raises(ValueError, match="trace"):
        minutebook.context(trace=trace)


def test_the_span_of_opentelemetry(trail, model):
    from opentelemetry.sdk.trace import TracerProvider

    with TracerProvider().get_tracer("tests").start_as_current_span("decide") as span:
        id = model.record({"n": 1})
        with minutebook.context(trace=bytes(15) + b"\1"):
            own = model.record({"n": 1})
    assert trail[id].fields["trace"] == f"{span.get_span_context().trace_id:032x}"
    assert trail[id].fields["span"] == f"{span.get_span_context().span_id:016x}"
    assert trail[own].fields["trace"] == f"{1:032x}"


def test_threads(trail, model):
    def work(thread):
        for n in range(500):
            model.record({"thread": thread, "n": n})

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {(record.inputs["thread"], record.inputs["n"]) for record in decisions(trail)}
    assert found == {(thread, n) for thread in range(4) for n in range(500)}


def test_a_time_of_its_own(trail, model):
    at = 1_700_000_000_123_456_789
    record = trail[model.record({"n": 1}, time_ns=at, duration_ns=81_000)]
    assert int(record.time.timestamp()) == at // 10**9
    assert record.time.microsecond == 123_456
    assert record.duration_ns == 81_000


def test_a_batch_is_a_decision_per_row(trail, model):
    inputs = {"a": np.array([1.5, 2.5, 3.5]), "b": np.array([1, 2, 3], dtype="uint8"), "c": ["x", None, "z"]}
    ids = model.record_batch(inputs, np.array([True, False, True]), subject=["p", "q", "r"])
    assert len(ids) == 3
    record = trail[ids[1]]
    assert record.inputs == {"a": 2.5, "b": 2, "c": None}
    assert record.outputs == {"prediction": False}
    assert "q" in record.subject
    assert record.fields["batch"]["row"] == 1 and record.fields["batch"]["rows"] == 3


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_batch_of_a_frame(trail, model, library):
    columns = {"age": [31, None, 52], "income": [1.5, 2.5, 3.5], "purpose": ["car", "tv", None]}
    if library == "pandas":
        import pandas as pd

        frame = pd.DataFrame({"age": pd.array(columns["age"], "Int64"), "income": columns["income"], "purpose": columns["purpose"]})
        frame["kind"] = pd.Categorical(["a", "b", "a"])
        frame["at"] = pd.to_datetime(["2026-01-01"] * 3, utc=True)
    elif library == "polars":
        import polars as pl

        frame = pl.DataFrame(columns).with_columns(pl.Series("kind", ["a", "b", "a"], pl.Categorical))
    else:
        import pyarrow as pa

        frame = pa.table(columns).append_column("kind", pa.array(["a", "b", "a"]).dictionary_encode())
    ids = model.record_batch(frame, {"approve": [True, True, False]})
    record = trail[ids[1]]
    assert record.inputs["age"] is None
    assert (record.inputs["income"], record.inputs["purpose"], record.inputs["kind"]) == (2.5, "tv", "b")
    assert trail[ids[2]].inputs["purpose"] is None
    assert record.outputs == {"approve": True}


def test_an_array_of_two_dimensions(trail, model):
    ids = model.record_batch(np.arange(6.0).reshape(2, 3), np.array([[0.1, 0.9], [0.2, 0.8]]))
    assert trail[ids[1]].inputs == {"x0": 3.0, "x1": 4.0, "x2": 5.0}


def test_rows_as_dicts(trail, model):
    ids = model.record_batch([{"a": 1, "b": "x"}, {"a": 2}], {"y": [1, 2]})
    assert trail[ids[1]].inputs == {"a": 2, "b": None}


def test_a_batch_is_fast(model):
    """No Python per row: 100,000 rows of 10 columns take a fraction of what a loop takes."""
    columns = {f"f{n}": np.random.default_rng(7).random(100_000) for n in range(10)}
    start = time.perf_counter()
    model.record_batch(columns)
    assert time.perf_counter() - start < 2.0


def test_a_row_of_pandas(trail, model):
    import pandas as pd

    row = pd.DataFrame({"a": [1.5], "b": ["x"]}).iloc[0]
    assert trail[model.record(row)].inputs == {"a": 1.5, "b": "x"}
