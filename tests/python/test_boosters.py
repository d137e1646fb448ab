"""XGBoost and LightGBM: their boosters and their scikit-learn faces."""

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from conftest import decisions

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((80, 3))
X[::7, 1] = np.nan
Y = (X[:, 0] > 0.5).astype(int)
NAMES = ["age", "income", "debt"]
FRAME = pd.DataFrame(X, columns=NAMES)


@pytest.fixture(scope="module")
def xgb():
    return xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(X, Y, feature_names=NAMES), 3)


@pytest.fixture(scope="module")
def lgbm():
    return lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(FRAME, Y), 3)


def same(found, row):
    assert list(found) == NAMES
    assert np.array_equal(list(found.values()), row, equal_nan=True)


@pytest.mark.parametrize("rows", [1, 3])
def test_xgboost(trail, model, xgb, rows):
    wrapped = model.wrap(xgb)
    matrix = xgboost.DMatrix(X[:rows], feature_names=NAMES)
    answer = wrapped.predict(matrix)
    assert np.array_equal(answer, xgb.predict(matrix))
    assert np.array_equal(wrapped.inplace_predict(X[:rows]), xgb.inplace_predict(X[:rows]))
    found = decisions(trail)
    assert len(found) == 2 * rows
    for place in range(rows):
        same(found[place].inputs, X[place].astype("float32"))
        same(found[rows + place].inputs, X[place])
        assert found[place].outputs == {"prediction": float(answer[place])}


def test_what_is_no_decision(trail, model, xgb, lgbm):
    matrix = xgboost.DMatrix(X[:2], feature_names=NAMES)
    assert np.array_equal(model.wrap(xgb).predict(matrix, pred_contribs=True), xgb.predict(matrix, pred_contribs=True))
    assert np.array_equal(model.wrap(xgb).predict(matrix, pred_leaf=True), xgb.predict(matrix, pred_leaf=True))
    assert np.array_equal(model.wrap(lgbm).predict(X[:2], pred_contrib=True), lgbm.predict(X[:2], pred_contrib=True))
    assert decisions(trail) == []


def test_several_classes(trail, model):
    letters = np.digitize(X[:, 0], [0.33, 0.66])
    booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, letters), 2)
    model.wrap(booster).predict(xgboost.DMatrix(X[:1]))
    assert list(decisions(trail)[0].outputs) == ["prediction_0", "prediction_1", "prediction_2"]


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("kind", ["array", "frame"])
def test_lightgbm(trail, model, lgbm, rows, kind):
    given = X[:rows] if kind == "array" else FRAME[:rows]
    answer = model.wrap(lgbm).predict(given)
    assert np.array_equal(answer, lgbm.predict(given))
    found = decisions(trail)
    assert len(found) == rows
    for place in range(rows):
        same(found[place].inputs, X[place])
        assert found[place].outputs == {"prediction": answer[place]}


@pytest.mark.parametrize("kind", [xgboost.XGBClassifier, lightgbm.LGBMClassifier])
def test_their_scikit_learn_faces(trail, model, kind):
    options = {"verbose": -1} if kind is lightgbm.LGBMClassifier else {}
    classifier = kind(n_estimators=3, **options).fit(FRAME, Y)
    wrapped = model.wrap(classifier)
    for given in (FRAME[:1], FRAME[:2]):
        assert np.array_equal(wrapped.predict(given), classifier.predict(given))
        assert np.array_equal(wrapped.predict_proba(given), classifier.predict_proba(given))
    found = decisions(trail)
    assert len(found) == 6
    for record, row in zip(found, (0, 0, 0, 1, 0, 1)):
        same(record.inputs, X[row])
    assert [list(record.outputs) for record in found[:2]] == [["prediction"], ["probability_0", "probability_1"]]
    assert wrapped.get_params() == classifier.get_params()


def test_an_exception(trail, model, xgb, lgbm):
    with pytest.raises(ValueError):
        model.wrap(xgb).predict(xgboost.DMatrix(X[:1], feature_names=["a", "b", "c"]))
    with pytest.raises(lightgbm.basic.LightGBMError):
        model.wrap(lgbm).predict(X[:1, :2])
    assert [record.status for record in decisions(trail)] == ["ValueError", "LightGBMError"]
