"""Redaction at the source: what is left of each value, what the record says of it, and what is refused."""

import copy
import datetime
import decimal
import json
import math
import pickle
import subprocess

import minutebook
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import ROOT, decisions
from minutebook import _program, bucket, drop, keyed_hash, truncate

KEY = bytes(range(32))
HASH = keyed_hash(KEY)
UTC = datetime.timezone.utc
LEFT_OUT = "left out at the source"
HASHED = f"hashed with key {HASH.key_id}"


def hashed(value):
    return bytes.fromhex(HASH.of(value))


def model_of(trail, redact, **given):
    return trail.model("credit-risk", "1", git=None, redact=redact, **given)


LEFT = [
    (drop(), "DE89", None, LEFT_OUT),
    (drop(), None, None, LEFT_OUT),
    (drop(), object(), None, LEFT_OUT),
    (HASH, "DE89", hashed("DE89"), HASHED),
    (HASH, {"a": [1, None]}, hashed({"a": [1, None]}), HASHED),
    (HASH, np.float32(0.1), hashed(np.float32(0.1)), HASHED),
    (HASH, None, None, HASHED),
    (truncate(3), "10115", "101", "first 3 characters"),
    (truncate(3), "é𝔘", "é𝔘", "first 3 characters"),
    (truncate(1), b"\1\2", b"\1", "first byte"),
    (truncate("month"), datetime.date(2026, 11, 21), datetime.date(2026, 11, 1), "to the month"),
    (truncate("hour"), datetime.datetime(2026, 11, 21, 9, 30, 1), datetime.datetime(2026, 11, 21, 9), "to the hour"),
    (truncate("day"), datetime.datetime(2026, 11, 21, 9, tzinfo=UTC), datetime.datetime(2026, 11, 21, tzinfo=UTC), "to the day"),
    (truncate("year"), np.datetime64("1969-12-31T23"), datetime.datetime(1969, 1, 1), "to the year"),
    (bucket(10), 41, 40.0, "in buckets of 10"),
    (bucket(10), -0.5, -10.0, "in buckets of 10"),
    (bucket(0.1), decimal.Decimal("0.35"), 0.3, "in buckets of 0.1"),
    (bucket(0.1), 0.3, 0.3, "in buckets of 0.1"),
    (bucket(edges=[18, 65]), np.int8(17), -math.inf, "in buckets from 18, 65"),
    (bucket(edges=[18, 65]), 65.0, 65.0, "in buckets from 18, 65"),
    (bucket(10), None, None, "in buckets of 10"),
]


def test_what_is_left(trail):
    rules = {f"inputs.x{place}": rule for place, (rule, *_) in enumerate(LEFT)}
    model = model_of(trail, rules)
    model.record({"a": 1} | {f"x{place}": value for place, (_, value, *_) in enumerate(LEFT)} | {"b": 2}, {"y": True})
    (record,) = decisions(trail)
    assert list(record.inputs) == ["a", *(f"x{place}" for place in range(len(LEFT))), "b"]
    assert (record.inputs["a"], record.inputs["b"], record.outputs) == (1, 2, {"y": True})
    for place, (rule, value, left, said) in enumerate(LEFT):
        assert (record.inputs[f"x{place}"], type(record.inputs[f"x{place}"])) == (left, type(left)), f"{rule} of {value!r}"
        assert record.redacted["inputs", f"x{place}"] == said
    assert len(record.redacted) == len(LEFT)
    assert trail.status()["faults"] == {}
    assert trail.verify()


def test_hashes_are_those_of_the_format():
    vectors = json.loads((ROOT / "docs/formats/vectors/record.json").read_text())["redactions"]
    values = ["DE89370400440532013000", "", True, -7, 0.5, datetime.date(1970, 1, 2)]
    expected = [(vector["type"], vector["key"], vector["redacted"]) for vector in vectors if vector["type"].startswith("hashed/")]
    assert expected == [(f"hashed/{HASH.key_id}", KEY.hex(), "5820" + HASH.of(value)) for value in values]


@pytest.mark.parametrize(
    ("rule", "value", "kind"),
    [
        (truncate(3), 41.0, "f64"),
        (truncate(3), ["a"], "list"),
        (truncate("hour"), datetime.date(2026, 11, 21), "date"),
        (bucket(10), "CANARY", "text"),
        (bucket(10), 1e300, "f64"),
        (HASH, object(), "object"),
        (HASH, {"CANARY": object()}, "dict"),
    ],
)
def test_what_does_not_fit_is_left_out_and_told(trail, rule, value, kind):
    model = model_of(trail, {"inputs.x": rule})
    with pytest.warns(minutebook.TrailWarning, match=rf"`inputs\.x` is left out: it is of type `{kind}`") as warned:
        assert model.record({"x": value}) is not None
        assert model.record({"x": value}) is not None
    assert len(warned) == 1
    assert all(record.redacted == {("inputs", "x"): LEFT_OUT} for record in decisions(trail))
    assert trail.status()["faults"] == {"redaction": 2}
    assert "CANARY" not in str(trail.status()) + str(warned[0].message)


def test_a_name_that_nothing_has_is_told(trail):
    model = model_of(trail, {"inputs.ibn": drop(), "outputs.p": drop(), "tags.t": drop()})
    with pytest.warns(minutebook.TrailWarning, match=r"`inputs\.ibn` is nothing that the first decision has") as warned:
        model.record({"iban": "DE89"}, {"p": 0.5})
        model.record_batch({"iban": ["DE89"]}, {"q": [0.5]})
    assert len(warned) == 1


def test_parameters_tags_and_environment(trail):
    rules = {"params.secret": drop(), "tags.customer": HASH, "tags.zip": truncate(2), "environment.host": truncate(1), ("tags", "a.b"): drop()}
    model = model_of(
        trail, rules, params={"limit": 1, "secret": "CANARY"}, tags={"team": "x", "zip": "10115"}, environment={"host": "CANARY", "os": "l"}
    )
    model.record({"x": 1})
    model.record({"x": 1}, params={"secret": "CANARY", "more": 2}, tags={"customer": "CANARY", "a.b": "CANARY"})
    model.record_batch({"x": [1]}, tags={"customer": "CANARY"})
    plain, given, batch = decisions(trail)
    assert (plain.params, plain.tags, plain.fields["environment"]) == ({"limit": 1}, {"team": "x"}, {"os": "l"})
    always = {("params", "secret"): LEFT_OUT, ("tags", "zip"): "first 2 characters", ("environment", "host"): "first character"}
    assert plain.redacted == always
    assert (given.params, given.tags) == ({"limit": 1, "more": 2}, {"team": "x"})
    assert given.redacted == always | {("tags", "customer"): HASHED, ("tags", "a.b"): LEFT_OUT}
    assert batch.redacted == always | {("tags", "customer"): HASHED}
    assert dict((tuple(path), value) for path, value in given.fields["fields"])["tags", "customer"] == hashed("CANARY")
    (about,) = trail.records(kind="model")
    assert about.fields["tags"] == {"team": "x"}
    told = {tuple(path): value for path, value in about.fields["fields"]}
    assert told["model", "params"] == {"limit": 1}
    assert {"path": ["tags", "customer"], "redaction": f"keyed_hash(key id {HASH.key_id})"} in told["model", "redact"]


def test_all_of_a_section(trail):
    model = model_of(trail, {"inputs.*": drop(), "inputs.amount": bucket(1000), "tags.*": drop()})
    model.record({"a": "CANARY", "amount": 4870.0, "b": object()}, {"y": 1}, tags={"t": "CANARY"})
    (record,) = decisions(trail)
    assert record.inputs == {"a": None, "amount": 4000.0, "b": None}
    assert record.outputs == {"y": 1}
    assert record.tags == {}


COLUMNS = {
    "list": lambda values: values,
    "numpy": np.array,
    "pandas": pd.Series,
    "category": lambda values: pd.Series(values, dtype="category"),
    "objects": lambda values: pd.Series(values, dtype=object),
    "polars": pl.Series,
    "arrow": pa.array,
    "chunks": lambda values: pa.chunked_array([values[:1], values[1:]]),
    "dictionary": lambda values: pa.array(values).dictionary_encode(),
}


def test_columns_of_text(trail):
    model = model_of(trail, {"inputs.iban": HASH, "inputs.zip": truncate(2), "inputs.name": drop()})
    texts = ["DE1", "DE2", "DE1"]
    for made, column in COLUMNS.items():
        table = {"iban": column(texts), "zip": column(["10115", "1", "20095"]), "name": column(["CANARY"] * 3), "x": column(texts)}
        model.record_batch(pd.DataFrame(table) if made == "category" else table, {"y": [1, 2, 3]})
    found = decisions(trail)
    assert len(found) == 3 * len(COLUMNS)
    for made, first, second, third in zip(COLUMNS, found[::3], found[1::3], found[2::3]):
        assert first.inputs == {"iban": hashed("DE1"), "zip": "10", "name": None, "x": "DE1"}, made
        assert second.inputs == {"iban": hashed("DE2"), "zip": "1", "name": None, "x": "DE2"}, made
        assert third.inputs["iban"] == first.inputs["iban"]
        assert first.redacted == second.redacted == third.redacted


def test_columns_of_numbers(trail):
    model = model_of(trail, {"inputs.age": bucket(edges=[18, 65]), "inputs.income": bucket(0.5), "outputs.p": bucket(10)})
    made = [(name, kind) for name in ("list", "numpy", "pandas", "polars", "arrow", "chunks") for kind in (int, float)]
    for name, kind in made:
        column = COLUMNS[name]
        ages = column([kind(17), kind(18), kind(70)])
        model.record_batch({"age": ages, "income": column([0.4, 0.5, 0.99])}, {"p": column([kind(9), kind(10), kind(31)])})
    found = decisions(trail)
    for place, by in enumerate(made):
        rows = found[3 * place : 3 * place + 3]
        assert [record.inputs["age"] for record in rows] == [-math.inf, 18, 65], by
        assert [record.inputs["income"] for record in rows] == [0.0, 0.5, 0.5], by
        assert [record.outputs["p"] for record in rows] == [0.0, 10.0, 30.0], by


def test_columns_of_times_and_missing_values(trail):
    model = model_of(trail, {"inputs.at": truncate("month"), "inputs.t": truncate(2), "inputs.n": bucket(10)})
    times = [datetime.datetime(2026, 11, 21, 9, 30), None]
    for at in (pa.array(times), pd.Series(times), np.array(times, dtype="datetime64[s]"), times):
        model.record_batch({"at": at, "t": pd.Series(["abc", float("nan")], dtype=object), "n": pa.array([None, 11])})
    for record in decisions(trail)[::2]:
        assert record.inputs == {"at": datetime.datetime(2026, 11, 1), "t": "ab", "n": None}
    for record in decisions(trail)[1::2]:
        assert record.inputs == {"at": None, "t": None, "n": 10.0}


def test_a_column_with_a_row_that_does_not_fit_is_left_out(trail):
    model = model_of(trail, {"inputs.x": truncate(2), "inputs.y": bucket(1), "inputs.z": HASH})
    with pytest.warns(minutebook.TrailWarning) as warned:
        ids = model.record_batch({"x": ["CANARY", 7], "y": ["CANARY", "b"], "z": [object(), 1], "w": [1, 2]})
    told = " ".join(str(one.message) for one in warned)
    for name, kind in (("x", "i64"), ("y", "text"), ("z", "object")):
        assert f"`inputs.{name}` is left out: a row is of type `{kind}`" in told
    assert "CANARY" not in told
    assert len(ids) == 2
    for record in decisions(trail):
        assert record.inputs | {"w": 0} == {"x": None, "y": None, "z": None, "w": 0}
        assert set(record.redacted.values()) == {LEFT_OUT}


def test_a_policy_is_checked_against_what_is_left(trail, tmp_path):
    model_of(trail, {"inputs.age": bucket(10)}).record({"age": 41})
    trail.flush()
    policy = tmp_path / "policy.toml"
    policy.write_text(
        'format = "minutebook/policy/1"\n[[model]]\nname = "credit-risk"\n[[model.rule]]\nname = "r"\nwhen = "inputs.age > 42"\nkeep = "all"\n'
    )
    check = [_program.find(), "policy", "check", policy, "--model", "credit-risk", "--trail", trail.folder]
    ended = subprocess.run(check, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "`inputs.age` is in buckets, and none of them begins at 42" in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("path", "rule", "told"),
    [
        ("subject", HASH, "give a pseudonym"),
        ("actor", HASH, "give a pseudonym"),
        ("event.status", drop(), "no values of yours"),
        ("explanation.reasons", drop(), "by itself"),
        ("input.x", drop(), "a path begins with `inputs`"),
        ("inputs", drop(), "`inputs.*`"),
        ("inputs.a.b", drop(), r"('inputs', 'a.b')"),
        (("inputs", "a", "b"), drop(), "a tuple of two"),
        (7, drop(), "a path is a text"),
        ("inputs.x", "CANARY", "not a `str`"),
        ("inputs.x", KEY, "not a `bytes`"),
        ("inputs.x", drop, "not a `function`"),
    ],
)
def test_paths_and_rules_that_are_refused(trail, path, rule, told):
    with pytest.raises((ValueError, TypeError)) as refused:
        model_of(trail, {path: rule})
    assert told in str(refused.value)
    assert "CANARY" not in str(refused.value)


def test_redactions_that_are_refused():
    for wrong in (0, -1, 65_536, True, "week", 2.5, None):
        with pytest.raises(ValueError, match="`truncate`"):
            truncate(wrong)
    for width in (0, -1, math.nan, math.inf, "10", 1e30, 1e-30):
        with pytest.raises(ValueError, match="`bucket`: the width"):
            bucket(width)
    for edges in ([], [2, 1], [1, 1], [1, "2"], [math.nan], range(65), "12"):
        with pytest.raises(ValueError, match="`bucket`: edges"):
            bucket(edges=edges)
    for wrong in ({}, {"width": 1, "edges": [1]}):
        with pytest.raises(ValueError, match="either"):
            bucket(**wrong)


def test_where_a_key_comes_from(tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(KEY)
    monkeypatch.setenv("THE_KEY", "CANARY-0123456789abcdef")
    assert keyed_hash(tmp_path / "key").of("a") == keyed_hash(str(tmp_path / "key")).of("a") == HASH.of("a")
    assert keyed_hash("env:THE_KEY").key_id == keyed_hash(b"CANARY-0123456789abcdef").key_id
    refused = [
        (b"CANARY", "6 bytes"), ("CANARY-a-key-given-as-text", "cannot be read"), ("env:NOT_SET", "`NOT_SET` is not set"), (7, "not a `int`"),
        (tmp_path, "cannot be read"), ("CANARY\0", "is bytes"),
    ]  # fmt: skip
    for key, told in refused:
        with pytest.raises((ValueError, OSError, TypeError), match=told) as error:
            keyed_hash(key)
        assert "CANARY" not in "".join(map(str, [error.value, error.value.__cause__, getattr(error.value, "filename", "")]))
        assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_key_is_not_shown():
    secret = keyed_hash(b"CANARY-0123456789abcdef")
    assert "CANARY" not in repr(secret) + str(secret) + repr(copy.deepcopy(secret)) + str(dir(secret))
    assert not hasattr(secret, "__dict__")
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)
