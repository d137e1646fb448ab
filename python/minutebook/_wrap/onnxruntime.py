"""ONNX Runtime's `InferenceSession.run`. Inputs and outputs are named by the model; the first dimension counts the decisions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _columns
from .._columns import Columns
from .._limits import COLUMNS_MAX
from .call import Arrays, recorded
from .proxy import proxy

if TYPE_CHECKING:
    from .._model import Model

# Columns of an output that become a field each: classes, not embeddings or pictures.
_CLASSES_MAX = 64


def wrap(model: Model, session: Any, *, features: Sequence[str] | None = None) -> Any:
    """`features` names the columns of a single input of two dimensions; without, a row of it is one tensor."""
    every = [output.name for output in session.get_outputs()]

    def run(method: Callable[..., Any]) -> Callable[..., Any]:
        readers: dict[tuple[str, ...], Callable[..., Any]] = {}

        @functools.wraps(method)
        def call(output_names: Any, input_feed: Any, run_options: Any = None) -> Any:
            asked = tuple(output_names) if output_names else ()
            recording = readers.get(asked)
            if recording is None:

                def fed(feed: Any, names: Any, options: Any) -> Any:
                    return method(names, feed, options)

                recording = readers[asked] = recorded(model, fed, _Reader(features, asked or every), "feed")
            return recording(input_feed, output_names, run_options)

        return call

    return proxy(session, model, {"run": run}, lambda copied: wrap(model, copied, features=features))


class _Reader:
    def __init__(self, features: Sequence[str] | None, outputs: Sequence[str]) -> None:
        self._features = features
        self._outputs = outputs

    def rows(self, given: Mapping[str, Any]) -> int:
        return _common_rows(given) or 0

    def row(self, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        rows = _common_rows(given)
        if rows is None:
            return dict(given)
        if rows != 1:
            return None
        features = self._features
        if features is not None and len(given) == 1:
            (value,) = given.values()
            if value.ndim == 2 and value.shape[1] == len(features):
                return dict(zip(features, value[0]))
        return {name: value[0] for name, value in given.items()}

    def columns(self, given: Mapping[str, Any]) -> Columns:
        copied = {name: value.copy() for name, value in given.items()}
        if self._features is not None and len(copied) == 1:
            (value,) = copied.values()
            if value.ndim == 2 and value.shape[1] == len(self._features) <= COLUMNS_MAX:
                return _columns.columns(value, self._features)
        return [(name, _columns.values(value)) for name, value in copied.items()]

    def answer(self, result: Sequence[Any]) -> Mapping[str, Any]:
        outputs: dict[str, Any] = {}
        for name, value in zip(self._outputs, result):
            if isinstance(value, list):
                first = value[0] if len(value) == 1 else value
                outputs.update(((f"{name}_{label}", part) for label, part in first.items()) if isinstance(first, dict) else [(name, first)])
            elif value.ndim == 0 or value.shape[0] != 1:
                outputs[name] = value
            elif value.ndim == 2 and value.shape[1] <= _CLASSES_MAX:
                outputs.update(zip(self._parts(name, value.shape[1]), value[0]))
            else:
                outputs[name] = value.tolist()[0] if value.dtype.char == "O" else value[0]
        return outputs

    def arrays(self) -> Arrays | None:
        features = self._features
        if features is None or len(features) > COLUMNS_MAX:
            return None
        width = len(features)
        return Arrays(True, (width, width), _CLASSES_MAX, lambda _: list(features), self._names_of_part)

    def _names_of_part(self, place: int | None, width: int) -> list[str]:
        name = self._outputs[place or 0]
        return self._parts(name, width) if width else [name]

    def _parts(self, name: str, width: int) -> list[str]:
        return [name] if width == 1 else [f"{name}_{place}" for place in range(width)]

    def answers(self, result: Sequence[Any]) -> Columns:
        columns: Columns = []
        for name, value in zip(self._outputs, result):
            if isinstance(value, list) and value and isinstance(value[0], dict):
                columns += [(f"{name}_{label}", [row[label] for row in value]) for label in value[0]]
            elif not isinstance(value, list) and value.ndim == 2 and value.shape[1] <= _CLASSES_MAX:
                columns += [(part, value[:, place]) for place, part in enumerate(self._parts(name, value.shape[1]))]
            else:
                columns.append((name, _columns.values(value)))
        return columns


def _common_rows(given: Mapping[str, Any]) -> int | None:
    """The first dimension of all inputs; None when they do not agree, or are single values: then the call is one decision."""
    found = None
    for value in given.values():
        shape = value.shape
        if not shape or (found is not None and shape[0] != found):
            return None
        found = shape[0]
    return found
