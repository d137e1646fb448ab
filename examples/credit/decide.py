"""Trains a credit model on real applications and decides all of them, each decision recorded with the SHAP values that explain it.

    python examples/credit/decide.py target/data/germancredit.csv demo-trail --keys demo-keys
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import shap
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OrdinalEncoder

import minutebook

PARAMS = {"threshold": 0.5, "trees": 60, "depth": 3, "seed": 7}
TARGET = "creditability"  # "good" or "bad": how the credit turned out


def load(path):
    """The applications, one dict each, and how they turned out. Whole numbers become int, the rest stays text."""
    with open(path, newline="", encoding="utf-8") as file:
        applications = [{k: int(v) if v.isdecimal() else v for k, v in row.items()} for row in csv.DictReader(file)]
    good = np.array([a.pop(TARGET) == "good" for a in applications])
    return applications, good


class Numbers:
    """Applications as the trees see them: each text a number of its own."""

    def __init__(self, applications):
        self.text = [name for name, value in applications[0].items() if isinstance(value, str)]
        self.encoder = OrdinalEncoder().fit([[a[name] for name in self.text] for a in applications])

    def of(self, applications):
        codes = self.encoder.transform([[a[name] for name in self.text] for a in applications])
        coded = [{**a, **dict(zip(self.text, row))} for a, row in zip(applications, codes)]
        return np.array([list(a.values()) for a in coded], dtype=float)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("data", type=Path)
    options.add_argument("trail", type=Path)
    options.add_argument("--keys", type=Path, help="the folder of the trail's keys")
    given = options.parse_args()

    applications, good = load(given.data)
    features = list(applications[0])
    numbers = Numbers(applications)
    table = numbers.of(applications)
    train, held_out = train_test_split(np.arange(len(good)), train_size=0.5, random_state=PARAMS["seed"], stratify=good)
    clf = GradientBoostingClassifier(n_estimators=PARAMS["trees"], max_depth=PARAMS["depth"], random_state=PARAMS["seed"])
    clf.fit(table[train], good[train])
    explain = shap.TreeExplainer(clf, feature_names=features)

    # The two lines around the model: a trail, and the model whose decisions go into it.
    trail = minutebook.open(given.trail, keys=given.keys, service="credit", on_error="raise")
    credit = trail.model("german-credit", "1.0.0", artifact=clf, params=PARAMS, training_data=(table[train], good[train]))

    for number, (application, row) in enumerate(zip(applications, table), start=1):
        with credit.decision(subject=f"applicant-{number:04}", inputs=application) as decision:
            probability = float(clf.predict_proba(row[None])[0, 1])
            decision.outputs = {"approve": probability >= PARAMS["threshold"], "probability": probability}
            decision.explanation = explain(row[None])[0]
    found = trail[decision.id]
    assert found.outputs == decision.outputs, "a record is read as it was written"

    right = np.mean((clf.predict_proba(table[held_out])[:, 1] >= PARAMS["threshold"]) == good[held_out])
    print(f"{number:,} decisions recorded and sealed; {right:.0%} right on the half that the model was not trained on")
    trail.close()


if __name__ == "__main__":
    main()
