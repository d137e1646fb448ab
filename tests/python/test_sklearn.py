"""scikit-learn's estimators and pipelines, wrapped: they answer as before, and each row is a decision."""

import copy
import pickle
import warnings

import minutebook
import numpy as np
import pandas as pd
import pytest
from conftest import decisions
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils.validation import check_is_fitted

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((60, 4))
Y = (X[:, 0] > X[:, 1]).astype(int)
LETTERS = np.where(X[:, 0] > 0.66, "a", np.where(X[:, 0] > 0.33, "b", "c"))


@pytest.fixture
def fitted():
    return LogisticRegression().fit(X, Y)


def test_a_row(trail, model, fitted):
    wrapped = model.wrap(fitted)
    row = X[:1]
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        assert np.array_equal(getattr(wrapped, method)(row), getattr(fitted, method)(row))
    found = decisions(trail)
    assert [record.inputs for record in found] == [{f"x{n}": row[0, n] for n in range(4)}] * 4
    probability = fitted.predict_proba(row)[0]
    assert [record.outputs for record in found] == [
        {"prediction": int(fitted.predict(row)[0])},
        {"probability_0": probability[0], "probability_1": probability[1]},
        {"log_probability_0": np.log(probability[0]), "log_probability_1": np.log(probability[1])},
        {"decision": fitted.decision_function(row)[0]},
    ]
    assert all(record.duration_ns > 0 for record in found)


def test_a_batch(trail, model, fitted):
    wrapped = model.wrap(fitted)
    assert np.array_equal(wrapped.predict_proba(X), fitted.predict_proba(X))
    found = decisions(trail)
    assert len(found) == len(X)
    for record, row, answer in zip(found, X, fitted.predict_proba(X)):
        assert list(record.inputs.values()) == list(row)
        assert list(record.outputs.values()) == list(answer)
    assert found[3].fields["batch"]["row"] == 3


def test_names_of_columns_and_classes(trail, model):
    frame = pd.DataFrame(X, columns=["age", "income", "debt", "years"])
    wrapped = model.wrap(SVC().fit(frame, LETTERS))
    wrapped.predict(frame[:1])
    wrapped.decision_function(frame[:1])
    wrapped.predict(frame[:2])
    found = decisions(trail)
    assert all(list(record.inputs) == ["age", "income", "debt", "years"] for record in found)
    assert found[0].outputs["prediction"] in ("a", "b", "c")
    assert list(found[1].outputs) == ["decision_a", "decision_b", "decision_c"]


def test_names_that_are_given(trail, model, fitted):
    wrapped = model.wrap(fitted, features=["age", "income", "debt", "years"])
    wrapped.predict(X[:1])
    wrapped.predict(X[:2])
    assert all(list(record.inputs) == ["age", "income", "debt", "years"] for record in decisions(trail))


def mixed():
    frame = pd.DataFrame({
        "age": GENERATOR.integers(18, 80, 60),
        "income": GENERATOR.random(60),
        "purpose": GENERATOR.choice(["car", "tv"], 60),
    })
    frame["kind"] = pd.Categorical(GENERATOR.choice(["x", "y"], 60))
    return frame


def test_a_pipeline_decides_once(trail, model):
    frame = mixed()
    columns = make_column_transformer((OneHotEncoder(), ["purpose", "kind"]), remainder=StandardScaler())
    pipeline = make_pipeline(columns, LogisticRegression()).fit(frame, Y)
    # Its last step is wrapped, too.
    pipeline.steps[-1] = ("last", model.wrap(pipeline.steps[-1][1]))
    wrapped = model.wrap(pipeline)
    assert np.array_equal(wrapped.predict_proba(frame[:5]), pipeline.predict_proba(frame[:5]))
    found = [record for record in decisions(trail) if "purpose" in record.inputs]
    assert len(found) == 5
    for record, (_, row) in zip(found, frame.iterrows()):
        assert record.inputs == row.to_dict()
    # What was asked of the pipeline itself, unwrapped, was recorded by its last step.
    assert len(decisions(trail)) == 10
    assert wrapped[-1] is pipeline[-1] and len(wrapped) == 2


def test_a_row_of_a_frame_is_as_one_of_a_batch(trail, model):
    frame = mixed()
    pipeline = make_pipeline(make_column_transformer((OneHotEncoder(), ["purpose", "kind"])), LogisticRegression()).fit(frame, Y)
    wrapped = model.wrap(pipeline)
    wrapped.predict(frame[:1])
    wrapped.predict(frame[:2])
    first, second, _ = decisions(trail)
    assert first.inputs == second.inputs
    assert first.outputs == second.outputs


def test_what_the_model_saw_and_not_what_it_made_of_it(trail, model):
    """A scaler that works in place must not change the record."""
    pipeline = make_pipeline(StandardScaler(copy=False), LogisticRegression()).fit(X.copy(), Y)
    wrapped = model.wrap(pipeline)
    wrapped.predict(X[:1].copy())
    wrapped.predict(X[:3].copy())
    found = decisions(trail)
    assert list(found[0].inputs.values()) == list(X[0])
    assert [list(record.inputs.values()) for record in found[1:]] == [list(row) for row in X[:3]]


def test_types_are_kept(trail, model):
    regression = LinearRegression().fit(X.astype("float32"), X[:, 0].astype("float32"))
    wrapped = model.wrap(regression)
    wrapped.predict(X[:1].astype("float32"))
    wrapped.predict(X[:2].astype("float32"))
    one, two, _ = decisions(trail)
    assert list(one.inputs.values()) == [float(value) for value in X[0].astype("float32")]
    assert one.inputs == two.inputs


def test_several_outputs(trail, model):
    both = np.column_stack([Y, 1 - Y])
    wrapped = model.wrap(MultiOutputClassifier(LogisticRegression()).fit(X, both))
    wrapped.predict(X[:2])
    wrapped.predict_proba(X[:1])
    first, _, third = decisions(trail)
    assert list(first.outputs) == ["prediction_0", "prediction_1"]
    assert list(third.outputs) == ["probability_0_0", "probability_0_1", "probability_1_0", "probability_1_1"]


def test_lists_and_texts(trail, model, fitted):
    model.wrap(fitted).predict(X[:2].tolist())
    first, _ = decisions(trail)
    assert first.inputs == {f"x{n}": X[0, n] for n in range(4)}


def test_texts(trail, model):
    from sklearn.feature_extraction.text import TfidfVectorizer

    wrapped = model.wrap(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good", "bad"], [1, 0]))
    wrapped.predict(["good", "bad"])
    wrapped.predict(["bad"])
    assert [record.inputs for record in decisions(trail)] == [{"x": "good"}, {"x": "bad"}, {"x": "bad"}]


def test_sparse_rows(trail, model, fitted):
    from scipy.sparse import csr_matrix

    model.wrap(fitted).predict(csr_matrix(X[:2]))
    assert list(decisions(trail)[1].inputs.values()) == list(X[1])


def test_an_exception_of_the_model(trail, model):
    class Broken(BaseEstimator):
        def predict(self, X):
            raise LookupError("no weights")

    with pytest.raises(LookupError, match="no weights"):
        model.wrap(Broken()).predict(X[:1])
    with pytest.raises(LookupError, match="no weights"):
        model.wrap(Broken()).predict(X[:2])
    found = decisions(trail)
    assert [record.status for record in found] == ["LookupError"] * 3
    assert found[0].inputs == {f"x{n}": X[0, n] for n in range(4)}


def test_what_cannot_be_recorded_is_predicted_all_the_same(folder):
    class Anything(BaseEstimator):
        def predict(self, X):
            return np.array(["fine"])

    with minutebook.open(folder, service="tests") as trail:
        wrapped = trail.model("m", "1", git=None).wrap(Anything())
        with pytest.warns(minutebook.TrailWarning):
            assert wrapped.predict([object()]) == ["fine"]
        assert trail.status()["producer"]["lost"] == 1


def test_it_is_taken_for_what_it_wraps(model, fitted):
    wrapped = model.wrap(fitted)
    assert isinstance(wrapped, LogisticRegression)
    assert wrapped.coef_ is fitted.coef_
    assert wrapped == fitted and hash(wrapped) == hash(fitted)
    assert repr(wrapped) == repr(fitted)
    assert wrapped.get_params() == fitted.get_params()
    assert wrapped.score(X, Y) == fitted.score(X, Y)
    check_is_fitted(wrapped)
    assert "coef_" in dir(wrapped) and "coef_" in vars(wrapped)
    wrapped.note = "mine"
    assert fitted.note == "mine"
    del wrapped.note
    assert not hasattr(fitted, "note")
    assert minutebook.unwrap(wrapped) is fitted
    assert minutebook.unwrap(model.wrap(wrapped)) is fitted
    assert not hasattr(model.wrap(LinearRegression().fit(X, Y)), "predict_proba")


def test_cloned_copied_pickled(trail, model, fitted):
    wrapped = model.wrap(fitted)
    assert type(clone(wrapped)) is LogisticRegression
    assert type(clone(Pipeline([("last", wrapped)])).steps[0][1]) is LogisticRegression
    for made in (copy.copy(wrapped), copy.deepcopy(wrapped)):
        made.predict(X[:1])
    assert len(decisions(trail)) == 2
    with pytest.raises(TypeError, match="unwrap"):
        pickle.dumps(wrapped)
    assert pickle.loads(pickle.dumps(minutebook.unwrap(wrapped))).predict(X[:1]) == fitted.predict(X[:1])


def test_fitting_again_is_told(trail):
    model = trail.model("m", "1", LogisticRegression().fit(X, Y), git=None)
    wrapped = model.wrap(LogisticRegression())
    with pytest.warns(minutebook.TrailWarning, match="make a version"):
        again = wrapped.fit(X, Y)
    assert again is wrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert wrapped.set_params(C=2.0) is wrapped
    assert minutebook.unwrap(wrapped).C == 2.0


def test_parts_of_a_vote_are_decisions_of_their_own_models(trail, model):
    other = trail.model("forest", "1", git=None)
    forest = RandomForestClassifier(5).fit(X, Y)
    vote = VotingClassifier([("forest", forest)], voting="soft").fit(X, Y)
    vote.estimators_[0] = other.wrap(vote.estimators_[0])
    model.wrap(vote).predict_proba(X[:1])
    assert [record.model["name"] for record in decisions(trail)] == ["credit-risk", "forest"]


def test_an_empty_batch(trail, model):
    class Any(BaseEstimator):
        def predict(self, X):
            return np.zeros(len(X))

    assert len(model.wrap(Any()).predict(X[:0])) == 0
    assert decisions(trail) == []


def test_what_cannot_be_wrapped(model):
    with pytest.raises(TypeError, match="class"):
        model.wrap(LogisticRegression)
    with pytest.raises(TypeError, match="cannot be wrapped"):
        model.wrap(7)
