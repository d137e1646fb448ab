"""PyTorch's modules: what `module(…)` and `module.forward(…)` are given and answer with. The first dimension counts the decisions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _columns
from .._columns import Columns
from .._limits import COLUMNS_MAX
from .call import recorded
from .proxy import Hook, proxy

if TYPE_CHECKING:
    from .._model import Model

_RETURNS_ITSELF = ("eval", "train", "to", "cpu", "cuda", "half", "float", "double", "bfloat16", "requires_grad_")
_CLASSES_MAX = 64


def wrap(model: Model, module: Any, *, features: Sequence[str] | None = None, outputs: Sequence[str] | None = None) -> Any:
    """`features` names the columns of a single input of two dimensions; `outputs` those of the answer."""
    parameters = list(inspect.signature(module.forward).parameters)

    def call(method: Callable[..., Any]) -> Callable[..., Any]:
        # Arguments become one mapping, as a recorder is given one thing.
        def given(named: Mapping[str, Any], args: Any, kwargs: Any) -> Any:
            return method(*args, **kwargs)

        recording = recorded(model, given, _Reader(features, outputs), "named")

        @functools.wraps(method)
        def called(*args: Any, **kwargs: Any) -> Any:
            return recording({**dict(zip(parameters, args)), **kwargs}, args, kwargs)

        return called

    hooks: dict[str, Hook] = {"__call__": call, "forward": call}
    made = proxy(module, model, hooks, lambda copied: wrap(model, copied, features=features, outputs=outputs))
    for name in _RETURNS_ITSELF:
        hooks[name] = functools.partial(_returning, made, module)
    return made


def _returning(made: Any, module: Any, method: Any) -> Any:
    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        result = method(*args, **kwargs)
        return made if result is module else result

    return call


class _Reader:
    def __init__(self, features: Sequence[str] | None, outputs: Sequence[str] | None) -> None:
        self._features = features
        self._outputs = outputs

    def rows(self, given: Mapping[str, Any]) -> int:
        """The first dimension of all tensors; a call with tensors that do not agree is one decision."""
        counts = {value.shape[0] for value in given.values() if getattr(value, "ndim", 0) > 0}
        return counts.pop() if len(counts) == 1 else 1

    def row(self, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if self.rows(given) != 1:
            return None
        inputs: dict[str, Any] = {}
        for name, value in given.items():
            array = _array(value)
            if self._splits(array, given):
                inputs.update(zip(self._features or (), array[0]))
            else:
                inputs[name] = array[0] if getattr(array, "ndim", 0) > 0 and array.shape[0] == 1 else array
        return inputs

    def columns(self, given: Mapping[str, Any]) -> Columns:
        columns: Columns = []
        for name, value in given.items():
            array = _array(value)
            if self._splits(array, given):
                columns += _columns.columns(array, self._features)
            elif getattr(array, "ndim", 0) > 0:
                columns.append((name, _columns.values(array)))
            else:
                columns.append((name, [array] * self.rows(given)))
        return columns

    def _splits(self, array: Any, given: Mapping[str, Any]) -> bool:
        features = self._features
        return features is not None and len(given) == 1 and array.ndim == 2 and array.shape[1] == len(features) <= COLUMNS_MAX

    def answer(self, result: Any) -> Mapping[str, Any]:
        return {name: column[0] if len(column) == 1 else column for name, column in self.answers(result)}

    def answers(self, result: Any) -> Columns:
        if isinstance(result, Mapping):
            return [part for name, value in result.items() for part in self._parts(str(name), value)]
        if isinstance(result, (tuple, list)):
            return [part for place, value in enumerate(result) for part in self._parts(f"prediction_{place}", value)]
        return self._parts("prediction", result)

    def arrays(self) -> None:
        return None

    def _parts(self, name: str, value: Any) -> Columns:
        array = _array(value)
        if array.ndim == 2 and array.shape[1] <= _CLASSES_MAX:
            names = self._outputs
            if names is None or len(names) != array.shape[1]:
                names = [name] if array.shape[1] == 1 else [f"{name}_{place}" for place in range(array.shape[1])]
            return [(part, array[:, place]) for place, part in enumerate(names)]
        return [(name, _columns.values(array) if array.ndim else [array.item()])]


def _array(value: Any) -> Any:
    """A tensor as an array of numpy of its own: the module may work in place. Other values as they are."""
    if not hasattr(value, "detach"):
        return value
    value = value.detach().cpu()
    # numpy has no bfloat16; float32 holds each of its values.
    return (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy().copy()
