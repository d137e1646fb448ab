"""A record that was read from a trail: its fields, and what can be done with it. Reading asks the engine, which has the keys."""

from __future__ import annotations

import datetime
import html
from typing import TYPE_CHECKING, Any

from . import _values, plots

if TYPE_CHECKING:
    from ._trail import Trail, Verification


class Record:
    """One thing that happened, as it was read. Does not change when its subject is erased later: read it again."""

    def __init__(self, trail: Trail, told: dict[str, Any]) -> None:
        self._trail = trail
        self._told = told
        self.fields: dict[str, Any] = {name: _values.value(value) for name, value in told.items()}
        """All members as `docs/formats/json.md` names them, with Python's values."""

    @property
    def id(self) -> str:
        """UUIDv7."""
        return self._told["id"]

    @property
    def kind(self) -> str:
        """`decision`, `outcome`, `review` …"""
        return self._told.get("kind", "decision")

    @property
    def inputs(self) -> dict[str, Any]:
        """What the model saw, by feature."""
        return self.fields.get("inputs") or {}

    @property
    def outputs(self) -> dict[str, Any]:
        """What it answered."""
        return self.fields.get("outputs") or {}

    @property
    def model(self) -> dict[str, Any] | None:
        """`name`, `version`, `artifact`."""
        return self.fields.get("model")

    @property
    def params(self) -> dict[str, Any]:
        """The model's parameters at the time."""
        return self.fields.get("params") or {}

    @property
    def tags(self) -> dict[str, Any]:
        """Whatever else was said."""
        return self.fields.get("tags") or {}

    @property
    def explanation(self) -> dict[str, Any] | None:
        """Attributions and how they were made, with `reasons` and `counterfactuals` where there are some."""
        return self.fields.get("explanation")

    @property
    def reasons(self) -> list[dict[str, Any]]:
        """Principal reasons in words, the weightiest first: `text`, `features`, `attribution`, `code` where there is one."""
        return self._beside("reasons")

    @property
    def counterfactuals(self) -> list[dict[str, Any]]:
        """Inputs with which the answer would have been another, by feature."""
        return self._beside("counterfactuals")

    def _beside(self, name: str) -> list[dict[str, Any]]:
        if name in (self.explanation or {}):
            return self.fields["explanation"][name]
        # Those that a caller made in another form than the package does.
        return next((value for path, value in self.fields.get("fields") or () if path == ["explanation", name]), None) or []

    @property
    def subject(self) -> str | list[str] | None:
        """Whom it is about."""
        return self.fields.get("subject")

    @property
    def actor(self) -> str | None:
        """On whose behalf."""
        return self.fields.get("actor")

    @property
    def status(self) -> str:
        """`ok`, or the type of the model's error."""
        return self._told.get("status", "ok")

    @property
    def time(self) -> datetime.datetime | None:
        """When it began, in UTC, cut to microseconds; `fields["time"]` has the nanoseconds."""
        told = self._told.get("time")
        return None if told is None else _values.moment(told)

    @property
    def duration_ns(self) -> int | None:
        """How long the model took, in nanoseconds."""
        return self._told.get("duration_ns")

    @property
    def links(self) -> list[str]:
        """Ids of the records that it is about."""
        return self._told.get("links") or []

    @property
    def redacted(self) -> dict[tuple[str, ...], str]:
        """What was redacted at the source, by path, in words: `{("inputs", "postcode"): "first 3 characters"}`."""
        return {tuple(path): done for path, done in self._told.get("redacted") or ()}

    @property
    def readable(self) -> bool:
        """Whether the content can be opened: not when it was erased, or its key is missing."""
        return self._told.get("readable", True)

    def verify(self) -> Verification:
        """Whether what is stored is what was sealed. Blocks until the engine has looked."""
        return self._trail._verify_record(self.id)

    def receipt(self) -> str:
        """The text of a proof for whoever does not have the trail."""
        return self._trail.receipt(self.id)

    def show(self) -> str:
        """The page that `minutebook show` prints."""
        return self._trail.show(self.id)

    def plot(self, kind: plots.Kind = "waterfall", **options: Any) -> Any:
        """A picture of its explanation: `waterfall`, `force` or `bar`, with the options of that function in `minutebook.plots`. Gives
        matplotlib's `Axes`. Raises ValueError when it has no attributions, ImportError without matplotlib."""
        drawn = {"waterfall": plots.waterfall, "force": plots.force, "bar": plots.bar}.get(kind)
        if drawn is None:
            raise ValueError(f"`kind` is `waterfall`, `force` or `bar`, not `{kind}`")
        return drawn(self, **options)

    def explain(self) -> str:
        """Explains it now, by its model's explainer; gives the id of that record. Raises as `Trail.explain` does."""
        return self._trail.explain(self.id)

    def outcome(self, fields: dict[str, Any]) -> str:
        """Records what turned out to be true; gives the id of that record."""
        return self._trail.outcome(self.id, fields)

    def review(self, action: str, *, by: str | None = None, reason: str | None = None) -> str:
        """Records that a person confirmed, overrode or escalated it; gives the id of that record."""
        return self._trail.review(self.id, action, by=by, reason=reason)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"

    def _repr_html_(self) -> str:
        rows = [("kind", self.kind), ("time", self.fields.get("time")), ("status", self.status), ("model", self.model)]
        rows += [(name, self.fields.get(name)) for name in ("subject", "actor") if self.fields.get(name)]
        rows += [(f"inputs / {name}", value) for name, value in self.inputs.items()]
        rows += [(f"outputs / {name}", value) for name, value in self.outputs.items()]
        lines = (f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows)
        return f"<table><caption>{html.escape(self.id)}</caption>{''.join(lines)}</table>"
