"""MLflow's pyfunc models, wrapped."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import decisions
from mlflow.models import infer_signature

FRAME = pd.DataFrame({"age": [31.0, 42.0, 53.0], "income": [1.5, 2.5, 3.5]})


class Rule(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.asarray(model_input)[:, 0] > 40


@pytest.fixture
def pyfunc(tmp_path):
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(folder, python_model=Rule(), signature=infer_signature(FRAME, np.array([True])))
    return mlflow.pyfunc.load_model(str(folder))


@pytest.mark.parametrize("rows", [1, 3])
def test_a_frame(trail, model, pyfunc, rows):
    wrapped = model.wrap(pyfunc)
    answer = wrapped.predict(FRAME[:rows])
    assert np.array_equal(answer, pyfunc.predict(FRAME[:rows]))
    found = decisions(trail)
    assert [record.inputs for record in found] == FRAME[:rows].to_dict("records")
    assert [record.outputs["prediction"] for record in found] == list(answer)


def test_an_array(trail, model, tmp_path):
    mlflow.pyfunc.save_model(tmp_path / "model", python_model=Rule())
    pyfunc = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    model.wrap(pyfunc, features=["age", "income"]).predict(FRAME.to_numpy()[:1])
    model.wrap(pyfunc).predict(FRAME.to_numpy()[:1])
    first, second = decisions(trail)
    assert first.inputs == {"age": 31.0, "income": 1.5}
    assert second.inputs == {"x0": 31.0, "x1": 1.5}


def test_a_folder_is_the_artifact(trail, tmp_path, pyfunc):
    registered = trail.model("rule", "1", tmp_path / "model", git=None)
    assert len(registered.artifact) == 32
    assert isinstance(registered.wrap(pyfunc), mlflow.pyfunc.PyFuncModel)


def test_an_exception(trail, model, pyfunc):
    with pytest.raises(mlflow.exceptions.MlflowException):
        model.wrap(pyfunc).predict(pd.DataFrame({"other": [1.0]}))
    assert decisions(trail)[0].status == "MlflowException"
