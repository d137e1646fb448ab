"""The extension module: numbers, encodes, encrypts and hands records over. Everything else of the package is Python."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, final

from ._types import Explanation, Full, ProducerStatus

__all__ = [
    "Counter",
    "FieldError",
    "Ids",
    "Model",
    "Pending",
    "PendingBatch",
    "Producer",
    "RecordedCall",
    "SpoolFull",
    "TrailError",
    "__version__",
    "check_redaction",
    "keyed_hash",
    "random_id",
]

__version__: str

class TrailError(Exception):
    """Something about the trail went wrong: its folder, its spool, its engine. What the caller gave was right."""

class SpoolFull(TrailError):
    """There is no room in the spool: its limit is reached, or the disk is full. The number is told as lost, with this reason."""

class FieldError(TypeError):
    """A value has no place in a record: it says at which path, and of what type it is, and nothing of the value."""

@final
class Producer:
    """One service that decides, for all threads of this process and its children made by `fork`.

    Opening blocks for some milliseconds, and the opening mark is on disk on return. Needs `trail.toml` and the spool, no engine and no
    key that decrypts.
    """

    def __new__(
        cls,
        folder: str,
        name: str,
        *,
        spill_bytes: int = ...,
        part_bytes: int = ...,
        heartbeat: float = 30.0,
        full: Full = "spill",
        block: float = 1.0,
        remote: tuple[str, str] | None = None,
    ) -> Producer:
        """`folder` is the trail's. `name` is `[a-z0-9][a-z0-9._-]{0,63}`. `remote` is id and intake key of a trail elsewhere, in hex digits:
        then `folder` holds a spool and no `trail.toml`.

        `spill_bytes`: what the producer's files may take on disk. `full`: what happens there: `block` waits up to `block` seconds for
        room, `spill` and `drop` tell the number as lost at once (they differ in the limit that the package gives).
        Raises ValueError for an option, FileNotFoundError when there is no trail, TrailError else.
        """

    @property
    def trail(self) -> str:
        """The trail's id, 32 hex digits."""

    def model(
        self,
        name: str,
        version: str,
        artifact: bytes | None = None,
        *,
        params: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        retention: str = "standard",
        around: tuple[
            ContextVar[Any],
            str,
            Callable[[], Any],
            Callable[..., Any],
            Callable[[Exception], object],
            Callable[[Exception, str], object],
        ]
        | None = None,
        redact: tuple[Sequence[tuple[str, str, str, Any]], Callable[[str], object]] | None = None,
    ) -> Model:
        """A model whose decisions are to be recorded: what is the same in all of them is written once. `artifact` is a SHA-256.

        `around` is for `Model.call` and `RecordedCall`: a variable that says what holds around a call, the name of a module that has to
        be asked as well once it is imported, what gives what holds then, what takes the calls that more has to be added to, what takes
        the exception of a call that could not record, and what notes it while the model's own is under way. `redact` has sections, names,
        redactions and their arguments as `check_redaction` takes them, and what is told of a redaction that does not fit.
        """

    def record(
        self,
        kind: str,
        fields: Mapping[str, Any],
        *,
        links: Sequence[str] = ...,
        model: tuple[str, str, bytes | None] | None = None,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        tags: Mapping[str, Any] | None = None,
        explanation: Explanation | None = None,
        time_ns: int | None = None,
        retention: str = "standard",
    ) -> str:
        """Hands over a record of another kind (`outcome`, `review`, `model`, `deployment`, `note`, `explanation`, `replay`), gives its id.

        `fields` stand below the kind's own name. Returns once the record survives the death of the process. Holds the GIL.
        """

    def flush(self) -> None:
        """Blocks until all that was handed over is on disk; threads that wait share one flush. Releases the GIL."""

    def heartbeat(self) -> None:
        """Hands a signed mark over: all numbers up to now exist."""

    def close(self) -> None:
        """Waits up to a second for decisions in flight, closes the epoch, flushes. Releases the GIL. Closing twice does nothing."""

    def status(self) -> ProducerStatus:
        """What was done so far."""

@final
class Counter:
    """Counts decisions of a model into a window of the present minute. For all threads."""

    def count(
        self,
        inputs: Iterable[tuple[str, Any]],
        outputs: Iterable[tuple[str, Any]] | None = None,
        *,
        status: str = "ok",
        duration_ns: int | None = None,
    ) -> None:
        """Counts a decision for each row. Native columns are read without the GIL.

        Makes a record of the minute before when that is over. Raises TypeError for a column that has no place in a record, TrailError.
        """

    def flush(self) -> None:
        """Makes a record of what was counted since the last one. Raises SpoolFull, TrailError."""

@final
class Model:
    """A model of a producer. For all threads."""

    def record(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None = None,
        *,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        explanation: Explanation | None = None,
        status: str = "ok",
        time_ns: int | None = None,
        duration_ns: int | None = None,
        trace: bytes | None = None,
        span: bytes | None = None,
    ) -> str:
        """Records a decision that was made already; gives its id.

        Returns once the record survives the death of the process (`process`). Takes no lock, makes no system call (but one call in
        thousands, which goes on to the next file). Holds the GIL for some microseconds. Raises TypeError for a value that has no place
        in a record (it says where), SpoolFull, TrailError; then the number, if one was drawn, is told as lost.
        """

    def call(
        self,
        inputs: Any,
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
        level: Any = None,
    ) -> Any:
        """As `record`, where nothing has to be added to the call; else the whole call goes to where `around` says."""

    def left_of_explanation(
        self, explanation: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        """What is recorded of an explanation of a decision with these inputs and outputs: without what betrays a redacted one."""

    def begin(self) -> Pending:
        """Draws the number and the id of a decision that is about to be made, notes the time, marks it in flight."""

    def counter(self) -> Counter:
        """Counts decisions of the model without a record of each."""

    def record_batch(
        self,
        inputs: Sequence[tuple[str, Any]],
        outputs: Sequence[tuple[str, Any]] | None = None,
        *,
        subject: Any | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        status: str = "ok",
        time_ns: int | None = None,
        duration_ns: int | None = None,
        trace: bytes | None = None,
        span: bytes | None = None,
    ) -> Ids:
        """A decision per row; no Python per row.

        Columns of one length: a numpy array of one dimension (any stride; `object` ones hold what `record` takes), an Arrow array or
        chunked array (`__arrow_c_array__`, `__arrow_c_stream__`), or a list. `subject`: such a column of text, or one text for all.
        All rows have one time and one call id, and their place in the call.
        """

    def begin_batch(self, rows: int) -> PendingBatch:
        """Draws `rows` numbers before the model is asked."""

@final
class Pending:
    """A decision with its number and without its record. Dropped without one, its number is told as lost."""

    @property
    def id(self) -> str:
        """UUIDv7 of the record to come."""

    def finish(
        self,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None = None,
        *,
        subject: str | Sequence[str] | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        explanation: Explanation | None = None,
        status: str = "ok",
        trace: bytes | None = None,
        span: bytes | None = None,
    ) -> None:
        """Hands the record over; its duration is the time since `begin`. As `Model.record`; once."""

    def lose(self) -> None:
        """Gives the number back: told as lost (`dropped`)."""

@final
class PendingBatch:
    """Decisions with their numbers, one per row of a call that is under way."""

    @property
    def ids(self) -> Ids: ...
    def finish(
        self,
        inputs: Sequence[tuple[str, Any]],
        outputs: Sequence[tuple[str, Any]] | None = None,
        *,
        subject: Any | None = None,
        actor: str | None = None,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, Any] | None = None,
        status: str = "ok",
        trace: bytes | None = None,
        span: bytes | None = None,
    ) -> None:
        """As `Model.record_batch`, with the numbers, ids and time of the beginning."""

    def lose(self) -> None: ...

@final
class RecordedCall:
    """A method whose calls are recorded, without Python on the way where one row of a numpy array of numbers goes in."""

    def __new__(
        cls,
        model: Model,
        method: Callable[..., Any],
        long: Callable[..., Any],
        *,
        keyword: str,
        is_fed: bool,
        widths: tuple[int, int],
        answer_width: int,
        names: Callable[[int], list[str]],
        answer_names: Callable[[int | None, int], list[str]],
        answer: Callable[[Any], Mapping[str, Any]],
        active: ContextVar[Any],
        own: tuple[Any],
    ) -> RecordedCall:
        """`long` takes every other call of `method`, as it was made, and records it as well.

        The row is the first argument, or the one named `keyword`; if `is_fed`, the one value of the dict that is. It has from `widths[0]`
        to `widths[1]` columns, which `names` names. The answer is an array of one row, or a list of such, of at most `answer_width`
        columns, which `answer_names` names: given the place in the list, and the columns, 0 for an array of one dimension. Any other answer
        becomes a mapping by `answer`. `active` holds the models whose calls are under way, `own` this one.
        """

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

@final
class Ids(Sequence[str]):
    """Ids of the records of a batch, made into text when asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: Any, /) -> Any: ...

def keyed_hash(key: bytes, value: Any) -> tuple[bytes, str]:
    """HMAC-SHA-256 of the encoding of a value, and the id of the key. Raises FieldError for what has no place in a record."""

def check_redaction(kind: str, argument: Any) -> None:
    """Raises ValueError unless there is such a redaction: `hash` with a key, `truncate` with a length or the name of a unit, `width` with
    a number, `edges` with numbers."""

def random_id() -> str:
    """A fresh UUIDv7."""
