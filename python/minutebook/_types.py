"""Types that the extension takes and gives, where it has no class of its own for them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

Full = Literal["block", "spill", "drop"]
"""What happens when there is no room in the spool (`minutebook.open`)."""


class Explanation(TypedDict, total=False):
    """Why, as `record` takes it. `attributions` and `method` are needed."""

    attributions: Mapping[str, float] | tuple[Sequence[str], Any]
    """Feature to number; or features and an array of one dimension, or of two: (features, outputs)."""
    method: str
    library: str
    parameters: Mapping[str, Any]
    seed: int
    background: bytes
    """SHA-256 of the background data, 32 bytes."""
    space: Literal["raw", "log-odds", "probability"]
    of: Any
    """The class or output that is explained."""
    base: float | Sequence[float]
    residual: float | Sequence[float]
    when: Literal["inline", "later"]
    duration_ns: int
    reasons: Sequence[Mapping[str, Any]]
    """Principal reasons, the weightiest first (docs/formats/record.md)."""
    counterfactuals: Sequence[Mapping[str, Any]]
    """Inputs with which the answer would have been another, by feature."""


class ProducerStatus(TypedDict):
    """What a producer did so far in this process."""

    producer: str
    """Who draws the numbers: 32 hex digits."""
    epoch: int
    drawn: dict[str, int]
    """Last number drawn, by retention class."""
    lost: int
    """Numbers told as lost, or about to be."""
    in_flight: int
    bytes: int
    """Handed over, encrypted."""
    parts: int
    full: bool
    """There was no room when a file was last asked for."""
    poisoned: bool
    """A flush failed: nothing more is accepted."""
    mapped: bool
