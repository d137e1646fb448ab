"""What wrapping a model adds to a call with one row, for each library: `cargo xtask bench wrap`.

Wrapped and plain calls take turns, in blocks, so that both see the same machine; what is added is the median over the pairs of blocks.
Calls are back to back. The engine runs meanwhile, and drains and seals.
"""

import argparse
import json
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import minutebook
import numpy as np
import onnxruntime
import xgboost
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = 20
BLOCK_S = 0.05
PAIRS = 40

Calls = tuple[Callable[[], Any], Callable[[], Any]]


def calls(trail: Any, of: int) -> dict[str, Calls]:
    """For each case a call of the plain model and one of the wrapped."""
    drawn = np.random.default_rng(7)
    table, row = drawn.normal(size=(500, FEATURES)), drawn.normal(size=(1, FEATURES))
    row32 = row.astype(np.float32)
    classes = (table[:, 0] + table[:, 1] > 0).astype(int)
    model = trail.model(f"bench-{of}", "1", git=None)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(table, classes)
    xgb = xgboost.XGBClassifier(n_estimators=20, max_depth=3, n_jobs=1).fit(table, classes)
    booster = xgb.get_booster()
    light = lightgbm.train({"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(table, classes), 20)
    converted = convert_sklearn(
        pipeline, initial_types=[("x", FloatTensorType([None, FEATURES]))], options={id(pipeline): {"zipmap": False}}
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(converted.SerializeToString(), options)
    names = [f"x{place}" for place in range(FEATURES)]
    recorded_pipeline, recorded_xgb, recorded_light = model.wrap(pipeline), model.wrap(xgb), model.wrap(light)
    recorded_booster, recorded_session = model.wrap(booster), model.wrap(session, features=names)
    return {
        "scikit-learn, predict": (lambda: pipeline.predict(row), lambda: recorded_pipeline.predict(row)),
        "scikit-learn, predict_proba": (lambda: pipeline.predict_proba(row), lambda: recorded_pipeline.predict_proba(row)),
        "XGBoost, predict_proba": (lambda: xgb.predict_proba(row), lambda: recorded_xgb.predict_proba(row)),
        "XGBoost, inplace_predict": (lambda: booster.inplace_predict(row), lambda: recorded_booster.inplace_predict(row)),
        "LightGBM, predict": (lambda: light.predict(row), lambda: recorded_light.predict(row)),
        "ONNX Runtime, run": (lambda: session.run(None, {"x": row32}), lambda: recorded_session.run(None, {"x": row32})),
    }


def block(call: Callable[[], Any], count: int) -> float:
    """Microseconds of a call."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - start) / count * 1e6


def added(plain: Callable[[], Any], wrapped: Callable[[], Any]) -> tuple[float, float]:
    """Microseconds of a plain call, and those that wrapping adds."""
    count = max(20, int(BLOCK_S * 1e6 / block(plain, 50)))
    block(wrapped, count)
    pairs = [(block(plain, count), block(wrapped, count)) for _ in range(PAIRS)]
    return statistics.median(before for before, _ in pairs), statistics.median(after - before for before, after in pairs)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--json", action="store_true", help="the figures for programs")
    given = options.parse_args()
    warnings.filterwarnings("ignore", module="sklearn")
    folder = Path(tempfile.mkdtemp(prefix="minutebook-bench-"))
    try:
        trail = minutebook.open(folder / "trail", keys=folder / "keys", service="bench", full="block", block=60.0, on_error="raise")
        found = {name: added(*both) for name, both in calls(trail, FEATURES).items()}
        trail.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        print(json.dumps({name: {"plain": plain, "added": more} for name, (plain, more) in found.items()}, indent=1))
        return
    print(f"{'one row of ' + str(FEATURES) + ' features':32}{'plain, µs':>12}{'wrapping adds':>16}")
    for name, (plain, more) in found.items():
        print(f"{name:32}{plain:12.1f}{more:13.2f} µs{more / plain:9.1%}")


if __name__ == "__main__":
    main()
