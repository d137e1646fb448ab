"""What a trail knows of its models: what `Trail.models` and `Trail.model_history` give."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class KnownModel:
    """A model that the trail has decisions, registrations or deployments of."""

    name: str
    #: Those with the latest decisions first.
    versions: tuple[str, ...]
    #: That were kept.
    decisions: int
    #: How many decisions those that were kept stand for.
    weighted: float
    #: When the first and the last decision was, UTC; None when there is none.
    first: datetime.datetime | None
    last: datetime.datetime | None
    #: Records that register a version, and that deploy one.
    registrations: int
    deployments: int


@dataclasses.dataclass(frozen=True)
class KnownVersion:
    """A version of a model; the rest as in `KnownModel`."""

    version: str
    #: Digests of what was loaded, `sha256:` and 64 hex digits.
    artifacts: tuple[str, ...]
    decisions: int
    weighted: float
    first: datetime.datetime | None
    last: datetime.datetime | None
    registrations: int
    deployments: int


@dataclasses.dataclass(frozen=True)
class VersionRecord:
    """A record that registers a version of a model, or says that it is in use; `Trail[id]` has all of it."""

    id: str
    time: datetime.datetime
    version: str
    #: The digest of what was registered or deployed; None when the record does not say it.
    artifact: str | None


@dataclasses.dataclass(frozen=True)
class ModelHistory:
    """A model with its versions, and what was registered and deployed when."""

    model: KnownModel
    #: In the order of `model.versions`.
    versions: tuple[KnownVersion, ...]
    #: The latest first.
    registrations: tuple[VersionRecord, ...]
    deployments: tuple[VersionRecord, ...]
    #: Whether there are older records than these 1,000.
    more: bool


def models(answer: Mapping[str, Any]) -> tuple[KnownModel, ...]:
    """From an answer of `GET /v1/models`."""
    return tuple(_model(one, tuple(one["versions"])) for one in answer["models"])


def history(answer: Mapping[str, Any]) -> ModelHistory:
    """From an answer of `GET /v1/models/{name}`."""
    versions = answer["versions"]
    # Under these names the answer has the records; how many there are stands at the versions.
    counted = {what: sum(one[what] for one in versions) for what in ("registrations", "deployments")}
    return ModelHistory(
        model=_model({**answer, **counted}, tuple(one["version"] for one in versions)),
        versions=tuple(KnownVersion(one["version"], tuple(one["artifacts"]), **_counts(one)) for one in versions),
        registrations=tuple(map(_record, answer["registrations"])),
        deployments=tuple(map(_record, answer["deployments"])),
        more=answer["more"],
    )


def _model(found: Mapping[str, Any], versions: tuple[str, ...]) -> KnownModel:
    return KnownModel(found["name"], versions, **_counts(found))


def _counts(found: Mapping[str, Any]) -> dict[str, Any]:
    counts = {name: found[name] for name in ("decisions", "weighted", "registrations", "deployments")}
    return {**counts, "first": _time(found["first"]), "last": _time(found["last"])}


def _record(found: Mapping[str, Any]) -> VersionRecord:
    time = _time(found["time"])
    assert time is not None, "each record has a time"
    return VersionRecord(found["id"], time, found["version"], found["artifact"])


def _time(text: str | None) -> datetime.datetime | None:
    return None if text is None else datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
