"""Statistics over all decisions of a model, kept or not: what `Trail.stats` gives."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Bars of one width: `counts[i]` numbers, about, lie between `edges[i]` and `edges[i + 1]`."""

    edges: tuple[float, ...]
    counts: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class FeatureStats:
    """One input, output or measure of the decisions of a window.

    What is None is not known: there are no numbers, or fewer than ten.
    """

    #: Its path, such as `inputs/amount`.
    path: str
    #: Decisions with a value.
    present: int
    #: Decisions without one.
    missing: int
    mean: float | None
    #: Of the sample (n - 1).
    variance: float | None
    min: float | None
    max: float | None
    #: By the part of all (0 to 1): the number at or below which that part lies. Its rank is off by less than 1.4 % with 99 % confidence.
    quantiles: Mapping[float, float]
    #: Over one scale for all windows of a model version.
    histogram: Histogram | None
    #: The most frequent texts (also of truth values and labels) with how often each occurred at least.
    top: tuple[tuple[str, int], ...]
    #: Different texts, about; None when it has no texts.
    distinct: int | None


@dataclasses.dataclass(frozen=True)
class WindowStats:
    """The decisions of a model version in a span of time."""

    #: Where it begins, UTC; None for all windows together.
    start: datetime.datetime | None
    decisions: int
    #: How many ended how: `ok`, or the type of the error.
    status: Mapping[str, int]
    #: By rule of the sampling policy: decisions that it decided about, and those that it kept.
    rules: Mapping[str, tuple[int, int]]
    #: By path.
    features: Mapping[str, FeatureStats]


@dataclasses.dataclass(frozen=True)
class ModelStats:
    """The windows of one model version, in the order of time."""

    name: str
    version: str
    #: SHA-256 of the artifact, 64 hex digits.
    artifact: str | None
    #: How long each window is.
    length: datetime.timedelta
    windows: tuple[WindowStats, ...]
    #: All windows together.
    whole: WindowStats


def models(answer: Mapping[str, Any]) -> tuple[ModelStats, ...]:
    """From an answer of `GET /v1/stats`."""
    return tuple(map(_model, answer["models"]))


def _model(found: Mapping[str, Any]) -> ModelStats:
    return ModelStats(
        name=found["model"]["name"],
        version=found["model"]["version"],
        artifact=found["model"]["artifact"],
        length=datetime.timedelta(seconds=found["length_s"]),
        windows=tuple(map(_window, found["windows"])),
        whole=_window(found["whole"]),
    )


def _window(found: Mapping[str, Any]) -> WindowStats:
    start = found.get("start")
    features = map(_feature, found["features"])
    return WindowStats(
        start=None if start is None else datetime.datetime.fromisoformat(start.replace("Z", "+00:00")),
        decisions=found["decisions"],
        status=found["status"],
        rules={name: (rule["judged"], rule["kept"]) for name, rule in found["rules"].items()},
        features={feature.path: feature for feature in features},
    )


def _feature(found: Mapping[str, Any]) -> FeatureStats:
    numbers, texts = found["numbers"] or {}, found["texts"] or {}
    parts = (part.replace("~", "~0").replace("/", "~1") for part in found["path"])
    return FeatureStats(
        path="/".join(parts),
        present=found["present"],
        missing=found["missing"],
        mean=numbers.get("mean"),
        variance=numbers.get("variance"),
        min=numbers.get("min"),
        max=numbers.get("max"),
        quantiles=dict(numbers.get("quantiles") or ()),
        histogram=_histogram(numbers.get("histogram")),
        top=tuple((text, count) for text, count in texts.get("top", ())),
        distinct=texts.get("distinct"),
    )


def _histogram(found: Mapping[str, Any] | None) -> Histogram | None:
    if found is None:
        return None
    counts: Sequence[float] = found["counts"]
    start, width = found["from"], (found["to"] - found["from"]) / len(counts)
    return Histogram(
        edges=(*(start + width * bar for bar in range(len(counts))), found["to"]),
        counts=tuple(counts),
    )
