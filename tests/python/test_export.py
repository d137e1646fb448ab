"""Exports are what they say: others' readers open them and find every row."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import minutebook
import polars
import pyarrow.parquet
import pytest
from deltalake import DeltaTable

PROGRAM = Path(sys.executable).with_name("minutebook")


@pytest.fixture
def trail(folder):
    with minutebook.open(folder) as trail:
        model = trail.model("credit-risk", version="1.0")
        for at in range(20):
            with model.decision(subject=f"person-{at % 4}", inputs={"at": at, "amount": at * 1.5, "purpose": "car"}) as decision:
                decision.outputs = {"approve": at % 2 == 0}
        trail.flush("sealed")
        yield trail


def export(folder, target, *arguments):
    command = [PROGRAM, "export", target, "--trail", folder, "--json", *arguments]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return json.loads(ran.stdout)


def test_parquet(trail, folder, tmp_path):
    target = tmp_path / "rows.parquet"
    assert export(folder, target, "--model", "credit-risk", "--mask", "inputs.purpose")["rows"] == 20
    table = pyarrow.parquet.read_table(target)
    assert sorted(table["inputs.at"].to_pylist()) == list(range(20))
    assert "inputs.purpose" not in table.column_names
    assert str(table.schema.field("time").type) == "timestamp[us, tz=UTC]"


def test_a_delta_table_is_read_by_others_and_kept_up_to_date(trail, folder, tmp_path):
    target = tmp_path / "table"
    export(folder, target, "--format", "delta", "--model", "credit-risk")
    table = DeltaTable(target)
    assert table.version() == 0
    assert table.to_pyarrow_table().num_rows == 20
    assert polars.read_delta(str(target))["inputs_at"].sum() == sum(range(20))

    with trail.model("credit-risk", version="1.1").decision(inputs={"at": 20, "amount": 1.0, "purpose": "car", "new": "x"}) as decision:
        decision.outputs = {"approve": True}
    trail.flush("sealed")
    assert export(folder, target, "--format", "delta", "--model", "credit-risk")["rows"] == 1
    table = DeltaTable(target)
    assert table.version() == 1
    found = polars.read_delta(str(target)).sort("inputs_at")
    assert found["inputs_new"].to_list() == [None] * 20 + ["x"]
    counted = duckdb.execute(
        "SELECT version, count(*) FROM read_parquet(?, union_by_name = true) GROUP BY 1 ORDER BY 1", [table.file_uris()]
    ).fetchall()
    assert counted == [("1.0", 20), ("1.1", 1)]


def test_what_was_erased_goes_with_the_next_export(trail, folder, tmp_path):
    target = tmp_path / "table"
    export(folder, target, "--format", "delta", "--model", "credit-risk")
    before = {path.name for path in target.glob("*.parquet")}
    trail.close()
    subprocess.run([str(PROGRAM), "engine", str(folder), "--stop"], capture_output=True, check=True)
    erase = [PROGRAM, "erase", "person-1", "--trail", folder, "--ground", "asked to", "--yes"]
    subprocess.run(list(map(str, erase)), capture_output=True, check=True)
    done = export(folder, target, "--format", "delta", "--model", "credit-risk")
    assert done["removed"] == len(before)
    found = polars.read_delta(str(target))
    assert found.height == 15
    assert "person-1" not in found["subject"].to_list()
    assert not before & {path.name for path in target.glob("*.parquet")}, "the old files are gone"
    assert all(b"person-1" not in path.read_bytes() for path in target.rglob("*") if path.is_file())
