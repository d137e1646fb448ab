"""Pictures of explanations: what is drawn, not how it looks."""

import math

import matplotlib
import minutebook
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

INPUTS = {"amount": 4870.0, "purpose": "car", "age": 31, r"$\x$": 0.5}
EXPLANATION = {"method": "own", "base": 0.5, "attributions": {"amount": -0.4, "purpose": 0.1, "age": 0.25, r"$\x$": 0.0625}}


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


@pytest.fixture
def record(trail, model):
    return trail[model.record(INPUTS, {"y": 1}, explanation=EXPLANATION)]


def bars(axes):
    """Left end and width of each bar, from the bottom."""
    found = sorted(axes.patches, key=lambda bar: bar.get_y())
    return [(bar.get_x(), bar.get_width()) for bar in found]


def names(axes):
    return [label.get_text() for label in axes.get_yticklabels()]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def drawn(axes):
    """Drawn in full: what matplotlib cannot draw, such as a bad formula, raises here."""
    axes.figure.canvas.draw()
    return axes


def test_waterfall(record):
    axes = drawn(record.plot())
    # The smallest at the bottom, each where the one before ends.
    assert names(axes) == [r"$\x$ = 0.5", "purpose = car", "age = 31", "amount = 4870"]
    at = 0.5
    for (left, width), value in zip(bars(axes), [0.0625, 0.1, 0.25, -0.4], strict=True):
        assert left == pytest.approx(at)
        assert width == pytest.approx(value)
        at += value
    assert [text for text in texts(axes) if text != "base"] == ["+0.0625", "+0.1", "+0.25", "−0.4"]
    assert axes.get_xlabel() == "base value 0.5, base value + sum 0.5125"
    assert axes.get_title(loc="left") == "credit-risk 1.4.0, own"


def test_bar_and_the_rest_in_one(record):
    axes = drawn(record.plot("bar", most=3))
    assert names(axes) == ["2 other features", "age = 31", "amount = 4870"]
    assert bars(axes) == [(0.0, pytest.approx(0.1625)), (0.0, pytest.approx(0.25)), (0.0, pytest.approx(-0.4))]


def test_force(record):
    axes = drawn(record.plot("force"))
    end = 0.5125
    ups = sorted((left, width) for left, width in bars(axes) if left + width <= end + 1e-9)
    downs = [(left, width) for left, width in bars(axes) if left >= end - 1e-9]
    assert [width for _, width in ups] == pytest.approx([0.0625, 0.1, 0.25])
    assert ups[-1][0] + ups[-1][1] == pytest.approx(end)
    assert downs == [(pytest.approx(end), pytest.approx(0.4))]
    assert any(text.startswith("amount = 4870\n−0.4") for text in texts(axes))


def test_several_outputs(trail, model):
    given = {"method": "own", "base": [0.25, 0.75], "residual": [0.0, 0.125], "attributions": (["a", "b"], np.array([[0.5, -0.5], [0.25, -0.25]]))}
    record = trail[model.record({"a": 1, "b": 2}, explanation=given)]
    assert [width for _, width in bars(drawn(record.plot()))] == [0.25, 0.5]
    second = drawn(record.plot(of=1))
    assert [width for _, width in bars(second)] == [-0.25, -0.5]
    assert second.get_xlabel() == "base value 0.75, base value + sum 0, residual +0.125"
    assert second.get_title(loc="left").endswith("output 1")
    with pytest.raises(ValueError, match="2 outputs"):
        record.plot(of=2)


def test_beeswarm(trail, model):
    generator = np.random.default_rng(7)
    for place in range(40):
        attributions = {"small": 0.01 * float(generator.normal()), "large": float(generator.normal()), "text": 0.1}
        inputs = {"small": place, "large": 1.0 - place, "text": "x"}
        model.record(inputs, explanation={"method": "own", "attributions": attributions})
    model.record({"small": 1})
    trail.flush()
    axes = drawn(minutebook.plots.beeswarm(trail.records(kind="decision")))
    assert names(axes) == ["small", "text", "large"]
    assert axes.get_title(loc="left") == "40 decisions"
    points = sum(len(drawn.get_offsets()) for drawn in axes.collections)
    assert points == 3 * 40
    heights = np.concatenate([np.asarray(one.get_offsets())[:, 1] for one in axes.collections])
    # A point stands nearer to its own row than to any other.
    assert np.abs(heights - heights.round()).max() < 0.5


def test_axes_of_your_own(record):
    _, (left, right) = pyplot.subplots(1, 2)
    assert record.plot("bar", ax=left) is left
    assert record.plot("force", ax=right) is right


def test_what_is_no_number_is_left_out(trail, model):
    record = trail[model.record({"a": 1}, explanation={"method": "own", "attributions": {"a": math.nan, "b": 0.5}})]
    assert [width for _, width in bars(drawn(record.plot("bar")))] == [0.5]


def test_nothing_to_draw(trail, model):
    record = trail[model.record({"a": 1})]
    with pytest.raises(ValueError, match="has no attributions"):
        record.plot()
    with pytest.raises(ValueError, match="`kind`"):
        record.plot("pie")
    with pytest.raises(ValueError, match="none of these"):
        minutebook.plots.beeswarm([record])


def test_without_matplotlib(record, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"minutebook\[plots\]"):
        record.plot()
