"""Counting decisions without a record of each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import minutebook
import numpy as np
import pyarrow as pa
import pytest

N = 10_000


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    return {
        "amount": random.lognormal(8, 1, N),
        "age": random.integers(18, 80, N).astype(np.int32),
        "rate": random.random(N).astype(np.float32),
        "member": random.random(N) < 0.25,
    }


def forms() -> list[Any]:
    numbers = columns()
    purposes = ["car" if n % 4 else "boat" for n in range(N)]
    arrow = pa.table({**{name: pa.array(column) for name, column in numbers.items()}, "purpose": purposes})
    chunked = pa.concat_tables([arrow.slice(0, 33), arrow.slice(33)])
    dictionary = arrow.set_column(4, "purpose", arrow["purpose"].dictionary_encode())
    return [{**numbers, "purpose": purposes}, arrow, chunked, dictionary]


@pytest.mark.parametrize("form", range(4))
def test_tables_are_counted(tmp_path: Path, form: int) -> None:
    table, numbers = forms()[form], columns()
    labels = np.arange(N) % 3
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        model = trail.model("ranker", version="2")
        model.count_batch(table, {"label": labels}, duration_ns=1_500)
        model.count_batch(table, {"label": labels}, status="TimeoutError")
        trail.flush()
        (found,) = trail.stats("ranker@2", quantiles=(0.1, 0.5, 0.9))
        whole = found.whole
        assert (whole.decisions, dict(whole.status)) == (2 * N, {"ok": N, "TimeoutError": N})
        for name in ("amount", "age", "rate"):
            feature, values = whole.features[f"inputs/{name}"], numbers[name].astype(float)
            assert (feature.min, feature.max, feature.missing) == (values.min(), values.max(), 0)
            assert feature.mean == pytest.approx(values.mean())
            for part, quantile in feature.quantiles.items():
                assert (values <= quantile).mean() == pytest.approx(part, abs=0.03)
        assert whole.features["inputs/purpose"].top == (("car", 15_000), ("boat", 5_000))
        members = 2 * int(numbers["member"].sum())
        assert dict(whole.features["inputs/member"].top) == {"true": members, "false": 2 * N - members}
        assert dict(whole.features["outputs/label"].top) == {"0": 6_668, "1": 6_666, "2": 6_666}
        assert whole.features["event/duration"].mean == 1_500
        assert trail.records(kind="decision") == []
        found = trail.verify()
        assert found and found["windows"] == {"decisions": 2 * N, "counted": 2 * N}
        (account,) = (account for account in found["accounts"] if account["class"] == "standard")
        assert (account["counted"], account["lost"], account["gaps"]) == (2 * N, {}, [])


def test_nulls_are_missing(tmp_path: Path) -> None:
    table = pa.table({"x": pa.array([1.5, None] * 50), "n": pa.array([None, 7] * 50), "t": pa.array(["a", None] * 50)})
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        trail.model("m", version="1").count_batch(table)
        trail.flush()
        (found,) = trail.stats("m")
        for name in ("x", "n", "t"):
            assert (found.whole.features[f"inputs/{name}"].present, found.whole.features[f"inputs/{name}"].missing) == (50, 50)


def test_counts_and_records_of_one_model_add_up(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        model = trail.model("m", version="1")
        for n in range(40):
            model.record(inputs={"x": float(n)}, outputs={})
            model.count_batch({"x": np.arange(25.0)})
        trail.flush()
        (found,) = trail.stats("m")
        assert found.whole.decisions == 40 + 40 * 25
    with minutebook.open(tmp_path / "trail") as trail:
        report = trail.verify()
        assert report and report["windows"]["decisions"] == 1_040


def test_what_is_wrong_counts_nothing(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        model = trail.model("m", version="1")
        for wrong, words in [
            ({"x": np.arange(3.0), "y": np.arange(4.0)}, "4 rows beside columns of 3"),
            ({"x": [object()]}, "has no place in a record"),
            (7, "a table is asked for"),
        ]:
            with pytest.raises((TypeError, ValueError), match=words):
                model.count_batch(wrong)
        model.count_batch({"x": np.arange(0.0)})
        trail.flush()
        assert trail.stats("m") == ()
        assert trail.verify()["windows"] == {"decisions": 0, "counted": 0}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_child_tells_its_own_counts_only(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        model = trail.model("m", version="1")
        model.count_batch({"x": np.arange(100.0)})
        child = os.fork()
        if child == 0:
            model.count_batch({"x": np.arange(11.0)})
            trail.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        trail.flush()
        (found,) = trail.stats("m")
        assert found.whole.decisions == 111
        assert trail.verify()["windows"] == {"decisions": 111, "counted": 111}


def test_what_dies_with_the_process_is_told(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        child = os.fork()
        if child == 0:
            trail.model("m", version="1").count_batch({"x": np.arange(100.0)})
            os._exit(0)
        os.waitpid(child, 0)
        trail.flush()
        trail.flush()
        report = trail.verify()
        assert report
        lost = [account["lost"] for account in report["accounts"] if account["class"] == "standard"]
        assert [sum(each.values()) for each in lost] == [100]


def test_what_is_redacted_is_counted_as_it_is_left(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail", on_error="raise") as trail:
        redact = {"inputs.name": minutebook.truncate(1), "inputs.iban": minutebook.drop(), "inputs.age": minutebook.bucket(width=10)}
        model = trail.model("m", version="1", redact=redact)
        names = ["Ann", "Bob"] * 50
        model.count_batch({"name": names, "iban": [f"DE{n}" for n in range(100)], "age": np.arange(100)})
        trail.flush()
        (found,) = trail.stats("m")
        assert found.whole.features["inputs/name"].top == (("A", 50), ("B", 50))
        assert found.whole.features["inputs/iban"].present == 0
        assert found.whole.features["inputs/age"].max == 90
