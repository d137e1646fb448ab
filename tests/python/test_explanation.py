"""Explanations with decisions: dicts, arrays, and those of shap, LIME and alibi."""

import lime.lime_tabular
import lime.lime_text
import minutebook
import numpy as np
import pandas as pd
import pytest
import shap
import xgboost
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

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


def test_shap_of_xgboost_adds_up_to_the_margin(trail, model):
    booster = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(X, X[:, 0] > 0.5)
    explanation = shap.TreeExplainer(booster)(X[:1])[0]
    margin = float(booster.predict(X[:1], output_margin=True)[0])
    told = minutebook.explanation(explanation, space="log-odds", output=margin)
    found = trail[model.record(INPUTS, {"y": True}, explanation=told)].explanation
    assert list(found["attributions"]) == NAMES
    assert found["space"] == "log-odds"
    assert abs(found["residual"]) < 1e-5
    # The row itself (`Explanation.data`) is there once, as the inputs.
    assert not {"data", "parameters"} & set(found)


def test_the_residual_comes_from_the_records_outputs(trail, model):
    forest = RandomForestClassifier(5, random_state=7).fit(X, X[:, 0] > 0.5)
    explanation = shap.TreeExplainer(forest, feature_names=NAMES)(X[:1])[0]
    no, yes = forest.predict_proba(X[:1])[0].tolist()
    outputs = {"probability_False": no, "probability_True": yes}
    each = trail[model.record(INPUTS, outputs, explanation=minutebook.explanation(explanation, space="probability"))].explanation
    assert each["residual"] == pytest.approx([0.0, 0.0], abs=1e-9)
    with model.decision(inputs=INPUTS) as d:
        d.outputs = outputs
        d.explanation = minutebook.explanation({"method": "own", "base": 0.5, "attributions": {"age": 0.25}}, of="True", space="probability")
    assert trail[d.id].explanation["residual"] == pytest.approx(0.75 - yes)
    # Which output is meant is not said: no residual, and not a wrong one.
    silent = trail[model.record(INPUTS, outputs, explanation=explanation)].explanation
    assert silent.get("residual") is None


@pytest.mark.parametrize(
    ("space", "of", "outputs", "residual"),
    [
        ("raw", None, {"prediction": 2.0}, -0.5),
        ("raw", "price", {"price": 2.0, "tax": 1.0}, -0.5),
        ("raw", None, {"price": 2.0}, None),
        ("probability", None, {"probability": 0.5}, 1.0),
        ("probability", "yes", {"probability_no": 0.5, "probability_yes": 0.25}, 1.25),
        ("probability", "yes", {"yes": True}, None),
        ("log-odds", None, {"decision": 1.0}, 0.5),
        ("log-odds", "probability", {"probability": 1.0}, None),
        (None, "price", {"price": 2.0}, None),
    ],
)
def test_which_output_is_explained(trail, model, space, of, outputs, residual):
    told = minutebook.explanation({"method": "own", "base": 1.0, "attributions": {"age": 0.5}}, space=space, of=of)
    found = trail[model.record(INPUTS, outputs, explanation=told)].explanation
    assert found.get("residual") == residual


def test_one_class_of_several(trail, model):
    iris = load_iris()
    forest = RandomForestClassifier(5, random_state=7).fit(iris.data, iris.target)
    explainer = shap.TreeExplainer(forest, feature_names=iris.feature_names)
    # As many features as classes: what tells them from interactions are the base values.
    three = shap.TreeExplainer(RandomForestClassifier(5, random_state=7).fit(iris.data[:, :3], iris.target))(iris.data[:1, :3])
    assert np.asarray(minutebook.explanation(three)["attributions"][1]).shape == (3, 3)
    told = minutebook.explanation(explainer(iris.data[100:101]), of=2, space="probability", output=forest.predict_proba(iris.data[100:101])[0, 2])
    found = trail[model.record(dict(zip(iris.feature_names, iris.data[100].tolist())), explanation=told)].explanation
    assert all(isinstance(value, float) for value in found["attributions"].values())
    # Named `class` in what is read, as docs/formats/json.md says.
    assert found["class"] == 2
    assert abs(found["residual"]) < 1e-9
    with pytest.raises(TypeError, match="3 outputs, without names"):
        minutebook.explanation(explainer(iris.data[:1]), of="virginica")


def test_shap_with_names_of_outputs():
    explanation = shap.Explanation(
        np.arange(6.0).reshape(3, 2), base_values=np.array([0.5, 0.25]), feature_names=NAMES, output_names=["no", "yes"]
    )
    assert minutebook.explanation(explanation)["parameters"] == {"outputs": ["no", "yes"]}
    told = minutebook.explanation(explanation, of="yes")
    assert (told["of"], told["base"], told["attributions"][1].tolist()) == ("yes", 0.25, [1.0, 3.0, 5.0])
    with pytest.raises(TypeError, match="named `no`, `yes`"):
        minutebook.explanation(explanation, of="maybe")


@pytest.mark.parametrize("discretize", [True, False])
def test_lime_of_a_table(trail, model, discretize):
    forest = RandomForestClassifier(20, random_state=7).fit(X, X[:, 0] > 0.5)
    explainer = lime.lime_tabular.LimeTabularExplainer(
        X, feature_names=NAMES, class_names=["no", "yes"], discretize_continuous=discretize, random_state=7
    )
    explained = explainer.explain_instance(X[0], forest.predict_proba, num_samples=200)
    told = minutebook.explanation(explained, parameters={"num_samples": 200}, seed=7)
    found = trail[model.record(INPUTS, {"y": True}, explanation=told)].explanation
    terms = dict(explained.as_list())
    assert found["attributions"] == pytest.approx(terms)
    assert any("<" in term or ">" in term for term in terms) == discretize
    assert (found["method"], found["library"], found["class"], found["space"]) == ("lime", "lime 0.2.0.1", "yes", "probability")
    assert found["base"] == pytest.approx(explained.intercept[1])
    assert (found["seed"], found["parameters"]["num_samples"]) == (7, 200)
    r2 = explained.score[1] if isinstance(explained.score, dict) else explained.score
    assert found["parameters"]["local_r2"] == pytest.approx(float(r2))
    assert found["residual"] == pytest.approx(explained.intercept[1] + sum(terms.values()) - explained.predict_proba[1])


def test_lime_of_a_regression(trail, model):
    regression = LinearRegression().fit(X, X @ [1.0, 2.0, 3.0])
    explainer = lime.lime_tabular.LimeTabularExplainer(X, mode="regression", feature_names=NAMES, random_state=7)
    explained = explainer.explain_instance(X[0], regression.predict, num_samples=200)
    found = trail[model.record(INPUTS, {"y": 1.0}, explanation=explained)].explanation
    assert found["space"] == "raw"
    assert found["attributions"] == pytest.approx(dict(explained.as_list()))
    assert found["residual"] == pytest.approx(found["base"] + sum(found["attributions"].values()) - explained.predicted_value)


TEXTS = ["the loan was paid back", "paid on time", "never paid the loan", "the loan is late", "late again", "paid back on time"]


def test_lime_of_a_text(trail, model):
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [1, 1, 0, 0, 0, 1])
    explainer = lime.lime_text.LimeTextExplainer(class_names=["bad", "good"], random_state=7)
    text = "the loan was late again"
    explained = explainer.explain_instance(text, classifier.predict_proba, num_samples=200, labels=(0, 1))
    found = trail[model.record({"text": text}, {"y": "bad"}, explanation=explained)].explanation
    # Two classes were explained: without `of` the one that the model holds most probable.
    assert found["class"] == "bad"
    assert found["attributions"] == pytest.approx(dict(explained.as_list(label=0)))
    assert set(found["attributions"]) <= set(text.split())
    assert minutebook.explanation(explained, of="good")["of"] == "good"
    with pytest.raises(TypeError, match="LIME explained `bad`, `good`"):
        minutebook.explanation(explained, of="ugly")


def test_a_word_twice(trail, model):
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, [1, 1, 0, 0, 0, 1])
    explainer = lime.lime_text.LimeTextExplainer(bow=False, random_state=7)
    explained = explainer.explain_instance("late late loan", classifier.predict_proba, num_samples=50)
    found = trail[model.record({"text": "late late loan"}, {"y": 0}, explanation=explained)].explanation
    assert sorted(word for word, _ in found["attributions"]) == ["late", "late", "loan"]


def test_an_array(trail, model):
    """A stand-in for a tensor of Captum, which gives numbers and nothing else."""
    array = np.array([[0.25, -0.5, 1.0]], dtype=np.float32)
    told = minutebook.explanation(array, method="integrated-gradients", base=0.5, output=1.25, space="raw", features=NAMES)
    found = trail[model.record(INPUTS, explanation=told)].explanation
    assert found["attributions"] == dict(zip(NAMES, [0.25, -0.5, 1.0]))
    assert (found["method"], found["residual"]) == ("integrated-gradients", 0.0)
    with pytest.raises(TypeError, match="by which method"):
        minutebook.explanation(array, features=NAMES)
    unnamed = trail[model.record(INPUTS, explanation=minutebook.explanation(array, method="own"))].explanation
    assert list(unnamed["attributions"]) == NAMES
    with pytest.raises(TypeError, match="4 features"):
        minutebook.explanation(array, method="own", features=[*NAMES, "more"])


def alibi(name, data, **params):
    """A stand-in for alibi, which needs an older numpy than the rest: its class and members as its documentation has them."""
    made = type("Explanation", (), {"__module__": "alibi.api.interfaces"})()
    made.meta = {"name": name, "type": ["blackbox"], "explanations": ["local"], "params": params, "version": "0.9.6"}
    made.data = data
    return made


def test_alibis_shap_values(trail, model):
    data = {
        "shap_values": [np.array([[0.5, -0.25, 0.0]]), np.array([[-0.5, 0.25, 0.0]])],
        "expected_value": np.array([0.25, 0.75]),
        "feature_names": NAMES,
        "raw": {"raw_prediction": np.array([[0.5, 0.5]]), "prediction": np.array([0])},
    }
    given = alibi("KernelShap", data, link="logit", weights=None, kwargs={})
    found = trail[model.record(INPUTS, {"y": True}, explanation=given)].explanation
    assert found["attributions"] == {"age": [0.5, -0.5], "income": [-0.25, 0.25], "debt": [0.0, 0.0]}
    assert (found["method"], found["library"], found["space"]) == ("KernelShap", "alibi 0.9.6", "log-odds")
    assert found["residual"] == [0.0, 0.0]
    assert found["parameters"] == {"link": "logit"}
    one = minutebook.explanation(given, of=1)
    assert (one["base"], one["residual"], one["attributions"][1].tolist()) == (0.75, 0.0, [-0.5, 0.25, 0.0])


def test_alibis_anchors(trail, model):
    data = {"anchor": ["age <= 0.24", "debt > 0.5"], "precision": 0.97, "coverage": 0.1, "raw": {"mean": [0.75, 0.97]}}
    found = trail[model.record(INPUTS, {"y": True}, explanation=alibi("AnchorTabular", data, seed=7))].explanation
    assert found["attributions"] == pytest.approx({"age <= 0.24": 0.75, "debt > 0.5": 0.22})
    assert found["parameters"] == {"seed": 7, "precision": 0.97, "coverage": 0.1}
    empty = {"anchor": [], "precision": 1.0, "coverage": 1.0, "raw": {"mean": []}}
    assert trail[model.record(INPUTS, explanation=alibi("AnchorText", empty))].explanation["attributions"] == {}


def test_what_alibi_has_else_is_refused():
    with pytest.raises(TypeError, match="`CounterfactualProto` is not taken"):
        minutebook.explanation(alibi("CounterfactualProto", {"cf": None}))


def dice(name, **members):
    """A stand-in for dice-ml: a class of its module with the members that count."""
    made = type(name, (), {"__module__": "dice_ml.counterfactual_explanations"})()
    vars(made).update(members)
    return made


FRAME = pd.DataFrame({"age": [31, 40], "income": [np.float32(0.5), 2.0], "purpose": ["car", "tv"]})


@pytest.mark.parametrize(
    "given",
    [
        [{"age": 31, "income": 0.5, "purpose": "car"}, {"age": np.int64(40), "income": 2.0, "purpose": "tv"}],
        FRAME,
        dice("CounterfactualExamples", final_cfs_df=FRAME, final_cfs_df_sparse=None),
        dice("CounterfactualExamples", final_cfs_df=FRAME[:1], final_cfs_df_sparse=FRAME),
        dice("CounterfactualExplanations", cf_examples_list=[dice("CounterfactualExamples", final_cfs_df=FRAME)]),
    ],
)
def test_counterfactuals(trail, model, given):
    told = minutebook.explanation({"method": "own", "attributions": {"age": 0.5}}, counterfactuals=given)
    found = trail[model.record(INPUTS, explanation=told)]
    assert found.counterfactuals == [{"age": 31, "income": 0.5, "purpose": "car"}, {"age": 40, "income": 2.0, "purpose": "tv"}]
    assert found.explanation["attributions"] == {"age": 0.5}


def test_none_were_found(trail, model):
    given = dice("CounterfactualExamples", final_cfs_df=None)
    told = minutebook.explanation({"method": "own", "attributions": {"age": 0.5}}, counterfactuals=given)
    assert trail[model.record(INPUTS, explanation=told)].counterfactuals == []


@pytest.mark.parametrize("given", ["3000", [1.0], {"age": 3}, [{"age": object()}], dice("CounterfactualExplanations", cf_examples_list=[1, 2])])
def test_what_is_no_counterfactual(given):
    with pytest.raises(TypeError):
        minutebook.explanation({"method": "own", "attributions": {"age": 0.5}}, counterfactuals=given)


@pytest.mark.parametrize("shape", [(3, 3), (4, 3, 2), (2, 3, 3), (2,)])
def test_interactions_and_several_rows_are_refused(shape):
    explanation = shap.Explanation(np.zeros(shape), base_values=0.5, feature_names=NAMES)
    with pytest.raises(TypeError, match="`explanation`"):
        minutebook.explanation(explanation)


def test_what_is_no_explanation():
    with pytest.raises(TypeError, match="a dict, an array, or an `Explanation`"):
        minutebook.explanation(7)
