"""Statistics over all decisions, kept or not."""

from __future__ import annotations

import statistics
from pathlib import Path

import minutebook
import pytest


def record(trail: minutebook.Trail, count: int = 500) -> list[float]:
    model = trail.model("credit", version="1.4")
    amounts = [float((n * 7919) % 1000) for n in range(count)]
    for n, amount in enumerate(amounts):
        inputs = {"amount": amount, "purpose": "car" if n % 4 else "boat", "age": None if n % 5 == 0 else n % 60}
        model.record(inputs=inputs, outputs={"approve": n % 2 == 0, "label": n % 3})
    trail.flush()
    return amounts


def test_quantiles_histogram_and_top_values(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail") as trail:
        amounts = record(trail)
        (found,) = trail.stats("credit", quantiles=(0, 0.5, 0.9, 1), bins=10)
        assert (found.name, found.version, found.whole.decisions) == ("credit", "1.4", 500)
        assert sum(window.decisions for window in found.windows) == 500
        assert found.whole.status == {"ok": 500}
        amount = found.whole.features["inputs/amount"]
        assert (amount.min, amount.max) == (min(amounts), max(amounts)) == (amount.quantiles[0.0], amount.quantiles[1.0])
        assert amount.mean == pytest.approx(statistics.fmean(amounts))
        assert amount.variance == pytest.approx(statistics.variance(amounts))
        ordered = sorted(amounts)
        for part in (0.5, 0.9):
            rank = sum(value <= amount.quantiles[part] for value in ordered) / len(ordered)
            assert rank == pytest.approx(part, abs=0.03)
        assert amount.histogram is not None
        assert len(amount.histogram.edges) == 11
        assert sum(amount.histogram.counts) == pytest.approx(500)
        assert all(30 < count < 70 for count in amount.histogram.counts)
        purpose = found.whole.features["inputs/purpose"]
        assert (purpose.top, purpose.distinct) == ((("car", 375), ("boat", 125)), 2)
        assert found.whole.features["inputs/age"].missing == 100
        assert found.whole.features["outputs/approve"].top == (("false", 250), ("true", 250))
        assert found.whole.features["outputs/label"].distinct == 3
        (few,) = trail.stats("credit@1.4", by="minute", features=["inputs/amount"], top=1)
        assert {path for window in few.windows for path in window.features} == {"inputs/amount"}
        assert trail.stats("nobody") == ()


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail") as trail:
        record(trail, 3)
        for wrong, words in [
            ({"quantiles": [1.5]}, "from 0 to 1"),
            ({"by": "week"}, "`minute`, `hour` or `day`"),
            ({"bins": 0}, "from 1 to"),
            ({"since": "yesterday"}, "not a time"),
        ]:
            with pytest.raises(minutebook.EngineError, match=words):
                trail.stats("credit", **wrong)  # type: ignore[arg-type]


def test_windows_add_up_when_the_engine_ends(tmp_path: Path) -> None:
    with minutebook.open(tmp_path / "trail") as trail:
        record(trail)
        counted = trail.verify()["windows"]
        assert counted["decisions"] == 500
    with minutebook.open(tmp_path / "trail") as trail:
        (found,) = trail.stats("credit", by="day")
        assert found.whole.decisions == 500
