"""A version of a model whose decisions are recorded: by hand, in batches, or by wrapping what decides."""

from __future__ import annotations

import contextvars
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _artifact, _columns, _context, _explain, _redact, _table
from ._core import __version__
from ._decision import Decision
from ._explain import batch
from ._explain.explainer import Decided, Explainer, Takes, When
from ._limits import EXPLAIN_LIMIT_S

if TYPE_CHECKING:
    from . import _core
    from ._reasons import Reasons
    from ._trail import Trail

Level = Literal["process", "disk", "sealed", "witnessed"]
T = TypeVar("T")
_UNASKED: Any = object()


class Model:
    """A model of a trail, made by `Trail.model`. For all threads, and for children made by `fork`.

    A fault of the trail never raises from a method here unless the trail was opened with `on_error="raise"`. What was not recorded has
    no id: None is given.
    """

    def __init__(
        self,
        trail: Trail,
        producer: _core.Producer,
        *,
        name: str,
        version: str,
        artifact: bytes | None,
        params: Mapping[str, Any] | None,
        environment: Mapping[str, Any] | None,
        tags: Mapping[str, Any] | None,
        retention: str,
        level: Level | None,
        reasons: Reasons | None = None,
        redact: Sequence[_redact.Rule] = (),
    ) -> None:
        self.trail = trail
        self.name = name
        self.version = version
        self.artifact = artifact
        """SHA-256 of what was loaded, 32 bytes."""
        self._is_redacted = bool(redact)
        self._faults = trail._faults.quiet() if redact else trail._faults
        self._params = params
        self._tags = tags
        self._level: Level = level or trail._level
        self._is_process = self._level == "process"
        around = (_context.variable, _context.OPENTELEMETRY, _context.about, self.record, self._faults.take, self._faults.note)
        self._core = producer.model(
            name, version, artifact, params=params, environment=environment, tags=tags, retention=retention, around=around,
            redact=(_redact.told(redact), self._faults.redaction) if redact else None,
        )  # fmt: skip
        self._counter: _core.Counter | None = None
        self._reasons = reasons
        self._explainer: Explainer | None = None
        self._is_inline = self._is_kept = False
        self._is_short = False
        """Whether calls of what is wrapped are recorded without Python on the way."""
        if self._is_process and reasons is None:
            # The same without Python on the way, for calls that nothing has to be added to; what they leave comes to the method.
            self.record = self._core.call  # type: ignore[method-assign]

    def record(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None = None,
        *,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        explanation: Any = None,
        status: str = "ok",
        time_ns: int | None = None,
        duration_ns: int | None = None,
        level: Level | None = None,
    ) -> str | None:
        """Records a decision that was made already; gives its id.

        `time_ns` is when it began, since 1970; now if not given. `params` and `tags` are added to the model's. Returns when the record
        survives what `level` says; with `process` that takes some microseconds, holds the GIL and blocks for nothing but room
        (`full="block"`).
        """
        try:
            if inputs.__class__ is not dict:
                inputs = _row(inputs)
            explanation = self._explained(explanation, inputs, outputs, status)
            about = _context.about() or _context.NOTHING
            id = self._core.record(
                inputs,
                outputs,
                subject=subject or about.subject,
                actor=actor or about.actor,
                params=self._with_params(params),
                tags=self._with_tags(about.tags, tags),
                explanation=explanation,
                status=status,
                time_ns=time_ns,
                duration_ns=duration_ns,
                trace=about.trace,
                span=about.span,
            )
            if about.ids is not None:
                about.ids.append(id)
            if self._is_kept and status == "ok":
                self._keep(id, inputs, outputs, subject or about.subject)
            self._reach(level)
            return id
        except Exception as error:
            self._faults.take(error)
            return None

    def record_batch(
        self,
        inputs: Any,
        outputs: Any = None,
        *,
        subject: Any = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        status: str = "ok",
        time_ns: int | None = None,
        duration_ns: int | None = None,
        level: Level | None = None,
    ) -> _core.Ids | None:
        """Records a decision for each row of a table; gives their ids.

        `inputs` and `outputs` are data frames (pandas, Polars), Arrow tables, arrays of numpy, dicts of columns or lists of rows, of as
        many rows; an output of one dimension is called `prediction`. `subject` is a column of texts, or one text for all. Numbers and
        text in numpy or Arrow are read without Python and without the GIL. A row that no record takes is told as lost, the others are
        recorded.
        """
        try:
            about = _context.about() or _context.NOTHING
            given = _columns.columns(inputs)
            answers = [] if outputs is None else _columns.columns(outputs, single="prediction")
            subjects = about.subject if subject is None else _columns.values(subject)
            ids = self._core.record_batch(
                given,
                answers,
                subject=subjects,
                actor=actor or about.actor,
                params=self._with_params(params),
                tags=self._with_tags(about.tags, tags),
                status=status,
                time_ns=time_ns,
                duration_ns=duration_ns,
                trace=about.trace,
                span=about.span,
            )
            if about.ids is not None:
                about.ids.extend(ids)
            if status == "ok":
                self._explain_rows(ids, given, answers, subjects)
            self._reach(level)
            return ids
        except Exception as error:
            self._faults.take(error)
            return None

    def count_batch(
        self, inputs: Any, outputs: Any = None, *, status: str = "ok", duration_ns: int | None = None
    ) -> None:
        """Counts a decision for each row of a table, without a record of each: for models that decide so often that nobody keeps all.

        Tables as `record_batch` takes them; `duration_ns` is of each decision. What was counted becomes one `window` record a minute, of the
        model, with the numbers of the decisions (`Trail.stats` shows it, `verify` holds it against what was drawn); `Trail.flush` and
        `Trail.close` make one of what there is. Until then it is in this process's memory: when that dies, the numbers of up to a minute are
        told as lost. Whom decisions are about, tags and
        parameters are not counted; what the model redacts is redacted first.
        """
        try:
            if self._counter is None:
                self._counter = self._core.counter()
                self.trail._counters.add(self)
            columns = [] if outputs is None else _columns.columns(outputs, single="prediction")
            self._counter.count(_columns.columns(inputs), columns, status=status, duration_ns=duration_ns)
        except Exception as error:
            self._faults.take(error)

    def decision(
        self,
        *,
        inputs: Any = None,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        level: Level | None = None,
    ) -> Decision:
        """A decision that is about to be made: for `with` and `async with`. Its number is drawn at entry, so that one which ends with the
        process is found missing."""
        return Decision(self, inputs, subject, actor, params, tags, level)

    def wrap(self, thing: T, **options: Any) -> T:
        """The same thing, recorded: an estimator, a booster, a session, a pyfunc, a module, a function, an OpenAI client.

        Options are those of the framework's page (docs/python/). Raises TypeError for what cannot be wrapped.
        """
        from ._wrap import wrap

        return wrap(self, thing, **options)

    def _finish(self, pending: _core.Pending, about: _context.About | None, of: Decision, made: Any = _UNASKED) -> None:
        """Hands over what a decision in a block came to. `made` is its explanation, where the explainer was asked before."""
        about = about or _context.NOTHING
        inputs = _row(of.inputs)
        outputs = None if of.outputs is None else _row(of.outputs)
        explanation = self._explained(of.explanation, inputs, outputs, of.status) if made is _UNASKED else made
        pending.finish(
            inputs,
            outputs,
            subject=of.subject or about.subject,
            actor=of.actor or about.actor,
            params=self._with_params(of.params),
            tags=self._with_tags(about.tags, of.tags),
            explanation=explanation,
            status=of.status,
            trace=about.trace,
            span=about.span,
        )
        if about.ids is not None:
            about.ids.append(pending.id)
        if self._is_kept and of.explanation is None and of.status == "ok":
            self._keep(pending.id, inputs, outputs, of.subject or about.subject)
        self._reach(of._level)

    def explain_with(
        self,
        explainer: Callable[[Any], Any],
        when: When = "inline",
        *,
        limit_s: float = EXPLAIN_LIMIT_S,
        takes: Takes | None = None,
        of: Any = None,
        space: Literal["raw", "log-odds", "probability"] | None = None,
        method: str | None = None,
        library: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        background: Any = None,
        seed: int | None = None,
    ) -> None:
        """Has the decisions of this model explained by `explainer`, whose result is what `minutebook.explanation` takes.

        `when`: `inline` in the call, after the model has answered; `kept` by a thread behind it, `on_demand` by `Record.explain`, both as
        a record of their own, marked as later. `takes`: what the explainer is called with: `inputs` (a dict), `array` (a row of numpy, of
        two dimensions), `frame` (a row of pandas); `array` for shap's explainers, else `inputs`. `limit_s` is for `inline`: who is slower
        several times in a row is switched off. `background` is a table, of which the digest is kept. The rest as in `explanation`.

        An explainer that fails or is slow never harms a decision; `Trail.status()` counts. The rows of a batch are explained each in a record
        of its own; a call waits for all of its rows together as long as `limit_s`, and the others are skipped. Raises ValueError, TypeError;
        blocks while it hashes the background.
        """
        sha256 = None if background is None else _table.table(background).sha256
        told = {
            "of": of, "space": space, "method": method, "library": library, "parameters": parameters, "background": sha256, "seed": seed,
        }  # fmt: skip
        if self._is_short and when != "on_demand":
            raise ValueError("what this model wraps was called already: `explain_with` comes before its first decision")
        if self._explainer is not None:
            self._explainer.stop()
        self._explainer = Explainer(self, explainer, when, takes, limit_s, told)
        self._is_inline, self._is_kept = when == "inline", when == "kept"
        if when != "on_demand":
            # The way without Python knows of no explainer.
            self.__dict__.pop("record", None)
        self.trail._explainers[self.name, self.version] = self

    def _explained(self, given: Any, inputs: Any, outputs: Any, status: str) -> Any:
        """The explanation of a decision as it is recorded, with its reasons."""
        if given is None:
            if not self._is_inline or status != "ok" or self._explainer is None:
                return None
            made: Any = self._explainer.inline(inputs, outputs)
        else:
            made = given if given.__class__ is dict else _explain.read(given, features=inputs, outputs=outputs)
        if made is None or self._reasons is None or status != "ok" or "reasons" in made:
            return made
        try:
            found = self._reasons.of(made, outputs)
        except Exception as error:
            self._faults.note(error, "recorded without reasons")
            return made
        return made if found is None else {**made, "reasons": found}

    async def _explained_off_loop(self, inputs: Any, outputs: Any) -> Any:
        """The same for an explainer that is asked in the call, where the call is awaited: a thread asks it, so that other tasks go on
        meanwhile. Raises nothing but what cancels the task."""
        asyncio = sys.modules.get("asyncio")
        run = contextvars.copy_context().run
        try:
            given = (_row(inputs), None if outputs is None else _row(outputs))
            try:
                loop = asyncio and asyncio.get_running_loop()
            except RuntimeError:
                # Another library's loop.
                loop = None
            if loop is None:
                return self._explained(None, *given, "ok")
            return await loop.run_in_executor(None, run, self._explained, None, *given, "ok")
        except Exception as error:
            if self._explainer is not None:
                self._explainer.failed(error)
            return None

    def _explain_rows(self, ids: Sequence[str], inputs: _columns.Columns, outputs: _columns.Columns, subject: Any) -> None:
        """Has the rows of a call explained, which are recorded by now. Raises nothing."""
        if self._explainer is not None and (self._is_inline or self._is_kept):
            batch.explain(self, self._explainer, batch.Rows(ids, inputs, outputs, subject))

    def _keep(self, id: str, inputs: Any, outputs: Any, subject: Any) -> None:
        if self._explainer is not None:
            # Copies: it is explained later, and what the model saw is what counts.
            self._explainer.keep(Decided(id, dict(inputs), outputs and dict(outputs), subject))

    def _explain_later(self, decided: Decided, made: Mapping[str, Any], when: Literal["inline", "later"] = "later") -> str:
        """Records an explanation for itself, linked to its decision; gives its id."""
        # Of a call that is under way, who makes the call sees to what it survives.
        record: Callable[..., str] = self.trail._record if when == "later" else self.trail._producer.record
        left = self._core.left_of_explanation({**made, "when": when}, decided.inputs, decided.outputs)
        return record(
            "explanation",
            {},
            links=[decided.id],
            model=(self.name, self.version, self.artifact),
            subject=decided.subject,
            explanation=left,
        )

    def _reach(self, level: Level | None) -> None:
        """Returns when what was recorded last survives what a call asked for, or else the model."""
        if level is not None or not self._is_process:
            self.trail._reach(level or self._level)

    def _with_params(self, params: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        return {**self._params, **params} if params and self._params else params

    def _with_tags(self, around: Mapping[str, Any] | None, tags: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if not around and not tags:
            return None
        return {**(self._tags or {}), **(around or {}), **(tags or {})}

    def __repr__(self) -> str:
        return f"<minutebook model {self.name} {self.version}>"


def _row(given: Any) -> Any:
    """A mapping from names to values of what may be a pandas row; nothing is an empty one."""
    if given is None:
        return {}
    return given.to_dict() if type(given).__module__.partition(".")[0] == "pandas" else given


def described(of: Any, artifact: _artifact.Artifact | None, training_data: Any, git: Mapping[str, Any] | None) -> dict[str, Any]:
    """What the record of a model says beside its name, version and digest (docs/python/index.md)."""
    fields: dict[str, Any] = {"environment": environment(of), "registered_ns": time.time_ns()}
    if artifact is not None:
        fields["digest_of"] = artifact.how
    if training_data is not None:
        data = training_data if isinstance(training_data, _table.Table) else _table.table(training_data)
        fields["training_data"] = {"sha256": data.sha256, "rows": data.rows}
        fields["features"] = data.features
    if git is not None:
        fields["git"] = dict(git)
    return fields


def environment(of: Any) -> dict[str, str]:
    """Versions that decide what a model answers."""
    found = {"python": platform.python_version(), "minutebook": __version__, "platform": platform.platform(terse=True)}
    for name in (_artifact.library_of(of), "numpy"):
        version = getattr(sys.modules.get(name or ""), "__version__", None)
        if name and isinstance(version, str):
            found[name] = version
    return found
