"""Pictures of explanations, from the recorded attributions and nothing else: for one record (`Record.plot`) waterfall, force and bar, for
many `beeswarm`. They need matplotlib (`pip install "minutebook[plots]"`), which is imported when the first is drawn."""

from __future__ import annotations

import importlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from ._record import Record

__all__ = ["bar", "beeswarm", "force", "waterfall"]

Kind = Literal["waterfall", "force", "bar"]

_UP, _DOWN, _QUIET, _INK = "#d81b60", "#1e88e5", "#8a8f98", "#22252a"
_WIDTH_INCHES = 8.0
_NAME_CHARACTERS_MAX = 34
_POINTS_PER_ROW_MAX = 2_000
"""Of a feature in a beeswarm; of more every n-th is drawn, or the picture is one blot."""


class _Share(NamedTuple):
    """What a feature added."""

    name: str
    value: float


class _Explained(NamedTuple):
    """One record's explanation, as it is drawn."""

    shares: list[_Share]
    """The weightiest first, at most so many as asked for, the rest in one."""
    base: float
    has_base: bool
    residual: float | None
    title: str

    @property
    def end(self) -> float:
        return self.base + math.fsum(share.value for share in self.shares)


def waterfall(record: Record, *, of: int = 0, most: int = 10, ax: Any = None) -> Any:
    """From the base value, at the bottom, to what the model answered: a step for each feature. Gives matplotlib's `Axes`.

    `of` is the place of the output, where several are explained. At most `most` features are drawn, the others as one. Raises ValueError for
    a record without attributions.
    """
    explained = _explained(record, of, most)
    ax = _axes(ax, len(explained.shares) + 2)
    at = explained.base
    steps = list(reversed(explained.shares))
    for row, share in enumerate(steps):
        ax.barh(row, share.value, left=at, height=0.62, color=_color(share.value), zorder=2)
        end = at + share.value
        if row + 1 < len(steps):
            ax.plot([end, end], [row + 0.31, row + 0.69], color=_QUIET, linewidth=0.8, zorder=1)
        _number(ax, row, max(at, end), share.value)
        at = end
    _base(ax, explained)
    ax.axvline(at, color=_INK, linewidth=0.8, linestyle=":", zorder=0)
    _rows(ax, [share.name for share in steps])
    ax.set_ylim(-0.6, len(steps) - 0.4)
    _room(ax, 0.02, 0.09)
    _foot(ax, explained)
    return ax


def bar(record: Record, *, of: int = 0, most: int = 10, ax: Any = None) -> Any:
    """What each feature added, from 0, the weightiest on top. As `waterfall`."""
    explained = _explained(record, of, most)
    ax = _axes(ax, len(explained.shares) + 2)
    for row, share in enumerate(reversed(explained.shares)):
        ax.barh(row, share.value, height=0.62, color=_color(share.value), zorder=2)
        _number(ax, row, max(share.value, 0.0), share.value)
    ax.axvline(0.0, color=_INK, linewidth=0.8, zorder=3)
    _rows(ax, [share.name for share in reversed(explained.shares)])
    ax.set_ylim(-0.6, len(explained.shares) - 0.4)
    _room(ax, 0.02, 0.09)
    _foot(ax, explained)
    return ax


def force(record: Record, *, of: int = 0, most: int = 10, ax: Any = None) -> Any:
    """One line: what pushed the answer up comes from the left, what pushed it down from the right, and they meet at it. As `waterfall`."""
    explained = _explained(record, of, most)
    ax = _axes(ax, 3.6)
    end = explained.end
    span = math.fsum(abs(share.value) for share in explained.shares) or 1.0
    # Names stand in turns above and below, so that neighbours do not meet.
    for sign, side in ((1, -1), (-1, 1)):
        at, level = end, 0
        for share in explained.shares:
            if share.value * sign <= 0:
                continue
            width = abs(share.value)
            left = at - width if side < 0 else at
            ax.barh(0.0, width, left=left, height=0.5, color=_color(share.value), edgecolor="white", linewidth=1.2, zorder=2)
            if width / span > 0.035:
                up = level % 2 == 0
                y = 0.34 if up else -0.34
                ax.annotate(
                    f"{share.name}\n{_signed(share.value)}", (left + width / 2, 0.25 if up else -0.25), (left + width / 2, y),
                    ha="center", va="bottom" if up else "top", fontsize=8, color=_color(share.value), parse_math=False,
                )  # fmt: skip
                level += 1
            at = left if side < 0 else left + width
    ax.axvline(end, color=_INK, linewidth=1.4, zorder=3)
    _base(ax, explained)
    ax.set_yticks([])
    ax.set_ylim(-1.0, 1.0)
    _room(ax, 0.08, 0.08)
    _foot(ax, explained)
    return ax


def beeswarm(records: Sequence[Record], *, of: int = 0, most: int = 12, ax: Any = None) -> Any:
    """What each feature added in each of many records, a point each, coloured by the feature's own value among them; the features with the
    largest mean size on top. Records without attributions are left out. Raises ValueError when none is left."""
    columns: dict[str, list[tuple[float, Any]]] = {}
    explained = 0
    for record in records:
        shares = _shares(record, of) if record.explanation and record.explanation.get("attributions") else []
        explained += bool(shares)
        for share in shares:
            if math.isfinite(share.value):
                columns.setdefault(share.name, []).append((share.value, record.inputs.get(share.name)))
    if not columns:
        raise ValueError("none of these records has attributions")
    weight = {name: math.fsum(abs(value) for value, _ in points) / explained for name, points in columns.items()}
    names = sorted(columns, key=lambda name: -weight[name])[:most]
    ax = _axes(ax, len(names) + 1.5)
    colors = importlib.import_module("matplotlib.colors").LinearSegmentedColormap.from_list("minutebook", [_DOWN, "#9c6bb8", _UP])
    width = max(abs(value) for name in names for value, _ in columns[name]) or 1.0
    has_values = False
    for row, name in enumerate(reversed(names)):
        points = columns[name][:: -(-len(columns[name]) // _POINTS_PER_ROW_MAX)]
        heat = _ranks([given for _, given in points])
        known = [place for place, one in enumerate(heat) if one is not None]
        other = [place for place, one in enumerate(heat) if one is None]
        offsets = _spread([value for value, _ in points], width)
        style = {"s": 14, "linewidths": 0, "zorder": 2}
        ax.scatter([points[at][0] for at in other], [row + offsets[at] for at in other], color=_QUIET, **style)
        if known:
            has_values = True
            ax.scatter(
                [points[at][0] for at in known], [row + offsets[at] for at in known], c=[heat[at] for at in known], cmap=colors,
                vmin=0.0, vmax=1.0, **style,
            )  # fmt: skip
        ax.axhline(row, color="#e6e8eb", linewidth=0.8, zorder=0)
    ax.axvline(0.0, color=_INK, linewidth=0.8, zorder=1)
    _rows(ax, [_cut(name) for name in reversed(names)])
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel("attribution")
    ax.set_title(f"{explained} decisions", loc="left", fontsize=10)
    if has_values:
        shade = importlib.import_module("matplotlib.cm").ScalarMappable(cmap=colors)
        shade.set_clim(0.0, 1.0)
        legend = ax.figure.colorbar(shade, ax=ax, ticks=[0.0, 1.0], fraction=0.025, pad=0.02, aspect=30)
        legend.ax.set_yticklabels(["low", "high"])
        legend.set_label("value of the feature", fontsize=9)
        legend.outline.set_visible(False)
    return ax


def _shares(record: Record, of: int) -> list[_Share]:
    given = (record.explanation or {}).get("attributions")
    if not given:
        raise ValueError(f"{record!r} has no attributions")
    pairs = given.items() if isinstance(given, dict) else given
    shares = []
    for name, value in pairs:
        if isinstance(value, list):
            if not 0 <= of < len(value):
                raise ValueError(f"`of` is {of}, and {len(value)} outputs are explained, counted from 0")
            value = value[of]
        shares.append(_Share(name if isinstance(name, str) else " / ".join(map(str, name)), float(value)))
    return shares


def _explained(record: Record, of: int, most: int) -> _Explained:
    given = record.explanation or {}
    every = [share for share in _shares(record, of) if math.isfinite(share.value)]
    every.sort(key=lambda share: -abs(share.value))
    shown = every if len(every) <= most else every[: most - 1]
    rest = every[len(shown) :]
    shares = [_Share(_with_value(share.name, record), share.value) for share in shown]
    if rest:
        shares.append(_Share(f"{len(rest)} other features", math.fsum(share.value for share in rest)))
    base, residual = _at(given.get("base"), of), _at(given.get("residual"), of)
    return _Explained(shares, base or 0.0, base is not None, residual, _title(record, of))


def _title(record: Record, of: int) -> str:
    given = record.explanation or {}
    model = record.model or {}
    parts = [f"{model.get('name', '')} {model.get('version', '')}".strip(), str(given.get("method", ""))]
    what = given.get("class")
    if what is None and any(isinstance(value, list) for value in _values(given.get("attributions"))):
        what = f"output {of}"
    if what is not None:
        parts.append(f"for {what}")
    if given.get("space"):
        parts.append(f"in {given['space']}")
    return ", ".join(_cut(part) for part in parts if part)


def _values(attributions: Any) -> list[Any]:
    return list(attributions.values()) if isinstance(attributions, dict) else [value for _, value in attributions or ()]


def _with_value(name: str, record: Record) -> str:
    if name not in record.inputs:
        return _cut(name)
    value = record.inputs[name]
    if isinstance(value, float):
        told = f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    else:
        told = str(value)
    return f"{_cut(name)} = {_cut(told)}"


def _at(given: Any, of: int) -> float | None:
    if isinstance(given, list):
        return float(given[of]) if 0 <= of < len(given) else None
    return None if given is None else float(given)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _NAME_CHARACTERS_MAX else line[: _NAME_CHARACTERS_MAX - 1] + "…"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")


def _color(value: float) -> str:
    return _UP if value > 0 else _DOWN


def _axes(ax: Any, rows: float) -> Any:
    """Axes of a size that has room for so many rows, or those that are given, without what a chart does not need."""
    if ax is None:
        try:
            pyplot = importlib.import_module("matplotlib.pyplot")
        except ImportError:
            raise ImportError('pictures need matplotlib: pip install "minutebook[plots]"') from None
        _, ax = pyplot.subplots(figsize=(_WIDTH_INCHES, 0.36 * rows + 0.9), layout="constrained")
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.tick_params(axis="x", labelsize=9, colors=_INK)
    return ax


def _rows(ax: Any, names: list[str]) -> None:
    ax.set_yticks(range(len(names)))
    # Names come from the data: a `$` in them is no formula.
    ax.set_yticklabels(names, fontsize=9, parse_math=False)


def _number(ax: Any, row: float, right: float, value: float) -> None:
    ax.annotate(
        _signed(value), (right, row), (4, 0), textcoords="offset points", va="center", fontsize=8.5, color=_color(value)
    )


def _room(ax: Any, before: float, behind: float) -> None:
    """Makes room beside the bars for numbers and names, as shares of their width."""
    left, right = ax.get_xlim()
    ax.set_xlim(left - before * (right - left), right + behind * (right - left))


def _base(ax: Any, explained: _Explained) -> None:
    if explained.has_base:
        ax.axvline(explained.base, color=_QUIET, linewidth=0.8, linestyle=":", zorder=0)
        ax.annotate(
            "base", (explained.base, 1.0), (3, 0), xycoords=("data", "axes fraction"), textcoords="offset points", va="top", fontsize=7.5,
            color=_QUIET,
        )  # fmt: skip


def _foot(ax: Any, explained: _Explained) -> None:
    """Title, and what the attributions add up to."""
    parts = []
    if explained.has_base:
        parts.append(f"base value {explained.base:.4g}")
    parts.append(f"{'base value + sum' if explained.has_base else 'sum'} {explained.end:.4g}")
    span = math.fsum(abs(share.value) for share in explained.shares) or 1.0
    if explained.residual is not None and abs(explained.residual) > 1e-3 * span:
        parts.append(f"residual {_signed(explained.residual)}")
    ax.set_xlabel(", ".join(parts).replace("-", "−"), fontsize=9)
    ax.set_title(explained.title, loc="left", fontsize=10, parse_math=False)


def _ranks(values: list[Any]) -> list[float | None]:
    """Where each number stands among the others, from 0 to 1; None for what is no number."""
    numbers = sorted({float(value) for value in values if _is_number(value)})
    if len(numbers) < 2:
        return [0.5 if _is_number(value) else None for value in values]
    place = {number: rank / (len(numbers) - 1) for rank, number in enumerate(numbers)}
    return [place[float(value)] if _is_number(value) else None for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _spread(values: list[float], width: float) -> list[float]:
    """How far above or below its row each point stands, so that those of about the same value do not cover each other."""
    taken: dict[int, int] = {}
    places = []
    for value in values:
        cell = round(value / width * 60)
        places.append((cell, taken.get(cell, 0)))
        taken[cell] = places[-1][1] + 1
    crowd = max(taken.values(), default=1)
    step = min(0.09, 0.76 / crowd)
    return [(-1 if number % 2 else 1) * ((number + 1) // 2) * step for _, number in places]
