"""Every kind of value goes in as Python has it and comes back the same."""

import datetime
import decimal
import math
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from conftest import decisions
from minutebook import _values

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**53,
        2**63,
        2**64 - 1,
        -(2**63),
        0.0,
        1.5,
        -2.5e-308,
        math.inf,
        -math.inf,
        "",
        "naïve ☃",
        b"",
        b"\0\xff",
        [],
        [1, "two", None, [3.5]],
        {"a": {"b": [1]}},
        {"$a": 1},
        decimal.Decimal("12.50"),
        datetime.date(2026, 11, 21),
        datetime.datetime(2026, 11, 21, 9, 30, 0, 123456),
        datetime.datetime(2026, 11, 21, 9, 30, tzinfo=UTC),
        datetime.timedelta(days=-2, microseconds=5),
    ],
)
def test_the_same(trail, model, value):
    found = trail[model.record({"value": value})].inputs["value"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float64(1.5), 1.5),
        (np.float32(0.1), float(np.float32(0.1))),
        (np.int8(-3), -3),
        (np.bool_(True), True),
        (pd.NA, None),
        (pd.NaT, None),
        ((1, 2), [1, 2]),
        (pd.Timestamp("2026-11-21T09:30:00.5", tz="Europe/Berlin"), datetime.datetime(2026, 11, 21, 8, 30, 0, 500000, UTC)),
        (datetime.datetime(2026, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")), datetime.datetime(2026, 7, 1, 10, tzinfo=UTC)),
    ],
)
def test_what_comes_back_in_another_shape(trail, model, given, expected):
    assert trail[model.record({"value": given})].inputs["value"] == expected


def test_not_a_number(trail, model):
    assert math.isnan(trail[model.record({"value": math.nan})].inputs["value"])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64"])
def test_tensors(trail, model, dtype):
    given = np.arange(12).reshape(3, 4).astype(dtype)
    found = trail[model.record({"value": given})].inputs["value"]
    assert found.dtype == given.dtype
    assert np.array_equal(found, given)


def test_a_tensor_that_is_large_or_not_finite(trail, model):
    for given in (np.random.default_rng(7).random((100, 100)), np.array([np.nan, np.inf])):
        found = trail[model.record({"value": given})].inputs["value"]
        assert np.array_equal(found, given, equal_nan=True)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"$timestamp": "2026-11-21T09:30:00.123456789Z"}, datetime.datetime(2026, 11, 21, 9, 30, 0, 123456, UTC)),
        ({"$timestamp": "2026-11-21T09:30:00.5+02:00"}, datetime.datetime(2026, 11, 21, 7, 30, 0, 500000, UTC)),
        ({"$timestamp": {"seconds": 0, "nanoseconds": 1000}}, datetime.datetime(1970, 1, 1, 0, 0, 0, 1, UTC)),
        ({"$duration": "PT1.5S"}, datetime.timedelta(seconds=1.5)),
        ({"$duration": "-P1DT2H3M"}, -datetime.timedelta(days=1, hours=2, minutes=3)),
        ({"$typed": {"type": "u8", "value": 7}}, 7),
        ({"$map": {"$integer": 1}}, {"$integer": 1}),
        ({"a": 1, "$integer": "2"}, {"a": 1, "$integer": "2"}),
    ],
)
def test_what_the_engine_prints(told, expected):
    assert _values.value(told) == expected


def test_parameters_that_are_the_same_objects_and_those_that_are_not(trail, model):
    steps = [1]
    some, others = {"seed": 7, "scaling": "standard"}, {"scaling": "standard", "seed": 8}
    meta = {"method": "tree", "base": 0.25, "attributions": {"x": 1.0}}
    given = []
    for turn in range(60):
        if turn == 26:
            some["seed"] = 9
        steps[0] = turn
        params = [some, others, {"steps": steps}, {"turn": turn}, {"seed": float(turn % 2)}, dict(some)][turn // 4 % 6]
        explanation = {**meta, "attributions": {"x": float(turn)}} | ({"base": turn / 2} if turn % 3 == 0 else {})
        model.record({"x": 1.0}, {"y": turn}, params=params, explanation=explanation)
        given.append(({name: list(value) if isinstance(value, list) else value for name, value in params.items()}, explanation))
    found = decisions(trail)
    assert [record.params for record in found] == [params for params, _ in given]
    assert [record.explanation["base"] for record in found] == [explanation["base"] for _, explanation in given]
    assert [record.explanation["attributions"] for record in found] == [explanation["attributions"] for _, explanation in given]
