"""Reads calls that take a table and answer with a value, or several, for each row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import _columns
from .._columns import Columns
from .._limits import COLUMNS_MAX
from .call import Arrays

# What `tolist` makes of these has the same type in a record.
_EXACT = frozenset("d?qlO")
_PLAIN = frozenset("d?ql")


class TableReader:
    """`names` gives the columns of arrays, once asked; `labels` the parts of an answer of several columns."""

    def __init__(
        self,
        names: Callable[[], Sequence[str] | None],
        output: str,
        labels: Callable[[int], Sequence[str] | None] | None = None,
    ) -> None:
        self._names_of = names
        self._empty: dict[str, Any] = {}
        self._output = output
        self._labels = labels
        self._named: dict[int, list[str]] = {}

    def row(self, given: Any) -> Mapping[str, Any] | None:
        try:
            # A row of an array, which most calls of a service are.
            code = given.dtype.char
            rows, width = given.shape
        except (AttributeError, ValueError):
            is_frame = type(given).__module__.partition(".")[0] == "pandas" and given.ndim == 2 and len(given) == 1
            return _row_of_pandas(given) if is_frame else None
        if rows != 1 or width > COLUMNS_MAX or type(given).__module__ != "numpy":
            return None
        empty = self._empty
        if len(empty) != width:
            empty = self._empty = dict.fromkeys(self._names_for(width))
            if len(empty) != width:
                return None
        # Half of what a new dict with these names costs.
        row = empty.copy()
        row.update(zip(empty, given.tolist()[0] if code in _EXACT else given[0]))
        return row

    def rows(self, given: Any) -> int:
        try:
            return given.shape[0]
        except (AttributeError, IndexError):
            rows = _columns.rows(given)
            return 1 if rows is None else rows

    def columns(self, given: Any) -> Columns:
        # Copies: the model may work in place, and what it saw is what counts.
        shape: tuple[int, ...] = getattr(given, "shape", ())
        names = self._names_for(shape[1]) if len(shape) == 2 and shape[1] <= COLUMNS_MAX else self._names_of()
        if type(given).__module__ == "numpy":
            return _columns.columns(given.copy(), names)
        columns = _columns.columns(given, names)
        return [(name, values.copy() if type(values).__module__ == "numpy" else values) for name, values in columns]

    def _names_for(self, width: int) -> Sequence[str]:
        names = self._names_of()
        if names is None or len(names) != width:
            return _columns.numbered(width)
        return names

    def answer(self, result: Any) -> Mapping[str, Any]:
        try:
            code = result.dtype.char
            shape = result.shape
            if type(result).__module__ == "numpy" and len(shape) <= 2:
                first = result.tolist()[0] if code in _EXACT else result[0]
                return {self._output: first} if len(shape) == 1 else dict(zip(self._names_of_answer(shape[1]), first))
        except (AttributeError, TypeError):
            if isinstance(result, (bool, int, float, str)):
                return {self._output: result}
        return {name: _first(column) for name, column in self.answers(result)}

    def answers(self, result: Any) -> Columns:
        if isinstance(result, list) and result and getattr(result[0], "ndim", 0) == 2:
            # A classifier of several outputs: an array for each.
            return [
                (f"{self._output}_{place}_{column}", values)
                for place, one in enumerate(result)
                for column, values in _columns.columns(one, [str(number) for number in range(one.shape[1])])
            ]
        shape: tuple[int, ...] = getattr(result, "shape", ())
        if type(result).__module__ == "numpy" and len(shape) == 2:
            table: Any = result
            return [(name, table[:, place]) for place, name in enumerate(self._names_of_answer(shape[1]))]
        return [(self._called(name), column) for name, column in _columns.columns(result, single=self._output)]

    def arrays(self) -> Arrays | None:
        return Arrays(False, (1, COLUMNS_MAX), COLUMNS_MAX, lambda width: list(self._names_for(width)), self._names_of_part)

    def _names_of_part(self, place: int | None, width: int) -> list[str]:
        if place is not None:
            # A classifier of several outputs: an array for each.
            return [f"{self._output}_{place}_{column}" for column in range(width)]
        return self._names_of_answer(width) if width else [self._output]

    def _called(self, name: str) -> str:
        """What a column of a table is called that the model answers with: its own name, where it has one."""
        return f"{self._output}_{name[1:]}" if name[:1] == "x" and name[1:].isdecimal() else name

    def _names_of_answer(self, width: int) -> list[str]:
        names = self._named.get(width)
        if names is None:
            labels = self._labels(width) if self._labels is not None else None
            if labels is None or len(labels) != width:
                labels = [str(place) for place in range(width)]
            names = self._named[width] = [f"{self._output}_{label}" for label in labels]
        return names


def _row_of_pandas(frame: Any) -> dict[str, Any] | None:
    """The row of a frame whose columns are all of types that a value by itself has too; None for others, such as categories."""
    row = {}
    for name, values in _columns.pandas_columns(frame):
        code = values.dtype.char if type(values).__module__ == "numpy" else None
        value = values[0]
        if code is None:
            if values.dtype.name not in ("str", "string"):
                return None
            value = value if isinstance(value, str) else None
        elif code in _PLAIN:
            value = value.item()
        row[name] = value
    return row


def class_names(classes: Callable[[], Any], width: int) -> list[str] | None:
    """The names of a classifier's classes, when there is one for each of `width` columns."""
    known = classes()
    if known is None or len(known) != width:
        return None
    return [str(one) for one in known]


def _first(column: Any) -> Any:
    """The first value of a column, as Python's or numpy's."""
    if hasattr(column, "iloc"):
        return column.iloc[0]
    value = column[0]
    return value.as_py() if hasattr(value, "as_py") else value
