"""How long records are kept and what becomes of them: retention settings, disposal, holds, erasure (docs/guides/retention.md). What the settings
mean and what is refused is for the engine to say."""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote

from ._client import Problem
from ._faults import EngineError
from ._limits import SEAL_TIMEOUT_S
from ._search import moment

if TYPE_CHECKING:
    from ._remote import Asked

_REFUSALS = ("held", "inside-floor", "floor-shortened")


class Refused(EngineError):
    """A hold or a floor forbids it: the message says which, and until when where that is known. Nothing was changed. `code` is `held`,
    `inside-floor` or `floor-shortened`."""


_OfClass = TypedDict("_OfClass", {"class": str})


class Portion(_OfClass):
    """All records of one class and month of sealing: what is disposed of together. Times are RFC 3339."""

    class_epoch: str
    """The id of its key: 32 hex digits."""
    month: str
    """As in `2026-11`."""
    segments: int
    records: int
    blobs: int
    bytes: int
    earliest: str | None
    """The first event."""
    latest: str | None
    keep: str | None
    """How long its class is kept, in words; None is for ever."""


class Due(Portion):
    """Past its retention."""


class Kept(Portion):
    """Not disposed of."""

    until: str | None
    is_past: bool
    """Its own class would have it disposed of, and something else keeps it."""
    why: list[str]


class DisposalPlan(TypedDict):
    """What a disposal would do."""

    at: str
    due: list[Due]
    kept: list[Kept]


class DisposalCertificate(TypedDict):
    """What a disposal did."""

    trail: str
    at: str
    by: str
    disposed: list[Due]
    kept: list[Kept]
    log_size: int
    """Entries of the published log that has the `disposal` records."""


class ErasureCertificate(TypedDict):
    """What an erasure did."""

    trail: str
    subject: int
    """The number that stands for the person in the trail; the name is gone."""
    blobs: int
    at: str
    ground: str
    by: str
    shapes_left: int
    """Live parts of the spool that still define what may be the person's, since their producers did not answer."""
    log_size: int


_OfAnyClass = TypedDict("_OfAnyClass", {"class": "str | None"})


class Hold(_OfAnyClass):
    """A hold in force. Names no person."""

    id: str
    name: str
    reason: str
    by: str
    at: str
    one_subject: bool
    subject: int | None
    """That subject's number, once a record is about it."""
    model: str | None
    version: str | None
    since: str | None
    until: str | None


class Life:
    """What a trail does with records in the end. All of it blocks for the engine, and is durable and in the published log on return."""

    _engine: Asked

    @property
    def retention(self) -> str | None:
        """The text of the retention settings in force (docs/formats/retention.md); None when there never were any."""
        return self._engine.ask_json("GET", "/v1/retention")["retention"]

    def set_retention(self, settings: str | os.PathLike[str]) -> bool:
        """Puts retention settings in force, a text or a `pathlib.Path` to it; says whether they were others before.

        Raises ValueError when they are none, with the line; Refused when a floor would become shorter: nothing is changed then. OSError;
        TrailError when the engine cannot.
        """
        if not isinstance(settings, str):
            with open(settings, encoding="utf-8") as file:
                settings = file.read()
        try:
            return self._ask("PUT", "/v1/retention", settings)["changed"]
        except Problem as error:
            if error.code == "wrong-retention":
                raise ValueError(str(error)) from None
            raise

    def disposal_plan(self) -> DisposalPlan:
        """What `dispose` would do now. Changes nothing, but seals what was handed over."""
        return self._ask("POST", "/v1/retention/dispose", {"dry_run": True})

    def dispose(self, *, by: str) -> DisposalCertificate:
        """Destroys the keys of whole months of classes that are past their retention, removes their records and records that it did.

        `by` says by whose order; it is recorded, so it is a role rather than a person. What a hold is over stays. It cannot be undone: look
        at `disposal_plan` first.
        """
        return self._ask("POST", "/v1/retention/dispose", {"dry_run": False, "by": by})

    def holds(self) -> list[Hold]:
        """The holds in force."""
        return self._ask("GET", "/v1/holds")["holds"]

    def hold(
        self,
        name: str,
        *,
        reason: str,
        by: str,
        subject: str | None = None,
        model: str | None = None,
        retention: str | None = None,
        since: datetime.datetime | None = None,
        until: datetime.datetime | None = None,
    ) -> Hold:
        """Places a hold over the records to which all of the conditions apply, one at least: none of them is erased or disposed of until it
        is lifted.

        `model` is a name or `name@version`, `retention` a retention class. `name`, `reason` and `by` are recorded, so they name no person;
        of `subject` a keyed hash is. Raises ValueError for a time without its zone, TrailError for what is no hold or a name in use.
        """
        now = datetime.datetime.now(datetime.timezone.utc)
        times = {"since": moment("since", since, now), "until": moment("until", until, now)}
        conditions = {"subject": subject, "model": model, "class": retention, **times}
        filter = {name: value for name, value in conditions.items() if value is not None}
        return self._ask("POST", "/v1/holds", {"name": name, "reason": reason, "by": by, "filter": filter})

    def lift_hold(self, hold: str, *, reason: str, by: str) -> Hold:
        """Lifts a hold, by its name or id; gives what it was. Raises KeyError when there is none."""
        try:
            return self._ask("DELETE", f"/v1/holds/{quote(hold, safe='')}", {"reason": reason, "by": by})
        except Problem as error:
            if error.code == "no-such-hold":
                raise KeyError(hold) from None
            raise

    def erase(self, subject: str, *, ground: str, by: str) -> ErasureCertificate:
        """Destroys the keys of all that is recorded about a person. Proofs stay; it cannot be undone.

        `ground` and `by` are recorded, so they name no person. Raises KeyError when nothing is recorded about the subject, Refused when a hold
        or a floor forbids it, TrailError when the engine cannot.
        """
        try:
            return self._ask("POST", "/v1/erase", {"subject": subject, "ground": ground, "by": by})
        except Problem as error:
            if error.code == "no-such-subject":
                raise KeyError("nothing is recorded about this subject") from None
            raise

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        # How long it takes depends on how much there is to seal and to look through.
        timeout_s = SEAL_TIMEOUT_S if method == "GET" else None
        try:
            return self._engine.ask_json(method, path, body, timeout_s=timeout_s)
        except Problem as error:
            if error.code in _REFUSALS:
                raise Refused(str(error), code=error.code, status=error.status) from None
            raise
