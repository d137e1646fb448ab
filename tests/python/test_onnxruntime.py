"""ONNX Runtime's sessions, wrapped."""

import numpy as np
import onnxruntime
import pytest
from conftest import decisions
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

GENERATOR = np.random.default_rng(7)
X = GENERATOR.random((40, 3)).astype("float32")
Y = (X[:, 0] > 0.5).astype(int)
NAMES = ["age", "income", "debt"]


def session(zipmap):
    classifier = LogisticRegression().fit(X, Y)
    made = to_onnx(classifier, X[:1], options={id(classifier): {"zipmap": zipmap}})
    return onnxruntime.InferenceSession(made.SerializeToString())


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("zipmap", [True, False])
def test_a_classifier(trail, model, rows, zipmap):
    plain = session(zipmap)
    wrapped = model.wrap(plain, features=NAMES)
    labels, probabilities = wrapped.run(None, {"X": X[:rows]})
    expected = plain.run(None, {"X": X[:rows]})
    assert np.array_equal(labels, expected[0])
    assert np.array_equal(probabilities, expected[1])
    found = decisions(trail)
    assert len(found) == rows
    label, probability = (output.name for output in plain.get_outputs())
    for place, record in enumerate(found):
        assert record.inputs == {name: float(value) for name, value in zip(NAMES, X[place])}
        each = probabilities[place] if zipmap else dict(enumerate(probabilities[place]))
        assert record.outputs == {
            label: int(labels[place]),
            f"{probability}_0": pytest.approx(each[0]),
            f"{probability}_1": pytest.approx(each[1]),
        }


def test_rows_as_tensors_where_no_names_are_given(trail, model):
    model.wrap(session(False)).run(None, {"X": X[:2]})
    model.wrap(session(False)).run(None, {"X": X[:1]})
    found = decisions(trail)
    assert np.array_equal(found[1].inputs["X"], X[1])
    assert np.array_equal(found[2].inputs["X"], X[0])


def test_only_what_was_asked_for(trail, model):
    plain = session(False)
    label = plain.get_outputs()[0].name
    assert len(model.wrap(plain).run([label], {"X": X[:1]})) == 1
    assert list(decisions(trail)[0].outputs) == [label]


def test_several_inputs(trail, model):
    nodes = [helper.make_node("Add", ["a", "b"], ["sum"])]
    value = helper.make_tensor_value_info
    ends = [value(name, TensorProto.FLOAT, [None]) for name in "ab"]
    graph = helper.make_graph(nodes, "adds", ends, [value("sum", TensorProto.FLOAT, [None])])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    wrapped = model.wrap(onnxruntime.InferenceSession(made.SerializeToString()))
    wrapped.run(None, {"a": np.array([1, 2], "float32"), "b": np.array([3, 4], "float32")})
    found = decisions(trail)
    assert [record.inputs for record in found] == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert [record.outputs for record in found] == [{"sum": 4}, {"sum": 6}]


def test_it_is_still_a_session_and_its_exceptions_are_its_own(trail, model):
    wrapped = model.wrap(session(False))
    assert isinstance(wrapped, onnxruntime.InferenceSession)
    assert [each.name for each in wrapped.get_inputs()] == ["X"]
    with pytest.raises(ValueError):
        wrapped.run(None, {"Y": X[:1]})
    assert decisions(trail)[0].status == "ValueError"
