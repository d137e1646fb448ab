"""Searching what was recorded: conditions, SQL, counts, pages, and the rows as tables of other libraries."""

from __future__ import annotations

import datetime
import json
import math
import socket
import sys
import threading
import time

import minutebook
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from conftest import stop
from minutebook import _search
from minutebook._engine import Engine

UTC = datetime.timezone.utc
REGIONS = ["north", "south", "east"]


def record(trail, count=30, first=0):
    """Decisions of two versions of a model, by id: what was recorded."""
    versions = [trail.model("credit-risk", version, git=None) for version in ("1.4.0", "1.5.0")]
    made = {}
    for n in range(first, first + count):
        inputs = {"age": n, "region": REGIONS[n % 3], "petal length (cm)": n / 4, "code": n if n % 2 else f"a{n}"}
        outputs = {"approve": n % 5 != 0, "score": math.nan if n == 7 else n / 100}
        id = versions[n % 2].record(inputs, outputs, subject=f"person-{n % 10}", tags={"channel": "web" if n < 20 else "branch"})
        made[id] = {"n": n, "version": versions[n % 2].version, **inputs, **outputs}
    return made


def ids(rows):
    found = [row["id"] for row in rows]
    assert len(found) == len(set(found)) == len(rows)
    return set(found)


def having(made, condition):
    return {id for id, one in made.items() if condition(one)}


def without_arrow(monkeypatch):
    for name in ("pyarrow", "pyarrow.ipc"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def made(trail):
    return record(trail)


@pytest.mark.parametrize(
    ("where", "condition"),
    [
        ("inputs.age > 20 AND outputs.approve = false", lambda one: one["age"] > 20 and not one["approve"]),
        ("inputs.region IN ('north', 'east')", lambda one: one["region"] != "south"),
        ('inputs."petal length (cm)" BETWEEN 2 AND 3', lambda one: 2 <= one["petal length (cm)"] <= 3),
        ("inputs.code > 15", lambda one: isinstance(one["code"], int) and one["code"] > 15),
        ("inputs.code = 'a4'", lambda one: one["code"] == "a4"),
        ("tags.channel = 'branch'", lambda one: one["n"] >= 20),
        ("version = '1.4.0' OR inputs.age = 3", lambda one: one["version"] == "1.4.0" or one["age"] == 3),
        ("subject = 'person-4'", lambda one: one["n"] % 10 == 4),
        ("inputs.age > 1000", lambda one: False),
        (None, lambda one: True),
    ],
)
def test_a_condition(trail, made, where, condition):
    expected = having(made, condition)
    assert ids(trail.search(where, model="credit-risk")) == expected
    assert ids(trail.search(where)) == expected


def test_a_row_has_what_was_recorded(trail, made):
    (row,) = trail.search("inputs.age = 21", model="credit-risk", columns="*")
    (id,) = having(made, lambda one: one["n"] == 21)
    record = trail[id]
    assert (row["id"], row["model"], row["version"], row["status"], row["subject"]) == (id, "credit-risk", "1.5.0", "ok", "person-1")
    assert (row["inputs.age"], row["inputs.region"], row["inputs.petal length (cm)"], row["inputs.code"]) == (21, "north", 5.25, "21")
    assert (row["outputs.approve"], row["outputs.score"], row["tags.channel"], row["weight"]) == (True, 0.21, "branch", 1.0)
    assert row["time"] == record.time
    assert row["time"].tzinfo is UTC
    (odd,) = trail.search("inputs.age = 7", model="credit-risk", columns=["outputs.score"])
    assert list(odd) == ["outputs.score"]
    assert math.isnan(odd["outputs.score"])


def test_several_models(trail, made):
    pricing = trail.model("pricing", "2", git=None)
    own = {pricing.record({"age": 40.5, "km": n}, {"price": 10.0 * n}) for n in range(5)}
    assert ids(trail.search("inputs.km >= 0")) == own
    assert ids(trail.search(model="pricing")) == own
    assert ids(trail.search("inputs.age >= 29")) == own | having(made, lambda one: one["n"] == 29)
    assert ids(trail.search("inputs.age >= 28", model="credit-risk@1.4.0")) == having(made, lambda one: one["n"] == 28)
    assert {table.name: (table.model, table.rows) for table in trail.tables() if table.model} == {
        "credit-risk": (True, 30),
        "pricing": (True, 5),
    }
    (table,) = (table for table in trail.tables() if table.name == "pricing")
    assert (table.columns["inputs.age"], table.columns["inputs.km"], table.columns["time"]) == ("float", "integer", "timestamp")


def test_what_became_of_decisions(trail, made):
    by_number = {one["n"]: id for id, one in made.items()}
    trail.review(by_number[3], "confirmed", by="j.doe")
    trail.review(by_number[4], "overridden", by="j.doe", reason="the income was wrong")
    trail.outcome(by_number[4], {"defaulted": True})
    trail.outcome(by_number[5], {"defaulted": False})
    assert ids(trail.search("reviewed")) == {by_number[3], by_number[4]}
    assert ids(trail.search("overridden", model="credit-risk")) == {by_number[4]}
    assert ids(trail.search("outcome.defaulted = false")) == {by_number[5]}
    (row,) = trail.search("outcome.defaulted AND inputs.age < 10", columns=["id", "review.action", "review.by", "outcome.defaulted"])
    assert row == {"id": by_number[4], "review.action": "overridden", "review.by": "j.doe", "outcome.defaulted": True}
    assert len(trail.search("NOT reviewed", limit=0)) == 28
    joined = trail.sql('SELECT d.id, l."review.action" AS action FROM "credit-risk" d JOIN links l ON l.target = d.id WHERE l.kind = \'review\'')
    assert {row["id"]: row["action"] for row in joined} == {by_number[3]: "confirmed", by_number[4]: "overridden"}


def test_order_limit_and_columns(trail, made):
    largest = trail.search(model="credit-risk", order="-inputs.age", limit=3, columns=["inputs.age", "id"])
    assert largest.columns == ("inputs.age", "id")
    assert [row["inputs.age"] for row in largest] == [29, 28, 27]
    least = trail.search("inputs.age >= 4", order="inputs.age", limit=2, columns="inputs.age")
    assert list(least) == [{"inputs.age": 4}, {"inputs.age": 5}]
    times = [row["time"] for row in trail.search(limit=0)]
    assert times == sorted(times, reverse=True)
    assert [row["time"] for row in trail.search(order="time", limit=0)] == times[::-1]


@pytest.mark.parametrize("arrow", [True, False])
@pytest.mark.parametrize("order", [None, "time", "-inputs.age", "inputs.region"])
def test_pages_stay_while_decisions_arrive(trail, made, monkeypatch, arrow, order):
    if not arrow:
        without_arrow(monkeypatch)
    found, sizes, more = [], [], {}
    for page in trail.search_pages("inputs.age >= 0", model="credit-risk", order=order, limit=8):
        sizes.append(len(page))
        found += [row["id"] for row in page]
        assert (page.cursor is None) == (len(sizes) == 4)
        more |= record(trail, count=7, first=100 * len(sizes))
        trail.flush()
    assert sizes == [8, 8, 8, 6]
    assert len(found) == len(set(found))
    assert set(found) == set(made)
    assert ids(trail.search(limit=0)) == set(made) | set(more)


def test_a_page_goes_on_where_one_ended(trail, made):
    first = trail.search(limit=20)
    second = trail.search(limit=20, cursor=first.cursor)
    assert first.position == second.position > 0
    assert second.cursor is None
    assert ids(first) | ids(second) == set(made)
    assert (len(first), len(second)) == (20, 10)
    (empty,) = trail.search_pages("inputs.age < 0")
    assert (len(empty), empty.cursor, list(empty)) == (0, None, [])
    with pytest.raises(minutebook.QuestionError, match="`cursor`"):
        trail.search(cursor="nonsense")


def test_time_bounds(trail):
    model = trail.model("timed", "1", git=None)
    first = model.record({"n": 1})
    between = trail[first].time + datetime.timedelta(microseconds=1)
    second = model.record({"n": 2})
    assert trail[second].time >= between
    berlin = datetime.timezone(datetime.timedelta(hours=1))
    for moment in (between, between.astimezone(berlin), between.isoformat(), pd.Timestamp(between)):
        assert ids(trail.search(since=moment)) == {second}
        assert ids(trail.search(model="timed", until=moment)) == {first}
    hour = datetime.timedelta(hours=1)
    for ago in (hour, "1h", "3600s"):
        assert ids(trail.search(since=ago)) == {first, second}
        assert ids(trail.search(until=ago)) == set()
    assert trail.facets(since=between).count == 1
    assert [len(page) for page in trail.search_pages(since=hour, until=between)] == [1]


@pytest.mark.parametrize("name", ["since", "until", "as_of"])
def test_what_is_no_moment(trail, name):
    for ask in (trail.search, trail.facets):
        with pytest.raises(ValueError, match=f"`{name}` has no time zone"):
            ask(**{name: datetime.datetime(2026, 11, 21)})
        with pytest.raises(TypeError, match=f"`{name}` is a `datetime`.* not a `int`"):
            ask(**{name: 7})
        with pytest.raises(ValueError, match=f"`{name}` is too long ago"):
            ask(**{name: datetime.timedelta.max})
        with pytest.raises(minutebook.QuestionError, match=f"`{name}`: not a time") as raised:
            ask(**{name: "yesterday"})
        assert raised.value.code == "bad-request"


def test_as_it_was_known_then(trail, made):
    id = next(iter(made))
    # Ids have milliseconds: what is recorded within the same one was known too.
    trail.flush()
    before = datetime.datetime.now(UTC)
    while datetime.datetime.now(UTC) - before < datetime.timedelta(milliseconds=5):
        pass
    trail.review(id, "overridden")
    record(trail, count=1, first=99)
    assert ids(trail.search("overridden")) == {id}
    assert ids(trail.search("overridden", as_of=before)) == set()
    assert ids(trail.search(limit=0, as_of=before)) == set(made)
    assert trail.facets(as_of=before).count == 30
    assert trail.facets().count == 31


def test_several_subjects(trail):
    model = trail.model("pairs", "1", git=None)
    both = model.record({"n": 1}, subject=["ann", "bob"])
    one = model.record({"n": 2}, subject="ann")
    assert ids(trail.search("subject = 'ann'", model="pairs")) == {both, one}
    assert ids(trail.search("subject = 'bob'", model="pairs")) == {both}
    assert ids(trail.search("subject = 'eve'", model="pairs")) == set()
    (row,) = trail.search("inputs.n = 1", columns=["subjects"])
    assert row == {"subjects": ["ann", "bob"]}


def test_sql(trail, made):
    found = trail.sql("""
        SELECT inputs.region AS region, count(*) AS n, avg(inputs.age) AS age, max(time) AS latest
        FROM "credit-risk" WHERE inputs.age < 9 GROUP BY region ORDER BY age
    """)
    rows = list(found)
    assert [(row["region"], row["n"], row["age"]) for row in rows] == [("north", 3, 3.0), ("south", 3, 4.0), ("east", 3, 5.0)]
    times = {id: trail[id].time for id in having(made, lambda one: one["n"] in (6, 7, 8))}
    assert {row["latest"] for row in rows} == set(times.values())
    assert (found.columns, found.cursor, found.position) == (("region", "n", "age", "latest"), None, None)
    assert list(trail.sql("SELECT count(*) AS n FROM records WHERE kind = 'decision'")) == [{"n": 30}]
    assert list(trail.sql('SELECT id FROM "credit-risk" WHERE false')) == []
    assert trail.sql('SELECT id FROM "credit-risk" WHERE false').to_arrow().column_names == ["id"]
    # Spans of time have nanoseconds too.
    (span,) = trail.sql('SELECT max(time) - min(time) AS span FROM "credit-risk"')
    assert datetime.timedelta(0) < span["span"] < datetime.timedelta(minutes=5)


def test_what_sampling_left_out_is_weighed(trail):
    policy = 'format = "minutebook/policy/1"\n[[model]]\nname = "*"\n[[model.rule]]\nname = "quarter"\nrate = 0.25\n'
    trail.set_policy(policy)
    record(trail, count=200)
    (row,) = trail.sql('SELECT count(*) AS kept, sum(weight) AS about, min(kept.rate) AS rate FROM "credit-risk"')
    assert 0 < row["kept"] < 200
    assert (row["about"], row["rate"]) == (4 * row["kept"], 0.25)
    counted = trail.facets(model="credit-risk")
    assert (counted.count, counted.weighted) == (row["kept"], row["about"])


def test_facets(trail, made):
    found = trail.facets("inputs.age >= 10", columns=["inputs.region", "inputs.age", "outputs.approve"], model="credit-risk", bars=5, values=2)
    assert (found.count, found.weighted) == (20, 20.0)
    assert len(found.bars) == 5
    assert sum(bar.count for bar in found.bars) == 20
    assert all(bar.end == following.start for bar, following in zip(found.bars, found.bars[1:]))
    times = [trail[id].time for id in having(made, lambda one: one["n"] >= 10)]
    assert found.bars[0].start == min(times)
    assert found.bars[-1].end >= max(times)
    regions = found.facets["inputs.region"]
    assert (regions.missing, regions.ranges) == (0, ())
    assert regions.values == (("east", 7), ("south", 7))
    ages = found.facets["inputs.age"]
    assert len(ages.values) == 2
    assert (ages.ranges[0].start, ages.ranges[-1].end, len(ages.ranges)) == (10.0, 29.0, 10)
    assert sum(span.count for span in ages.ranges) == 20
    assert dict(found.facets["outputs.approve"].values) == {"true": 16, "false": 4}
    assert trail.facets("inputs.age > 1000", columns="inputs.age", bars=0) == minutebook.Facets(
        0, 0.0, (), {"inputs.age": minutebook.Facet("inputs.age", 0, (), ())}
    )


def test_missing_values_are_counted(trail):
    model = trail.model("gaps", "1", git=None)
    for n in range(6):
        model.record({"n": n, "note": "x" if n < 2 else None})
    facet = trail.facets(model="gaps", columns="inputs.note").facets["inputs.note"]
    assert (facet.missing, facet.values) == (4, (("x", 2),))
    assert [row["inputs.note"] for row in trail.search(model="gaps", order="inputs.n", columns=["inputs.note"])] == ["x", "x"] + [None] * 4


def test_tables_of_other_libraries(trail, made):
    rows = trail.search(model="credit-risk", order="inputs.age", limit=0)
    table = rows.to_arrow()
    assert isinstance(table, pa.Table)
    assert table.column_names == list(rows.columns)
    assert table.num_rows == len(rows) == 30
    assert table.schema.field("time").type == pa.timestamp("ns", "UTC")
    taken = pa.table(rows)
    assert taken.schema == table.schema
    # A NaN equals nothing.
    assert taken.drop_columns("outputs.score").equals(table.drop_columns("outputs.score"))
    frame = rows.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert frame["inputs.age"].tolist() == list(range(30))
    assert frame.groupby("inputs.region")["outputs.approve"].mean()["south"] == pytest.approx(0.8)
    assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
    kept = rows.to_pandas(types_mapper=pd.ArrowDtype)
    assert isinstance(kept["inputs.age"].dtype, pd.ArrowDtype)
    frame = rows.to_polars()
    assert isinstance(frame, pl.DataFrame)
    assert frame["inputs.age"].to_list() == list(range(30))
    assert frame.filter(pl.col("inputs.code") == "a4")["id"].to_list() == list(having(made, lambda one: one["code"] == "a4"))
    assert pl.DataFrame(rows).equals(frame)
    assert {frame["id"][place]: frame["inputs.age"][place] for place in range(30)} == {id: one["n"] for id, one in made.items()}


def test_without_pyarrow(trail, made, monkeypatch):
    def asked():
        found = trail.search(model="credit-risk", order="inputs.age", limit=5), trail.sql("SELECT count(*) AS n FROM records")
        return found[0], [(list(rows), rows.columns, len(rows), rows.cursor, rows.position, repr(rows), rows._repr_html_()) for rows in found]

    _, with_arrow = asked()
    without_arrow(monkeypatch)
    rows, without = asked()
    assert without == with_arrow
    assert len(rows) == 5
    assert rows.cursor is not None
    for wanted in (rows.to_arrow, rows.to_pandas, rows.to_polars, rows.__arrow_c_stream__):
        with pytest.raises(ImportError, match=r'pip install "minutebook\[arrow\]"'):
            wanted()
    # What does not exist in JSON is a text.
    (odd,) = trail.search("inputs.age = 7", columns=["outputs.score"])
    assert odd == {"outputs.score": "NaN"}
    # A query may name anything `time`.
    assert list(trail.sql("SELECT 'noon' AS time")) == [{"time": "noon"}]
    assert trail.facets(columns="inputs.region").facets["inputs.region"].values == (("east", 10), ("north", 10), ("south", 10))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_without_a_library_of_data_frames(trail, made, monkeypatch, library):
    rows = trail.search()
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"{library} is not installed: `pip install \"minutebook\[{library}\]\"`"):
        getattr(rows, f"to_{library}")()
    assert ids(rows) == set(made)


def test_a_picture_of_rows(trail):
    model = trail.model("notes", "1", git=None)
    for n in range(12):
        model.record({"text": "<b>bold</b>\n" + "x" * 60, "n": n})
    rows = trail.search(model="notes", order="inputs.n", columns=["inputs.n", "inputs.text"])
    lines = repr(rows).splitlines()
    assert lines[0].split() == ["inputs.n", "inputs.text"]
    assert [line.split()[0] for line in lines[1:11]] == [str(n) for n in range(10)]
    assert lines[1].endswith("x…")
    assert lines[11] == "12 rows, 2 columns (shown: 10 rows)"
    page = rows._repr_html_()
    assert "&lt;b&gt;bold" in page
    assert "<b>" not in page
    assert page.count("<tr>") == 11
    wide = repr(trail.search(model="notes", columns="*", limit=1))
    assert max(map(len, wide.splitlines())) <= 150
    assert wide.splitlines()[-1].startswith("1 row, ")
    assert wide.endswith("; there are more")
    assert repr(trail.search("inputs.n = 0", columns=["trace", "inputs.n"])).splitlines() == [
        "inputs.n", "0", "1 row, 2 columns (shown: 1 columns)"
    ]  # fmt: skip
    nothing = trail.search("inputs.n > 99", columns=["id"])
    assert repr(nothing) == "id\n0 rows, 1 columns"


def test_two_columns_of_one_name(trail, made):
    decision = next(iter(made))
    review = trail.review(decision, "confirmed")
    rows = trail.sql('SELECT d.id, d.time, l.id FROM "credit-risk" d JOIN links l ON l.target = d.id')
    assert (rows.columns, len(rows)) == (("id", "time", "id"), 1)
    assert [rows.to_arrow().column(place).to_pylist() for place in (0, 2)] == [[decision], [review]]
    with pytest.raises(ValueError, match="two columns are named `id`"):
        list(rows)
    assert repr(rows).endswith("1 row, 3 columns (shown: 0 rows)")
    named = trail.sql('SELECT d.id, l.id AS review FROM "credit-risk" d JOIN links l ON l.target = d.id')
    assert list(named) == [{"id": decision, "review": review}]


@pytest.mark.parametrize(
    ("ask", "code", "words"),
    [
        (lambda trail: trail.search("inputs.aeg > 5"), "wrong-question", "inputs.age"),
        (lambda trail: trail.search("inputs.aeg > 5", model="credit-risk"), "wrong-question", "inputs.age"),
        (lambda trail: trail.search(order="-inputs.aeg", model="credit-risk"), "wrong-question", "inputs.age"),
        (lambda trail: trail.search(columns=["inputs.regoin"], model="credit-risk"), "wrong-question", "inputs.region"),
        (lambda trail: trail.search("inputs.age >"), "wrong-question", "not SQL"),
        (lambda trail: trail.search("outcome.defualted"), "wrong-question", "outcome.defualted"),
        (lambda trail: trail.search(limit=100_001), "wrong-question", "`limit`"),
        (lambda trail: trail.search(limit=-1), "bad-request", "limit"),
        (lambda trail: trail.search(model="credit-rsik"), "no-such-table", "credit-risk"),
        (lambda trail: trail.sql('SELECT inputs.aeg FROM "credit-risk"'), "wrong-question", "inputs.age"),
        (lambda trail: trail.sql("SELECT * FROM recrods"), "no-such-table", "records"),
        (lambda trail: trail.sql("DROP TABLE records"), "wrong-question", "SELECT"),
        (lambda trail: trail.facets(columns=["inputs.regoin"]), "wrong-question", "inputs.region"),
        (lambda trail: trail.facets(values=1001), "wrong-question", "`values`"),
        (lambda trail: next(trail.search_pages("inputs.aeg > 5")), "wrong-question", "inputs.age"),
    ],
)
def test_what_is_wrong_is_told(trail, made, ask, code, words):
    with pytest.raises(minutebook.QuestionError) as raised:
        ask(trail)
    assert raised.value.code == code
    assert words in str(raised.value)
    assert isinstance(raised.value, ValueError)
    assert trail.status()["faults"] == {}


def test_a_closed_trail(folder, trail, made):
    trail.close()
    assert ids(trail.search(limit=0)) == set(made)
    # The rows that were found do not need it.
    rows = trail.search("inputs.age < 3")
    stop(folder)
    assert sorted(row["inputs.age"] for row in rows) == [0, 1, 2]


def test_an_engine_that_is_gone(folder, trail, made):
    trail.flush()
    # Nobody looks after the engine any more.
    trail.close()
    stop(folder)
    with minutebook.open(folder, service="others", engine="external") as other:
        for ask in (other.search, other.facets, other.tables, lambda: other.sql("SELECT 1")):
            with pytest.raises(minutebook.EngineError, match="minutebook serve") as raised:
                ask()
            assert raised.value.code == "no-engine"
    # Ours starts it again, and finds what was sealed before.
    assert ids(trail.search("inputs.age < 3")) == having(made, lambda one: one["n"] < 3)


class Told:
    """Stands in for an engine: answers each request as it is told, and keeps what was asked."""

    def __init__(self, folder, *answers):
        self.asked = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(folder / "engine.sock"))
        self._socket.listen()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        for answer in self._answers:
            connection, _ = self._socket.accept()
            with connection, connection.makefile("rb") as file:
                head = {}
                start = file.readline().decode().split()
                while (line := file.readline().strip()):
                    name, _, value = line.decode().partition(": ")
                    head[name.lower()] = value
                body = file.read(int(head.get("content-length", 0)))
                self.asked.append((start[0], start[1], head.get("accept"), json.loads(body)))
                connection.sendall(answer)

    def end(self):
        self._thread.join(timeout=30)
        self._socket.close()


def answer(body, *headers, status="200 OK"):
    head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*head, "", ""]).encode() + body


def stream(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_what_the_engine_is_asked(tmp_path):
    table = pa.table({"id": ["x"]})
    engine = Told(
        tmp_path,
        answer(stream(table), "minutebook-position: 7", "minutebook-cursor: further"),
        answer(stream(table), "Minutebook-Position: 7"),
    )
    asked = _search.question(
        where="inputs.age > 1", model="m@1", since=datetime.timedelta(days=2), until="2026-11-21", as_of=None, fresh=True, order="-time",
        limit=1, columns="id",
    )  # fmt: skip
    first, second = _search.pages(Engine(str(tmp_path), mode="external", keys=None), asked)
    engine.end()
    assert (first.cursor, first.position, list(first)) == ("further", 7, [{"id": "x"}])
    assert (second.cursor, second.position) == (None, 7)
    (method, path, accept, body), (_, _, _, following) = engine.asked
    assert (method, path, accept) == ("POST", "/v1/search", "application/vnd.apache.arrow.stream")
    since = datetime.datetime.fromisoformat(body.pop("since"))
    assert abs(datetime.datetime.now(UTC) - datetime.timedelta(days=2) - since) < datetime.timedelta(minutes=1)
    assert body == {
        "where": "inputs.age > 1",
        "model": "m@1",
        "until": "2026-11-21",
        "order": {"by": "time", "descending": True},
        "limit": 1,
        "columns": ["id"],
        "fresh": True,
    }
    # The same span for every page, and nothing newer.
    assert datetime.datetime.fromisoformat(following.pop("since")) == since
    assert following == {**body, "fresh": False, "cursor": "further"}


def test_an_answer_that_breaks_off(tmp_path):
    begun = stream(pa.table({"n": list(range(1000))}))[:500]
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    engine = Told(tmp_path, head + f"{len(begun):x}\r\n".encode() + begun + b"\r\n")
    with pytest.raises(minutebook.EngineError, match="broke off its answer after 500 bytes.*ask for less") as raised:
        _search.rows(Engine(str(tmp_path), mode="external", keys=None), "/v1/sql", {"query": "SELECT 1"})
    engine.end()
    assert raised.value.code == "broken-off"


def test_a_query_that_is_too_large(tmp_path):
    problem = {"title": "The query is too large", "status": 422, "detail": "it took longer than 60 s", "code": "query-limit"}
    engine = Told(tmp_path, answer(json.dumps(problem).encode(), status="422 Unprocessable Entity"))
    with pytest.raises(minutebook.EngineError, match="longer than 60 s") as raised:
        _search.rows(Engine(str(tmp_path), mode="external", keys=None), "/v1/sql", {"query": "SELECT 1"})
    engine.end()
    assert (raised.value.code, raised.value.status) == ("query-limit", 422)
    assert not isinstance(raised.value, ValueError)


def test_what_is_sealed_is_found_within_two_seconds_without_asking_for_it(trail):
    record(trail, 3)
    trail.flush("sealed")
    assert len(trail.search(model="credit-risk")) == 3
    record(trail, 3, first=3)
    trail.flush("sealed")
    end = time.monotonic() + 2
    while len(trail.search(model="credit-risk", fresh=False)) < 6:
        assert time.monotonic() < end, "the index did not follow"
        time.sleep(0.05)
