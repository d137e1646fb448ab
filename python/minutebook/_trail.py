"""A trail: decisions go in through its spool, everything else through its engine."""

from __future__ import annotations

import atexit
import mmap
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict
from urllib.parse import quote, urlencode

from . import _artifact, _core, _git, _life, _model, _models, _policy, _reasons, _redact, _search, _service, _watch
from ._client import NoEngine, Problem
from ._core import SpoolFull, TrailError
from ._engine import TRAIL_FILE, Engine, Mode
from ._explain.explainer import Decided, ExplainerStatus
from ._faults import EngineError, Faults, OnError, warn
from ._limits import (
    DROP_BYTES,
    PART_BYTES,
    PART_BYTES_MIN,
    PART_BYTES_WHOLE,
    PARTS_MAX,
    PARTS_MIN,
    ROOM_PAUSE_S,
    ROOM_TRIES,
    SEAL_TIMEOUT_S,
    SPILL_BYTES,
)
from ._model import Level, Model
from ._models import KnownModel, ModelHistory
from ._reasons import Reasons, Word
from ._record import Record
from ._remote import Asked, Remote
from ._search import Facets, Rows, TableInfo, When
from ._stats import ModelStats
from ._stats import models as stats_of
from ._types import Full, ProducerStatus

if TYPE_CHECKING:
    from typing_extensions import Self

_PAGE = mmap.PAGESIZE
_LEVELS = ("process", "disk", "sealed", "witnessed")
_open: weakref.WeakSet[Trail] = weakref.WeakSet()


class Status(TypedDict):
    """How a trail does, as this process sees it."""

    trail: str
    """Its id: 32 hex digits."""
    folder: str
    service: str
    producer: ProducerStatus
    engine: dict[str, Any] | None
    """What `GET /v1/status` says; None when no engine runs. What was handed over waits in the spool then."""
    shipper: dict[str, Any] | None
    """With `connect`: how far what was handed over is shipped, and `error`, why it is not; None when nothing ships at present."""
    faults: dict[str, int]
    """How often something was not recorded, by kind: `value`, `spool-full`, `trail`, `engine`, `other`; or, as `redaction`, left out where
    its redaction did not fit it."""
    last_fault: str | None
    explainers: dict[str, ExplainerStatus]
    """Of the models that have one (`Model.explain_with`), by name and version."""


class Verification(dict):
    """What a verification found, as `minutebook verify --json` says it; true when it found no fault."""

    def __bool__(self) -> bool:
        return bool(self.get("verified", self.get("clean")))


class Trail(_life.Life):
    """An open trail, made by `minutebook.open` or `minutebook.connect`. For all threads, and for children made by `fork`.

    Closed at the end of the process, also of a forked child that ends as Python does. What was handed over is kept without: it is in the
    spool.
    """

    def __init__(
        self,
        engine: Asked,
        *,
        service: str | None,
        level: Level,
        full: Full,
        spill_bytes: int | None,
        block: float,
        on_error: OnError,
    ) -> None:
        self.folder = engine.folder
        self.service = _service.default() if service is None else service
        self._level: Level = _checked(level)
        self._faults = Faults(on_error)
        self._engine = engine
        self._explainers: dict[tuple[str, str], Model] = {}
        self._counters: set[Model] = set()
        self._models: set[tuple[str, str, bytes | None, tuple[str, ...]]] = set()
        runs = self._start()
        if spill_bytes is None:
            spill_bytes = DROP_BYTES if full == "drop" else SPILL_BYTES
        part_bytes = _part_bytes(spill_bytes)

        def producer() -> _core.Producer:
            return _core.Producer(
                self.folder, self.service, spill_bytes=spill_bytes, part_bytes=part_bytes, full=full, block=block, **engine.spool_of()
            )

        try:
            self._producer = producer()
        except SpoolFull:
            if not runs:
                raise
            self._producer = self._wait_for_room(producer)
        if isinstance(engine, Remote):
            engine.serve(self._producer, self._faults.note)
        if engine.keeps_running:
            _watch.add(engine)
        _open.add(self)

    def _start(self) -> bool:
        """Whether somebody takes what is handed over now."""
        engine = self._engine
        if isinstance(engine, Remote):
            try:
                engine.ensure()
            except EngineError as error:
                if engine.trail is None:
                    raise
                self._faults.note(error, "nothing is shipped: records wait on this machine until something does")
                return False
            return True
        if not engine.keeps_running:
            return engine.find() is not None
        try:
            version = engine.ensure()
            if version != _core.__version__:
                warn(f"the engine is of version {version} and the package of {_core.__version__}: install both of one version")
        except EngineError as error:
            if not os.path.exists(os.path.join(self.folder, TRAIL_FILE)):
                raise EngineError(
                    f"there is no trail in `{self.folder}`, and it could not be made: {error}; make it with"
                    f" `minutebook init {self.folder}` and open it with `engine=\"external\"`",
                    code=error.code,
                ) from None
            self._faults.note(error, "no engine runs: records wait in the spool until one does")
            return False
        return True

    def _wait_for_room(self, producer: Callable[[], _core.Producer]) -> _core.Producer:
        """A producer, when the engine has sealed what earlier processes left. It may be killed meanwhile, and others take the room."""
        end = time.monotonic() + SEAL_TIMEOUT_S
        why, nothing_left = "", 0
        while True:
            try:
                return producer()
            except SpoolFull as error:
                left = end - time.monotonic()
                if left <= 0:
                    raise SpoolFull(f"{error}; the engine made no room within {SEAL_TIMEOUT_S:g} s{why}") from None
                if nothing_left == ROOM_TRIES:
                    held = "nothing is left to seal: processes of this service that live hold the room, or others the disk"
                    raise SpoolFull(f"{error}; {held}") from None
            try:
                nothing_left = 0 if self._engine.make_room(timeout_s=left) else nothing_left + 1
                if not nothing_left:
                    continue
            except EngineError as error:
                if not self._engine.keeps_running and isinstance(error, NoEngine):
                    raise
                why = f": {error}"
            time.sleep(ROOM_PAUSE_S)

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self._producer.trail

    def model(
        self,
        name: str,
        version: str,
        artifact: Any = None,
        *,
        params: Mapping[str, Any] | None = None,
        training_data: Any = None,
        git: Literal["auto"] | Mapping[str, Any] | None = "auto",
        environment: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        retention: str = "standard",
        level: Level | None = None,
        reasons: Reasons | Mapping[tuple[str, str], Word] | None = None,
        redact: Mapping[_redact.Path, _redact.Redaction] | None = None,
    ) -> Model:
        """A version of a model whose decisions are to be recorded.

        `artifact` is its bytes, a path to its file or folder, or the estimator itself (docs/python/digests.md says what is hashed then).
        `params`, `environment` and `tags` are part of each decision's record. `training_data` is a table, or several in a tuple, of which
        digest and columns are kept. `git`: `auto` looks into the folder of the calling file. `reasons` is a table of reasons in words for its
        decisions (docs/python/explanations.md). `redact` says what of its decisions never leaves this process, by path
        (docs/python/redaction.md). A record of kind `model` says all this, once in a process. Blocks while it hashes, and for git.

        Raises TypeError for an artifact or data that cannot be hashed, FileNotFoundError, ValueError.
        """
        made_from = getattr(artifact, "__minutebook_wrapped__", artifact)
        digest = None if made_from is None else _artifact.artifact(made_from)
        sha256 = digest and digest.sha256
        if level is not None:
            _checked(level)
        words = _reasons.reasons(reasons)
        rules = _redact.rules(redact)
        model = Model(
            self, self._producer, name=name, version=version, artifact=sha256, params=params, environment=environment, tags=tags,
            retention=retention, level=level, reasons=words, redact=rules,
        )  # fmt: skip
        known = (name, version, sha256, tuple(map(str, rules)))
        if known not in self._models:
            found = _git.git(_folder_of_caller()) if git == "auto" else git
            fields = _model.described(made_from, digest, training_data, found)
            if params:
                fields["params"] = _redact.without(params, "params", rules)
            if rules:
                fields["redact"] = [rule.described() for rule in rules]
            if words is not None:
                fields["reasons"] = words.described()
            try:
                kept = _redact.without(tags, "tags", rules)
                self._producer.record("model", fields, model=(name, version, sha256), tags=kept, retention=retention)
            except TrailError as error:
                self._faults.take(error)
            self._models.add(known)
        return model

    def outcome(
        self, id: str, fields: Mapping[str, Any], *, subject: str | Sequence[str] | None = None, actor: str | None = None
    ) -> str:
        """Records what turned out to be true of a decision; gives the id of that record. Raises as `note` does."""
        return self._about("outcome", id, fields, subject, actor)

    def review(
        self,
        id: str,
        action: str,
        *,
        by: str | None = None,
        reason: str | None = None,
        subject: str | Sequence[str] | None = None,
    ) -> str:
        """Records that a person confirmed, overrode or escalated a decision; gives the id of that record. Raises as `note` does."""
        fields = {"action": action, "by": by, "reason": reason}
        return self._about("review", id, {name: value for name, value in fields.items() if value is not None}, subject, by)

    def note(
        self,
        text: str,
        *,
        links: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
    ) -> str:
        """Records a text by a person; gives its id.

        It is no prediction, so it raises: TypeError, ValueError for what no record takes, TrailError, SpoolFull.
        """
        told = {"text": text, **(fields or {})}
        return self._record("note", told, links=list(links), subject=subject, actor=actor)

    def explain(self, id: str) -> str:
        """Explains a decision now, by its model's explainer in this process; gives the id of the record that says so, marked as later.

        Blocks for the engine and the explainer. Raises KeyError when there is no such record; TrailError when no model at hand is the one
        that decided, by the digest of its artifact; what the explainer raises; and as `note` does.
        """
        record = self[id]
        told = record.model or {}
        model = self._explainers.get((str(told.get("name")), str(told.get("version"))))
        if model is None or model._explainer is None:
            raise TrailError(f"`{told.get('name')} {told.get('version')}` has no explainer in this process: give it one with `explain_with`")
        if not record.readable or record.kind != "decision":
            raise TrailError(f"{id} is {'a record of kind `' + record.kind + '`' if record.readable else 'not readable'}: nothing to explain")
        digest = told.get("artifact")
        if digest is None or model.artifact is None or digest != f"sha256:{model.artifact.hex()}":
            raise TrailError(
                f"{id} was decided by an artifact of digest {digest or 'unknown'}, and the model at hand has"
                f" {'sha256:' + model.artifact.hex() if model.artifact else 'none'}: load the one that decided"
            )
        if any(path[0] in ("inputs", "outputs") for path in record.redacted):
            raise TrailError(f"{id} was redacted at the source: what the model saw is not known any more, and cannot be explained")
        made = model._explainer.explain(record.inputs, record.outputs)
        return model._explain_later(Decided(id, record.inputs, record.outputs, record.subject), made)

    def _about(
        self, kind: str, id: str, fields: Mapping[str, Any], subject: str | Sequence[str] | None, actor: str | None
    ) -> str:
        return self._record(kind, fields, links=[id], subject=subject, actor=actor)

    def _record(self, kind: str, fields: Mapping[str, Any], **given: Any) -> str:
        id = self._producer.record(kind, fields, **given)
        if self._level != "process":
            self.flush(self._level)
        return id

    def __getitem__(self, id: str) -> Record:
        """The record of this id; what waits in the spool is sealed first. Blocks for the engine. Raises KeyError when there is none."""
        try:
            return Record(self, self._engine.ask_json("GET", f"/v1/records/{quote(id, safe='')}"))
        except Problem as error:
            if error.status == 404:
                raise KeyError(id) from None
            raise

    def records(
        self,
        *,
        limit: int = 100,
        since: str | None = None,
        until: str | None = None,
        kind: str | None = None,
        model: str | None = None,
    ) -> list[Record]:
        """The newest records that are sealed, at most `limit` (1 to 10,000); `flush` first for those of this moment.

        Times as the command line takes them: `2026-11-21`, `7d`. Blocks for the engine.
        """
        asked = {"limit": limit, "since": since, "until": until, "kind": kind, "model": model}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        told = self._engine.ask_json("GET", f"/v1/records?{query}")
        return [Record(self, one) for one in told["records"]]

    def stats(
        self,
        model: str,
        *,
        since: str | None = None,
        until: str | None = None,
        by: Literal["minute", "hour", "day"] = "hour",
        quantiles: Iterable[float] = (0.01, 0.25, 0.5, 0.75, 0.99),
        bins: int = 20,
        top: int = 10,
        features: Iterable[str] = (),
    ) -> tuple[ModelStats, ...]:
        """How the inputs and outputs of a model (`NAME` or `NAME@VERSION`) are distributed over time: over all its decisions, kept or not.

        One entry a version; of the last day when `since` is None; times as `records` takes them. `quantiles` are parts of all from 0 to 1,
        `features` paths such as `inputs/amount` (all when empty). What waits in the spool is not counted yet: `flush` first. A window of
        fewer than ten decisions is told by a longer one only. Blocks for the engine. Raises EngineError when something of that is wrong.
        """
        asked = {
            "model": model,
            "since": since,
            "until": until,
            "by": by,
            "quantiles": ",".join(map(repr, map(float, quantiles))) or None,
            "bins": bins,
            "values": top,
            "feature": ",".join(features) or None,
        }
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        return stats_of(self._engine.ask_json("GET", f"/v1/stats?{query}"))

    def models(self) -> tuple[KnownModel, ...]:
        """The models that the trail has decisions, registrations or deployments of, by name; over `connect` those that the API key is for.

        Of all that was handed over: what waits is sealed first. Blocks for the engine. Raises EngineError when there are more than 10,000
        versions, or the key may not read statistics.
        """
        return _models.models(self._engine.ask_json("GET", "/v1/models?fresh=true", timeout_s=SEAL_TIMEOUT_S))

    def model_history(self, name: str) -> ModelHistory:
        """The versions of a model, those with the latest decisions first, and the records that registered and deployed them, the latest first.

        Of all that was handed over: what waits is sealed first. Blocks for the engine. Raises KeyError when no record is of a model of
        this name, or none that the API key may see; EngineError as `models`.
        """
        path = f"/v1/models/{quote(name, safe='')}?fresh=true"
        try:
            return _models.history(self._engine.ask_json("GET", path, timeout_s=SEAL_TIMEOUT_S))
        except Problem as error:
            if error.code == "no-such-model":
                raise KeyError(name) from None
            raise

    def search(
        self,
        where: str | None = None,
        *,
        model: str | None = None,
        since: When | None = None,
        until: When | None = None,
        as_of: When | None = None,
        order: str | None = None,
        limit: int = 100,
        columns: Iterable[str] | None = None,
        fresh: bool = True,
        cursor: str | None = None,
    ) -> Rows:
        """The decisions that a condition holds for: `inputs.age > 60 AND outputs.approve = false`, an expression of SQL (docs/python/search.md).

        `model` is `NAME` or `NAME@VERSION`; without it all models that have the columns are looked through. `since`, `until`: a `datetime`
        with its time zone, a `timedelta` (so long ago), or a text as `records` takes it. `as_of`: what was known then. `order` is a column,
        with `-` before it the largest first; the latest decisions come first without. `limit`: rows, 0 for as many as one answer may have
        (100,000). `columns`: only these, `*` for all. `cursor` goes on where an answer before ended. `fresh`: what was handed over before
        the call is sealed and found.

        Blocks for the engine. Raises QuestionError, a ValueError, when the question is wrong; ValueError, TypeError for a moment that is
        none; EngineError when the engine cannot, or when that takes too much time or memory (`query-limit`).
        """
        asked = _search.question(
            where=where, model=model, since=since, until=until, as_of=as_of, fresh=fresh, order=order, limit=limit, columns=columns,
            cursor=cursor,
        )  # fmt: skip
        return _search.rows(self._engine, "/v1/search", asked)

    def search_pages(
        self,
        where: str | None = None,
        *,
        model: str | None = None,
        since: When | None = None,
        until: When | None = None,
        as_of: When | None = None,
        order: str | None = None,
        limit: int = 10_000,
        columns: Iterable[str] | None = None,
        fresh: bool = True,
    ) -> Iterator[Rows]:
        """All that `search` finds, in pages of `limit` rows: one at least, which may have none.

        Decisions that are recorded meanwhile are not found and move nothing. `fresh` is for the first page. Blocks for each page, and
        raises as `search` when a page is asked for.
        """
        asked = _search.question(
            where=where, model=model, since=since, until=until, as_of=as_of, fresh=fresh, order=order, limit=limit, columns=columns
        )
        return _search.pages(self._engine, asked)

    def sql(self, query: str, *, fresh: bool = True) -> Rows:
        """The answer to one SELECT over the tables of the trail: one for each model, `records` and `links` (docs/python/search.md).

        `fresh` as for `search`. Without pyarrow 100,000 rows at most. Blocks for the engine; raises as `search`.
        """
        return _search.rows(self._engine, "/v1/sql", {"query": query, "fresh": fresh})

    def facets(
        self,
        where: str | None = None,
        *,
        columns: Iterable[str] = (),
        model: str | None = None,
        since: When | None = None,
        until: When | None = None,
        as_of: When | None = None,
        bars: int = 24,
        values: int = 10,
        fresh: bool = True,
    ) -> Facets:
        """How many records `search` would find with the same condition: over time in so many `bars`, and by the values of `columns`, of each
        the so many most frequent `values`. `bars` and `values` are at most 1,000.

        Blocks for the engine; raises as `search`.
        """
        asked = _search.question(where=where, model=model, since=since, until=until, as_of=as_of, fresh=fresh)
        return _search.counts(self._engine, {"search": asked, "bars": bars, "columns": _search.names(columns), "values": values})

    def tables(self) -> tuple[TableInfo, ...]:
        """The tables that `sql` can ask, with their columns: of what is indexed so far. Blocks for the engine; raises EngineError."""
        return _search.tables(self._engine)

    def show(self, id: str, *, width: int = 100) -> str:
        """A record as a page of text. Blocks for the engine."""
        return self._text(f"/v1/records/{quote(id, safe='')}/page?width={width}")

    def receipt(self, id: str) -> str:
        """A proof that a record is in the log, for whoever does not have the trail: `minutebook verify FILE` reads it."""
        return self._text(f"/v1/records/{quote(id, safe='')}/receipt")

    def _text(self, path: str) -> str:
        return self._engine.ask("GET", path, timeout_s=SEAL_TIMEOUT_S).decode()

    def verify(self) -> Verification:
        """Re-derives the whole trail from what is stored. Blocks as long as that takes: about a second for 100,000 records."""
        return Verification(self._engine.ask_json("POST", "/v1/verify", timeout_s=None))

    def _verify_record(self, id: str) -> Verification:
        return Verification(self._engine.ask_json("POST", f"/v1/records/{quote(id, safe='')}/verify", timeout_s=SEAL_TIMEOUT_S))

    def flush(self, level: Level = "sealed") -> None:
        """Returns when what was handed over so far survives what `level` says.

        `process`: the death of this process (at once: it does already). `disk`: a power cut; with `connect` a power cut of the server, and the
        loss of this machine. `sealed`: it is in a published checkpoint. `witnessed`: others cosigned that. Raises TrailError when that cannot
        be had. What models counted only is made a record first.
        """
        for model in tuple(self._counters):
            if model._counter is not None:
                model._counter.flush()
        self._flush(level)

    def _flush(self, level: Level) -> None:
        level = _checked(level)
        if level == "disk" and not isinstance(self._engine, Remote):
            self._producer.flush()
        elif level != "process":
            self._engine.reach(level)

    def _reach(self, level: Level) -> None:
        """As `flush`, behind a decision that is recorded already: what fails is counted, and the decision keeps its id."""
        try:
            self._flush(level)
        except Exception as error:
            if self._faults.raises:
                raise
            self._faults.note(error, f"recorded, but not `{level}`")

    @property
    def policy(self) -> str | None:
        """The text of the sampling policy in force (docs/sampling.md); None when none was ever set. Blocks for the engine."""
        return self._engine.ask_json("GET", "/v1/policy")["policy"]

    def set_policy(self, policy: str | os.PathLike[str] | Mapping[str, Any]) -> bool:
        """Puts a sampling policy in force for all that is decided from now on, by whatever process; says whether it was another one before.

        `policy` is the text, a `pathlib.Path` to it, or the same as a dict. What was handed over is sealed first, by the policy before.
        Blocks until that is done and the log says which policy is in force. The first one makes a sampling key: back the key folder up
        afterwards.

        Raises ValueError when it is no policy, with the line and what is wrong there: nothing is changed then. TypeError, OSError for what
        cannot be read as one; TrailError when the engine cannot.
        """
        return self._tell_policy("PUT", "/v1/policy", policy)["changed"]

    def check_policy(self, policy: str | os.PathLike[str] | Mapping[str, Any], *, model: str | None = None) -> None:
        """Checks a sampling policy without using it; with a model's name against the fields of its latest sealed decision too.

        Blocks for the engine. Raises as `set_policy`; TrailError when there is no decision of the model.
        """
        query = "" if model is None else "?" + urlencode({"model": model})
        self._tell_policy("POST", f"/v1/policy/check{query}", policy)

    def _tell_policy(self, method: str, path: str, policy: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._engine.ask_json(method, path, _policy.text(policy), timeout_s=SEAL_TIMEOUT_S)
        except Problem as error:
            if error.code == "wrong-policy":
                raise ValueError(str(error)) from None
            raise

    def status(self) -> Status:
        """How the trail does. Starts nothing, and raises nothing when the engine is gone."""
        return {
            "trail": self.id,
            "folder": self.folder,
            "service": self.service,
            "producer": self._producer.status(),
            "engine": self._engine.status(),
            "shipper": self._engine.shipper() if isinstance(self._engine, Remote) else None,
            "faults": self._faults.counts(),
            "last_fault": self._faults.last,
            "explainers": {
                f"{name} {version}": model._explainer.status()
                for (name, version), model in list(self._explainers.items())
                if model._explainer is not None
            },
        }

    def close(self) -> None:
        """Says that this process is done: waits up to a second for decisions under way, and is on disk on return. Twice does nothing.

        When that cannot be written the trail tells the process as gone without a word; what was handed over is kept all the same.
        """
        for model in list(self._explainers.values()):
            if model._explainer is not None:
                model._explainer.stop()
        _watch.remove(self._engine)
        _open.discard(self)
        try:
            for model in tuple(self._counters):
                if model._counter is not None:
                    model._counter.flush()
            self._producer.close()
        except TrailError as error:
            if self._faults.raises:
                raise
            self._faults.note(error, "not closed")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        where = f"at {self._engine.url}" if isinstance(self._engine, Remote) else f"in {self.folder}"
        return f"<minutebook trail {self.id} {where}>"


def open(
    path: str | os.PathLike[str],
    *,
    service: str | None = None,
    engine: Mode = "auto",
    keys: str | os.PathLike[str] | None = None,
    purpose: str | None = None,
    level: Level = "process",
    full: Full = "spill",
    spill_bytes: int | None = None,
    block: float = 1.0,
    on_error: OnError = "warn",
) -> Trail:
    """Opens the trail in a folder, and makes one when there is none. Blocks until its engine answers: some 100 ms when it has to start.

    `service`: who decides, `[a-z0-9][a-z0-9._-]{0,63}`; `OTEL_SERVICE_NAME` or the program's name by default. `engine`: `auto` finds or
    starts one, `external` leaves it to you. `keys`: the key folder. `purpose`: what is read for, such as the number of a case; it is in the
    records of reads, where the trail has them (docs/guides/access.md). `level`: what a record survives when a call returns. `full`: at the
    limit of `spill_bytes`, and on a full disk, `block` waits up to `block` seconds, `spill` (1 GiB) and `drop` (64 MiB) tell the number
    as lost at once. `on_error`: whether a fault of the trail raises from a prediction.

    Where earlier runs have filled the spool it waits until the engine has made room, two minutes at most.

    Raises EngineError when there is no trail and none can be made, FileNotFoundError when there is none and the engine is external,
    SpoolFull when earlier runs left no room and the engine makes none or does not run, TrailError when it cannot be used, ValueError for an option.
    """
    folder = os.path.abspath(os.fsdecode(path))
    keys = None if keys is None else os.path.abspath(os.fsdecode(keys))
    found = Engine(folder, mode=engine, keys=keys, purpose=purpose)
    return Trail(found, service=service, level=level, full=full, spill_bytes=spill_bytes, block=block, on_error=on_error)


def connect(
    url: str,
    *,
    api_key: str | None = None,
    purpose: str | None = None,
    service: str | None = None,
    spool: str | os.PathLike[str] | None = None,
    ca: str | os.PathLike[str] | None = None,
    insecure_http: bool = False,
    level: Level = "process",
    full: Full = "spill",
    spill_bytes: int | None = None,
    block: float = 1.0,
    on_error: OnError = "warn",
) -> Trail:
    """Opens the trail of a server (`minutebook serve`): the same as `open`, with records that wait on this machine until they are there
    (docs/guides/connect.md). Blocks until the server answers, the first time; afterwards it may be away.

    `api_key`: what `minutebook api-key create` printed, `MINUTEBOOK_API_KEY` by default. `purpose`: what is read for, such as the number
    of a case, where the key's role has to say it; it is recorded with each read. `spool`: the folder where records wait, on a disk that stays;
    in the user's state folder by default. `ca`: a PEM file with the authorities that the server's certificate may be from, those of the system
    by default. `insecure_http`: speak HTTP without TLS to another machine too. The others as for `open`; `spill_bytes` is for what
    waits here while the server is away.

    Levels: `process` survives the death of this process, `disk` is on the server's disk, `sealed` is in a published checkpoint.

    Raises EngineError when the server was never reached and does not answer, or refuses; ValueError for an option; SpoolFull, TrailError as
    `open`; OSError when the folder cannot be written.
    """
    remote = Remote(
        url,
        api_key=api_key,
        purpose=purpose,
        folder=None if spool is None else os.fsdecode(spool),
        ca=None if ca is None else os.fsdecode(ca),
        insecure_http=insecure_http,
    )
    return Trail(remote, service=service, level=level, full=full, spill_bytes=spill_bytes, block=block, on_error=on_error)


def _part_bytes(spill_bytes: int) -> int:
    """How large a file of the spool is, where all of a service may take so much."""
    wanted = max(spill_bytes // PARTS_MAX, min(PART_BYTES_WHOLE, spill_bytes // PARTS_MIN))
    return max(min(PART_BYTES, wanted // _PAGE * _PAGE), PART_BYTES_MIN)


def _checked(level: Level) -> Level:
    if level not in _LEVELS:
        raise ValueError(f"`level` is one of `{'`, `'.join(_LEVELS)}`, not `{level}`")
    return level


def _folder_of_caller() -> str:
    """The folder of the file that calls the package; the working folder in a notebook."""
    package = os.path.dirname(os.path.abspath(__file__))
    frame = sys._getframe(1)
    while frame.f_back is not None and os.path.dirname(frame.f_code.co_filename) == package:
        frame = frame.f_back
    folder = os.path.dirname(frame.f_code.co_filename)
    return folder if os.path.isdir(folder) else os.getcwd()


@atexit.register
def _close_all() -> None:
    for trail in list(_open):
        try:
            trail.close()
        except TrailError as error:
            # Nobody catches it at the end of a process.
            warn(f"the trail in `{trail.folder}` was not closed: {error}")
