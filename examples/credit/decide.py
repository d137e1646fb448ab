"""Trains a credit model on real applications, decides all of them, and writes each decision as a line of JSON.

The lines are what `minutebook record` reads (docs/formats/json.md). Nothing here knows about Minutebook otherwise.

    python examples/credit/decide.py target/data/germancredit.csv | minutebook --trail demo-trail record
"""

import csv
import hashlib
import json
import math
import pickle
import platform
import sys
import time
from pathlib import Path

import numpy as np
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NAME, VERSION = "german-credit", "1.0.0"
PARAMS = {"threshold": 0.5, "C": 0.5, "max_iter": 1000, "seed": 7}
TARGET = "creditability"  # "good" or "bad": how the credit turned out


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def load(path):
    """The applications, one dict each, and how they turned out. Whole numbers become int, the rest stays text."""
    with open(path, newline="", encoding="utf-8") as file:
        applications = [{k: int(v) if v.isdecimal() else v for k, v in row.items()} for row in csv.DictReader(file)]
    good = np.array([a.pop(TARGET) == "good" for a in applications])
    return applications, good


def table(applications):
    return np.array([list(a.values()) for a in applications], dtype=object)


class Model:
    """A fitted pipeline, and what is needed to explain it."""

    def __init__(self, applications, good):
        self.features = list(applications[0])
        numeric = [i for i, v in enumerate(applications[0].values()) if isinstance(v, int)]
        text = [i for i in range(len(self.features)) if i not in numeric]
        self.pipeline = make_pipeline(
            make_column_transformer(
                (StandardScaler(), numeric),
                (OneHotEncoder(handle_unknown="ignore", sparse_output=False), text),
            ),
            LogisticRegression(C=PARAMS["C"], max_iter=PARAMS["max_iter"], random_state=PARAMS["seed"]),
        )
        self.pipeline.fit(table(applications), good)
        self.artifact = sha256(pickle.dumps(self.pipeline, protocol=5))

        # For the explanation: which feature each column of the prepared matrix came from (a text feature has a column
        # per category), and the mean of each column over the applications that the model was trained on.
        categories = self.pipeline[0].named_transformers_["onehotencoder"].categories_
        self.feature_of_column = np.array(numeric + [i for i, c in zip(text, categories) for _ in c])
        self.mean = self.pipeline[0].transform(table(applications)).mean(axis=0)
        self.coefficients = self.pipeline[1].coef_[0]
        self.base = float(self.pipeline[1].intercept_[0] + self.coefficients @ self.mean)
        self.background = sha256(json.dumps(applications).encode())

    def decide(self, application):
        """The probability that the credit turns out well, and the row as the regression saw it."""
        prepared = self.pipeline[0].transform(table([application]))
        return float(self.pipeline[1].predict_proba(prepared)[0, 1]), prepared[0]

    def explain(self, probability, prepared):
        """Exact for a linear model: coefficient × (value − mean), the columns of a text feature summed."""
        parts = np.bincount(self.feature_of_column, self.coefficients * (prepared - self.mean))
        log_odds = math.log(probability / (1 - probability))  # of what was answered, so that the residual is a check
        return {
            "method": "coefficients",
            "library": f"scikit-learn {sklearn.__version__}",
            "space": "log-odds",
            "class": "good",
            "background": self.background,
            "base": self.base,
            "residual": log_odds - self.base - float(parts.sum()),
            "attributions": dict(zip(self.features, parts.tolist())),
        }


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: decide.py FILE.csv")
    applications, good = load(Path(sys.argv[1]))
    numbers = range(len(applications))
    training, _ = train_test_split(numbers, train_size=0.5, random_state=PARAMS["seed"], stratify=good)
    model = Model([applications[i] for i in training], good[training])
    trained_on = set(training)

    for i in numbers:
        started, clock = time.time_ns(), time.perf_counter_ns()
        probability, prepared = model.decide(applications[i])
        duration_ns = time.perf_counter_ns() - clock
        decision = {
            "kind": "decision",
            "model": {"name": NAME, "version": VERSION, "artifact": model.artifact},
            "params": PARAMS,
            "inputs": applications[i],
            "outputs": {"approve": probability >= PARAMS["threshold"], "probability": probability},
            "explanation": model.explain(probability, prepared),
            "subject": f"applicant-{i + 1:04}",
            "time": started,
            "duration_ns": duration_ns,
            "tags": {"sample": "training" if i in trained_on else "held out"},
            "environment": {"python": platform.python_version(), "scikit-learn": sklearn.__version__},
        }
        print(json.dumps(decision, allow_nan=False))
    held_out = [i for i in numbers if i not in trained_on]
    accuracy = model.pipeline.score(table([applications[i] for i in held_out]), good[held_out])
    print(f"decided {len(applications)} applications; {accuracy:.0%} right on the half not trained on", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader is gone and has said why; the rest of the decisions have nowhere to go.
        sys.stdout = None
        sys.exit(1)
