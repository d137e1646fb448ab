"""Digests of models and of training data, where code comes from, and the record of a model that says so."""

import hashlib
import os
import pickle
import subprocess

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import wait
from minutebook import _artifact, _git, _table

X = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]])
Y = np.array([0, 1, 1])


def test_bytes_and_files(tmp_path):
    expected = hashlib.sha256(b"weights").digest()
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    assert _artifact.artifact(b"weights") == (expected, "bytes")
    assert _artifact.artifact(str(file)) == (expected, "file")
    assert _artifact.artifact(file) == (expected, "file")
    with pytest.raises(FileNotFoundError):
        _artifact.artifact("no-such-file")


def test_a_folder(tmp_path):
    def digest(files, name):
        folder = tmp_path / name
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        return _artifact.artifact(folder)

    files = {"a.bin": b"1", "b/c.bin": b"2"}
    first = digest(files, "first")
    assert first.how == "folder"
    # As docs/python/digests.md says.
    expected = hashlib.sha256(b"minutebook/folder/1\n")
    for name, content in sorted(files.items()):
        expected.update(len(name).to_bytes(8, "little") + name.encode() + hashlib.sha256(content).digest())
    assert first.sha256 == expected.digest()
    assert digest(dict(reversed(files.items())), "second") == first
    others = [{"a.bin": b"1", "b/c.bin": b"3"}, {"a.bin": b"1", "bc.bin": b"2"}, {"a.bin": b"1"}, {"a.bin": b"12"}]
    assert len({digest(other, f"other{n}") for n, other in enumerate(others)} | {first}) == 5
    os.symlink(tmp_path / "second", tmp_path / "first" / "link")
    with pytest.raises(ValueError, match="link"):
        _artifact.artifact(tmp_path / "first")


def test_estimators_of_each_library(tmp_path):
    import lightgbm
    import onnxruntime
    import xgboost
    from skl2onnx import to_onnx
    from sklearn.linear_model import LogisticRegression

    logistic = LogisticRegression().fit(X, Y)
    onnx = to_onnx(logistic, X[:1].astype("float32"))
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx.SerializeToString(deterministic=True))
    of_file = _artifact.artifact(file).sha256
    xgb = xgboost.XGBClassifier(n_estimators=2).fit(X, Y)
    lgbm = lightgbm.LGBMClassifier(n_estimators=2, min_child_samples=1, verbose=-1).fit(X, Y)
    for model, how in [(logistic, "pickle"), (onnx, "onnx"), (xgb, "xgboost"), (lgbm, "lightgbm")]:
        found = _artifact.artifact(model)
        assert found.how == how
        assert found == _artifact.artifact(model)
    assert _artifact.artifact(logistic).sha256 == hashlib.sha256(pickle.dumps(logistic, protocol=5)).digest()
    assert _artifact.artifact(onnx).sha256 == of_file
    assert _artifact.artifact(onnxruntime.InferenceSession(str(file))).sha256 == of_file
    assert _artifact.artifact(xgb) == _artifact.artifact(xgb.get_booster())
    assert _artifact.artifact(lgbm) == _artifact.artifact(lgbm.booster_)
    assert _artifact.artifact(logistic) != _artifact.artifact(LogisticRegression().fit(X, 1 - Y))


def rule(amount):
    return amount < 5_000


def test_functions_and_what_cannot_be_hashed():
    assert _artifact.artifact(rule).how == "source"
    assert _artifact.artifact(rule).sha256 == hashlib.sha256(b"def rule(amount):\n    return amount < 5_000\n").digest()
    with pytest.raises(TypeError, match="file or bytes"):
        _artifact.artifact((n for n in [1]))
    with pytest.raises(TypeError, match="file or bytes"):
        _artifact.artifact(len)


COLUMNS = {
    "income": np.array([1.5, 2.5, 3.5]),
    "age": np.array([31, 42, 53], dtype="int32"),
    "married": np.array([True, False, True]),
    "purpose": ["car", "tv", None],
}


def test_the_library_that_holds_a_table_does_not_matter():
    tables = [
        COLUMNS,
        pd.DataFrame(COLUMNS),
        pl.DataFrame({name: list(values) for name, values in COLUMNS.items()}, schema_overrides={"age": pl.Int32}),
        pa.table({**COLUMNS, "age": pa.array([31, 42, 53], pa.int32())}),
    ]
    found = [_table.table(table) for table in tables]
    assert found[0].rows == 3
    assert found[0].features == [
        {"name": "income", "type": "f64"},
        {"name": "age", "type": "i32"},
        {"name": "married", "type": "bool"},
        {"name": "purpose", "type": "text"},
    ]
    for other in found[1:]:
        assert other == found[0]


def test_what_makes_another_table():
    first = _table.table(COLUMNS).sha256
    others = [
        {**COLUMNS, "income": COLUMNS["income"] + 1},
        {**COLUMNS, "income": COLUMNS["income"].astype("float32")},
        {**COLUMNS, "purpose": ["car", "t", "v"]},
        {**COLUMNS, "purpose": ["car", "tv", ""]},
        dict(reversed(COLUMNS.items())),
        {name.upper(): values for name, values in COLUMNS.items()},
    ]
    assert len({_table.table(other).sha256 for other in others} | {first}) == 7


def test_an_array_with_a_target():
    found = _table.table((X, Y))
    assert found.features == [{"name": "x0", "type": "f64"}, {"name": "x1", "type": "f64"}, {"name": "y", "type": "i64"}]
    assert _table.table((X, Y)) == _table.table((np.asfortranarray(X), Y))
    assert _table.table((X, Y)) == _table.table((X.astype(">f8"), Y))


def test_times_and_missing_numbers():
    at = pd.Series(pd.to_datetime(["2026-01-01", None]), name="at")
    assert _table.table({"at": at}) == _table.table({"at": at.astype("datetime64[us]")})
    numbers = pd.DataFrame({"n": pd.array([1, None], "Int64")})
    assert _table.table(numbers).features == [{"name": "n", "type": "i64"}]
    assert _table.table(numbers) == _table.table(pa.table({"n": pa.array([1, None], pa.int64())}))


def test_a_column_without_canonical_bytes():
    with pytest.raises(TypeError, match=r"`thing`.*`int`, `str`"):
        _table.table({"thing": [1, "two"]})
    with pytest.raises(TypeError, match="`object`"):
        _table.table({"thing": [object()]})


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "code"
    folder.mkdir()

    def git(*arguments):
        own = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *own, *arguments], cwd=folder, check=True, capture_output=True)

    git("init", "--initial-branch", "main")
    (folder / "train.py").write_text("1\n")
    git("add", ".")
    git("commit", "-m", "a")
    git("remote", "add", "origin", "https://someone:secret@git.example/models.git?token=x#y")
    return folder, git


def test_where_code_comes_from(repository):
    folder, git = repository
    found = _git.git(str(folder))
    assert len(found["commit"]) == 40
    assert (found["branch"], found["dirty"], found["remote"]) == ("main", False, "https://git.example/models.git")
    (folder / "new.txt").write_text("untracked\n")
    assert not _git.git(str(folder))["dirty"]
    (folder / "train.py").write_text("2\n")
    assert _git.git(str(folder))["dirty"]
    git("checkout", "--detach")
    assert "branch" not in _git.git(str(folder))


def test_no_repository_and_no_git(tmp_path, repository, monkeypatch):
    assert _git.git(str(tmp_path)) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _git.git(str(repository[0])) is None


@pytest.mark.parametrize(
    ("address", "without"),
    [
        ("https://git.example/a.git", "https://git.example/a.git"),
        ("https://user:pass@git.example:8443/a.git", "https://git.example:8443/a.git"),
        ("https://x-token@git.example/a.git", "https://git.example/a.git"),
        ("ssh://git@git.example/a.git", "ssh://git.example/a.git"),
        ("git@git.example:team/a.git", "git.example:team/a.git"),
        ("/srv/git/a.git", "/srv/git/a.git"),
        ("../a@b.git", "../a@b.git"),
    ],
)
def test_credentials_are_taken_out(address, without):
    assert _git.without_credentials(address) == without


def test_the_record_of_a_model(trail, repository, monkeypatch):
    folder, _ = repository
    from sklearn.linear_model import LogisticRegression

    estimator = LogisticRegression().fit(X, Y)
    given = {"artifact": estimator, "params": {"threshold": 0.5}, "training_data": (X, Y), "git": _git.git(str(folder))}
    trail.model("credit-risk", "1.4.0", **given)
    trail.model("credit-risk", "1.4.0", **given)
    trail.flush()
    (record,) = trail.records(kind="model")
    assert record.model["name"] == "credit-risk"
    fields = {path[1]: value for path, value in record.fields["fields"] if path[0] == "model"}
    assert fields["digest_of"] == "pickle"
    assert fields["params"] == {"threshold": 0.5}
    assert fields["training_data"]["rows"] == 3
    assert fields["training_data"]["sha256"] == _table.table((X, Y)).sha256
    assert [feature["name"] for feature in fields["features"]] == ["x0", "x1", "y"]
    assert fields["git"]["remote"] == "https://git.example/models.git"
    assert "scikit" in fields["environment"] or fields["environment"]["sklearn"]


def test_git_of_the_calling_file(trail, repository):
    folder, _ = repository
    script = folder / "train.py"
    script.write_text("def register(trail):\n    return trail.model('m', '1')\n")
    scope = {}
    exec(compile(script.read_text(), str(script), "exec"), scope)
    scope["register"](trail)
    trail.flush()
    (record,) = trail.records(kind="model")
    fields = {path[1]: value for path, value in record.fields["fields"] if path[0] == "model"}
    assert fields["git"]["dirty"] is True
