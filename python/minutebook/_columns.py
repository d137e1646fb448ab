"""Tables as columns that a batch takes: pandas, Polars, Arrow, numpy, dicts of columns, lists of rows. No Python per row where the table
keeps its values without."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from ._limits import COLUMNS_MAX, SPARSE_CELLS_MAX

Columns = list[tuple[str, Any]]


def columns(table: Any, names: Sequence[str] | None = None, single: str = "x") -> Columns:
    """The columns of a table, each with its name.

    `names` are for tables without; then `x0`, `x1` … are. A table of one dimension is one column named `single`.
    Raises TypeError for what is no table.
    """
    if isinstance(table, Mapping):
        return [(str(name), values(column)) for name, column in table.items()]
    library = type(table).__module__.partition(".")[0]
    if library == "pandas":
        if table.ndim == 1:
            return [(single if table.name is None else str(table.name), _of_pandas(table))]
        return [(name, _of_pandas(values)) for name, values in pandas_columns(table)]
    if library == "polars":
        frame = table.collect() if hasattr(table, "collect") else table
        if not hasattr(frame, "get_columns"):
            return [(frame.name or single, frame)]
        return [(column.name, column) for column in frame.get_columns()]
    if library == "pyarrow" and hasattr(table, "column_names"):
        return [(name, table.column(place)) for place, name in enumerate(table.column_names)]
    if library == "scipy" and hasattr(table, "toarray"):
        table = _dense(table)
    if hasattr(table, "dtype") and hasattr(table, "ndim"):
        return _of_array(table, names, single)
    if library == "pyarrow":
        return [(single, table)]
    if isinstance(table, (list, tuple)):
        return _of_list(table, names, single)
    raise TypeError(f"a table is asked for (a data frame, an array, a dict of columns), not a `{type(table).__qualname__}`")


def values(column: Any) -> Any:
    """One column in a form that a batch takes."""
    if type(column).__module__.partition(".")[0] == "pandas":
        return _of_pandas(column)
    if hasattr(column, "ndim") and column.ndim > 1:
        return list(column)
    return column


def rows(table: Any) -> int | None:
    """How many rows a table has; None for what is no table."""
    shape = getattr(table, "shape", None)
    if shape is not None:
        return shape[0] if len(shape) else None
    if isinstance(table, Mapping):
        return next((len(column) for column in table.values()), 0)
    return len(table) if hasattr(table, "__len__") and not isinstance(table, (str, bytes)) else None


def _of_array(array: Any, names: Sequence[str] | None, single: str) -> Columns:
    if array.dtype.names:
        return [(name, array[name]) for name in array.dtype.names]
    if array.ndim == 1:
        return [(single if names is None or len(names) != 1 else names[0], array)]
    if array.ndim == 2 and array.shape[1] <= COLUMNS_MAX:
        width = array.shape[1]
        if names is None or len(names) != width:
            names = numbered(width)
        return [(name, array[:, place]) for place, name in enumerate(names)]
    if array.ndim == 0:
        raise TypeError("a table is asked for, not a single value")
    return [(single, list(array))]


def numbered(width: int) -> list[str]:
    """Names of columns that have none."""
    return [f"x{place}" for place in range(width)]


def _of_list(table: Sequence[Any], names: Sequence[str] | None, single: str) -> Columns:
    first = table[0] if table else None
    if isinstance(first, Mapping):
        every = dict.fromkeys(str(name) for row in table for name in row)
        return [(name, [row.get(name) for row in table]) for name in every]
    if isinstance(first, (list, tuple)):
        width = max(map(len, table))
        if names is None or len(names) != width:
            names = numbered(width)
        return [(name, [row[place] for row in table]) for place, name in enumerate(names)]
    return [(single, table)]


def pandas_columns(frame: Any) -> list[tuple[str, Any]]:
    """Name and values of each column: numpy's arrays, or pandas' own."""
    names = [str(name) for name in frame.columns.tolist()]
    # Twenty times as fast as asking for each column, which makes a `Series` of it; not part of pandas' interface.
    arrays = getattr(frame, "_iter_column_arrays", None)
    if arrays is None:
        return list(zip(names, (frame.iloc[:, place].array for place in range(len(names)))))
    return list(zip(names, arrays()))


def _of_pandas(column: Any) -> Any:
    """A pandas column: what numpy has as numpy has it, the rest by Arrow where pyarrow is there, else a list with None for what is missing."""
    if type(column).__module__.partition(".")[0] == "numpy":
        return column
    if type(column.dtype).__module__.partition(".")[0] == "numpy" and column.dtype.kind not in "mM":
        return column.to_numpy()
    arrow = _arrow()
    if arrow is not None:
        return arrow.array(column, from_pandas=True)
    missing = column.isna()
    return [None if gone else value for value, gone in zip(column, missing)]


@functools.cache
def _arrow() -> Any:
    """pyarrow where it is installed, also when nobody has used it yet: the type of a column must not depend on that."""
    try:
        return importlib.import_module("pyarrow")
    except ImportError:
        return None


def _dense(matrix: Any) -> Any:
    if matrix.shape[0] * matrix.shape[1] > SPARSE_CELLS_MAX:
        raise TypeError(f"a sparse matrix of {matrix.shape} cells is not recorded: record what it was made from")
    return matrix.toarray()
