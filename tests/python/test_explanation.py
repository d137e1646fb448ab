"""Explanations with decisions: dicts, and those of shap."""

import numpy as np
import pytest
import shap
from minutebook import _explain
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((50, 3))
NAMES = ["age", "income", "debt"]
INPUTS = dict(zip(NAMES, X[0].tolist()))


def test_a_dict(trail, model):
    explanation = {"method": "coefficients", "library": "own 1", "space": "log-odds", "base": 0.12, "attributions": {name: 0.5 for name in NAMES}}
    found = trail[model.record(INPUTS, {"y": 1.0}, explanation=explanation)].explanation
    assert found["attributions"] == {name: 0.5 for name in NAMES}
    assert (found["method"], found["space"], found["base"]) == ("coefficients", "log-odds", 0.12)


def test_shap(trail, model):
    regression = LinearRegression().fit(X, X @ [1.0, 2.0, 3.0])
    explanation = shap.Explainer(regression, X, feature_names=NAMES)(X[:1])[0]
    with model.decision(inputs=INPUTS) as d:
        d.outputs = {"y": 1.0}
        d.explanation = explanation
    found = trail[d.id].explanation
    assert found["method"] == "shap"
    assert found["library"] == f"shap {shap.__version__}"
    assert list(found["attributions"]) == NAMES
    assert list(found["attributions"].values()) == pytest.approx(explanation.values.tolist())
    assert found["base"] == pytest.approx(float(explanation.base_values))


def test_shap_of_several_outputs(trail, model):
    forest = RandomForestClassifier(5, random_state=7).fit(X, X[:, 0] > 0.5)
    explanation = shap.TreeExplainer(forest, feature_names=NAMES)(X[:1])[0]
    assert explanation.values.shape == (3, 2)
    found = trail[model.record(INPUTS, {"y": True}, explanation=explanation)].explanation
    assert [len(each) for each in found["attributions"].values()] == [2, 2, 2]
    assert len(found["base"]) == 2


def test_names_come_from_the_inputs(trail, model):
    explanation = shap.Explanation(np.array([0.1, 0.2, 0.3]), base_values=0.5)
    found = trail[model.record(INPUTS, explanation=explanation)].explanation
    assert list(found["attributions"]) == NAMES


@pytest.mark.parametrize("shape", [(3, 3), (4, 3, 2), (2, 3, 3), (2,)])
def test_interactions_and_several_rows_are_refused(shape):
    explanation = shap.Explanation(np.zeros(shape), base_values=0.5, feature_names=NAMES)
    with pytest.raises(TypeError, match="`explanation`"):
        _explain.explanation(explanation)


def test_what_is_no_explanation():
    with pytest.raises(TypeError, match="a dict or a `shap.Explanation`"):
        _explain.explanation(7)
