"""Questions to the index of a trail, and what they find: rows, and counts of rows. Rows come as Arrow where pyarrow is, else as JSON."""

from __future__ import annotations

import datetime
import html
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _values
from ._client import Answer, BrokenOff, NoEngine, Problem
from ._faults import EngineError
from ._limits import SEAL_TIMEOUT_S

if TYPE_CHECKING:
    from ._remote import Asked

When = datetime.datetime | datetime.timedelta | str
"""A moment: one with its time zone, so long ago, or a text as the command line takes it (`7d`, `2026-11-21`, RFC 3339)."""

ARROW_STREAM = "application/vnd.apache.arrow.stream"
ARROW_EXTRA = "arrow"

WRONG = ("wrong-question", "no-such-table", "bad-request")
"""Codes of problems that whoever asks can mend."""

ROWS_SHOWN = 10
COLUMNS_SHOWN = 20
TEXT_COLUMNS = 140
CELL_CHARACTERS = 36
"""Of a picture of rows: what fits a screen."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_AGO = re.compile(r"\s*(\d{1,9})\s*([wdhms])")
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


class QuestionError(ValueError):
    """A search or a query is wrong: no SQL, a column, model or table that is not there (names that are near are told), no time."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code
        """For programs (docs/api.md): `wrong-question`, `no-such-table`, `bad-request`."""


class Rows:
    """The rows of an answer, in memory, with named columns. They do not change when more is recorded.

    `len(rows)`; iteration gives a dict a row. With pyarrow they are an Arrow table: `to_arrow`, `to_pandas`, `to_polars`, and for
    whatever takes Arrow's PyCapsule interface (`polars.DataFrame(rows)`, DuckDB) itself. Without pyarrow rows are what JSON has:
    instants other than the column `time` are texts (RFC 3339), and so are NaN and the infinities.
    """

    def __init__(
        self,
        columns: Iterable[str],
        *,
        table: Any = None,
        told: list[dict[str, Any]] | None = None,
        cursor: str | None = None,
        position: int | None = None,
    ) -> None:
        self.columns: tuple[str, ...] = tuple(columns)
        """Their names."""
        self.cursor = cursor
        """Where the next page begins, for `search(cursor=…)`; None when there are no more rows."""
        self.position = position
        """Entries of the log that a search looked through; None for `sql`."""
        self._table = table
        self._told = told or []

    def __len__(self) -> int:
        return len(self._told) if self._table is None else self._table.num_rows

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each row by the names of its columns. Times are cut to microseconds, in UTC. Raises ValueError when two columns have one name."""
        return self._rows(len(self))

    def _rows(self, most: int) -> Iterator[dict[str, Any]]:
        if len(set(self.columns)) < len(self.columns):
            twice = next(name for name in self.columns if self.columns.count(name) > 1)
            raise ValueError(f"two columns are named `{twice}`: name one of them otherwise, with AS")
        if self._table is None:
            return (_read(row) for row in self._told[:most])
        return _of_table(self.columns, self._table.slice(0, most))

    def to_arrow(self) -> Any:
        """A `pyarrow.Table`, without a copy. Raises ImportError when pyarrow was not there when it was asked."""
        if self._table is None:
            raise ImportError(_missing("these rows came without Arrow, for which pyarrow has to be there when they are asked for", ARROW_EXTRA))
        return self._table

    def to_pandas(self, **options: Any) -> Any:
        """A `pandas.DataFrame`, with the options of `pyarrow.Table.to_pandas`.

        Where a value is missing, pandas makes integers floats; `types_mapper=pandas.ArrowDtype` keeps every value as it is. Raises
        ImportError without pandas or pyarrow.
        """
        table = self.to_arrow()
        _imported("pandas")
        return table.to_pandas(**options)

    def to_polars(self) -> Any:
        """A `polars.DataFrame`. Raises ImportError without polars or pyarrow."""
        table = self.to_arrow()
        return _imported("polars").from_arrow(table)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Arrow's PyCapsule interface. Raises ImportError as `to_arrow`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __repr__(self) -> str:
        names, rows = self._first()
        cells = [[_cut(name) for name in names], *([_cut(_text(value)) for value in row] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells)]
        shown = len(widths)
        while shown > 1 and sum(widths[:shown]) + 2 * shown > TEXT_COLUMNS:
            shown -= 1
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row[:shown], widths)).rstrip() for row in cells]
        return "\n".join([*lines, self._foot(len(rows), shown)])

    def _repr_html_(self) -> str:
        names, rows = self._first()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        lines = ("".join(f"<td>{html.escape(_text(value))}</td>" for value in row) for row in rows)
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        caption = html.escape(self._foot(len(rows), len(names)))
        return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _first(self) -> tuple[list[str], list[list[Any]]]:
        """The columns and values that are shown: those with a value in one of the rows."""
        if len(set(self.columns)) < len(self.columns):
            return list(self.columns[:COLUMNS_SHOWN]), []
        rows = list(self._rows(ROWS_SHOWN))
        filled = [name for name in self.columns if not rows or any(row.get(name) is not None for row in rows)]
        names = (filled or list(self.columns))[:COLUMNS_SHOWN]
        return names, [[row.get(name) for name in names] for row in rows]

    def _foot(self, rows: int, columns: int) -> str:
        said = f"{len(self):,} {'row' if len(self) == 1 else 'rows'}, {len(self.columns)} columns"
        hidden = [f"{rows} rows"] if rows < len(self) else []
        hidden += [f"{columns} columns"] if columns < len(self.columns) else []
        said += f" (shown: {', '.join(hidden)})" if hidden else ""
        return said + ("; there are more" if self.cursor is not None else "")


@dataclass(frozen=True)
class TimeBar:
    """The records of a span of time."""

    #: UTC, cut to microseconds.
    start: datetime.datetime
    #: Where the next one begins.
    end: datetime.datetime
    count: int


@dataclass(frozen=True)
class ValueRange:
    """The records whose number lies in a range."""

    start: float
    #: Belongs to the next range; to the last one itself.
    end: float
    count: int


@dataclass(frozen=True)
class Facet:
    """The values of one column."""

    column: str
    #: Records without a value.
    missing: int
    #: The most frequent values, as text, with how many records have each.
    values: tuple[tuple[str, int], ...]
    #: Of a column of numbers: ten ranges of one width.
    ranges: tuple[ValueRange, ...]


@dataclass(frozen=True)
class Facets:
    """How many records a search finds, over time and by value."""

    #: Records in the trail.
    count: int
    #: Decisions that they stand for, where a policy kept a part: the sum of the column `weight`.
    weighted: float
    #: Over time, in order.
    bars: tuple[TimeBar, ...]
    #: By column.
    facets: Mapping[str, Facet]


@dataclass(frozen=True)
class TableInfo:
    """A table that `sql` can ask."""

    #: As SQL names it; in double quotes where it is not one word.
    name: str
    #: Whether it has the decisions of the model of this name.
    model: bool
    rows: int
    #: Types by name: `boolean`, `integer`, `float`, `text`, `timestamp`, `mixed` …
    columns: Mapping[str, str]


def question(
    *,
    where: str | None,
    model: str | None,
    since: When | None,
    until: When | None,
    as_of: When | None,
    fresh: bool,
    order: str | None = None,
    limit: int | None = None,
    columns: Iterable[str] | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    """A search as the engine takes it. Moments that are so long ago are counted from now, once for all pages.

    Raises ValueError, TypeError for a moment that is none.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    asked = {
        "where": where,
        "model": model,
        "since": moment("since", since, now),
        "until": moment("until", until, now),
        "as_of": moment("as_of", as_of, now),
        "order": None if order is None else {"by": order.removeprefix("-"), "descending": order.startswith("-")},
        "limit": limit,
        "columns": None if columns is None else names(columns),
        "cursor": cursor,
        "fresh": fresh,
    }
    return {name: value for name, value in asked.items() if value is not None}


def names(columns: Iterable[str]) -> list[str]:
    """Names of columns; one may stand alone."""
    return [columns] if isinstance(columns, str) else list(columns)


def rows(engine: Asked, path: str, asked: Mapping[str, Any]) -> Rows:
    """The rows that answer a question. Raises as `ask`."""
    if not _has_arrow():
        told = json.loads(ask(engine, "POST", path, asked).body)
        return Rows(told["columns"], told=told["rows"], cursor=told.get("cursor"), position=told.get("position"))
    headers, body = ask(engine, "POST", path, asked, accept=ARROW_STREAM)
    table = importlib.import_module("pyarrow.ipc").open_stream(body).read_all()
    position = headers.get("minutebook-position")
    return Rows(
        table.column_names,
        table=table,
        cursor=headers.get("minutebook-cursor"),
        position=None if position is None else int(position),
    )


def pages(engine: Asked, asked: Mapping[str, Any]) -> Iterator[Rows]:
    """The rows of a search, page by page. Raises as `ask`."""
    page = rows(engine, "/v1/search", asked)
    yield page
    while page.cursor is not None:
        page = rows(engine, "/v1/search", {**asked, "fresh": False, "cursor": page.cursor})
        yield page


def counts(engine: Asked, asked: Mapping[str, Any]) -> Facets:
    """The counts that answer a question. Raises as `ask`."""
    told = json.loads(ask(engine, "POST", "/v1/facets", asked).body)
    return Facets(
        count=told["count"],
        weighted=told["weighted"],
        bars=tuple(TimeBar(_at(bar["from_ns"]), _at(bar["to_ns"]), bar["count"]) for bar in told["bars"]),
        facets={facet["column"]: _facet(facet) for facet in told["facets"]},
    )


def tables(engine: Asked) -> tuple[TableInfo, ...]:
    """What can be asked. Raises as `ask`."""
    told = json.loads(ask(engine, "GET", "/v1/tables").body)["tables"]
    return tuple(TableInfo(table["name"], table["model"], table["rows"], table["columns"]) for table in told)


def ask(engine: Asked, method: str, path: str, asked: Any = None, *, accept: str | None = None) -> Answer:
    """What the engine answers. When it is gone it is started, and asked once more.

    Raises QuestionError when the question is wrong, NoEngine, Problem, EngineError else.
    """
    def once() -> Answer:
        # What waits is sealed first, as `flush` does it; the query itself is bounded by the engine.
        return engine.exchange(method, path, asked, accept=accept, timeout_s=SEAL_TIMEOUT_S)

    engine.ready()
    try:
        try:
            return once()
        except BrokenOff as error:
            why = "the rest took too much time or memory, or the engine ended"
            raise EngineError(f"{error}: {why}; ask for less at a time, or again", code="broken-off") from None
        except NoEngine:
            # Starts it, or says how to.
            engine.ask("GET", "/v1/engine")
            return once()
    except Problem as error:
        if error.code in WRONG:
            raise QuestionError(str(error), code=error.code) from None
        raise


def moment(name: str, given: When | None, now: datetime.datetime) -> str | None:
    """A moment as RFC 3339, or the text that was given."""
    ago = _AGO.fullmatch(given) if isinstance(given, str) else None
    try:
        if ago is not None:
            given = datetime.timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if isinstance(given, datetime.timedelta):
            given = now - given
    except OverflowError:
        raise ValueError(f"`{name}` is too long ago: {given}") from None
    if isinstance(given, datetime.datetime):
        if given.utcoffset() is None:
            raise ValueError(f"`{name}` has no time zone: `{given!r}.astimezone()` is local time, `.replace(tzinfo=datetime.timezone.utc)` UTC")
        return given.astimezone(datetime.timezone.utc).isoformat()
    if given is None or isinstance(given, str):
        return given
    raise TypeError(f"`{name}` is a `datetime` with its time zone, a `timedelta` (so long ago) or a text, not a `{type(given).__qualname__}`")


def _at(ns: int) -> datetime.datetime:
    return _EPOCH + datetime.timedelta(microseconds=ns // 1000)


def _facet(told: Mapping[str, Any]) -> Facet:
    return Facet(
        column=told["column"],
        missing=told["missing"],
        values=tuple((value["value"], value["count"]) for value in told["values"]),
        ranges=tuple(ValueRange(span["from"], span["to"], span["count"]) for span in told["ranges"]),
    )


def _of_table(columns: tuple[str, ...], table: Any) -> Iterator[dict[str, Any]]:
    pyarrow = importlib.import_module("pyarrow")
    for batch in table.to_batches():
        values = [_python(pyarrow, column) for column in batch.columns]
        for row in zip(*values):
            yield dict(zip(columns, row))


def _python(pyarrow: Any, column: Any) -> list[Any]:
    """Python's values. Nanoseconds are cut, which pyarrow has only where pandas is installed; so are zones, which it has where tzdata is."""
    kind = column.type
    if pyarrow.types.is_timestamp(kind):
        plain = column.cast(pyarrow.timestamp("us"), safe=False).to_pylist()
        utc = datetime.timezone.utc
        return plain if kind.tz is None else [None if value is None else value.replace(tzinfo=utc) for value in plain]
    if pyarrow.types.is_duration(kind):
        column = column.cast(pyarrow.duration("us"), safe=False)
    return column.to_pylist()


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of JSON, whose `time` is read as the moment that it is."""
    read, time = dict(row), row.get("time")
    if isinstance(time, str):
        try:
            read["time"] = _values.moment(time)
        except ValueError:
            pass  # Another column that a query named so.
    return read


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"


def _has_arrow() -> bool:
    try:
        importlib.import_module("pyarrow.ipc")
    except ImportError:
        return False
    return True


def _imported(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError:
        raise ImportError(_missing(f"{library} is not installed", library)) from None


def _missing(what: str, extra: str) -> str:
    return f'{what}: `pip install "minutebook[{extra}]"`'
