"""Any function, plain or `async`, and any object that can be called: a decision per call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .call import OpenCall, Reader, active, is_active, recorded
from .proxy import proxy

if TYPE_CHECKING:
    from .._model import Model

Inputs = Callable[..., Mapping[str, Any]]
Outputs = Callable[[Any], Mapping[str, Any]]


def wrap(model: Model, function: Any, *, inputs: Inputs | None = None, outputs: Outputs | None = None) -> Any:
    """`inputs` is called with the arguments, `outputs` with the result; each gives what is to be recorded. Without, all arguments by their
    names, and the result: a mapping, a dataclass or a pydantic model by its names, anything else as `prediction`."""
    called = function if inspect.isroutine(function) else function.__call__
    if inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called):
        raise TypeError(f"`{function!r}` gives its answer piece by piece: wrap what takes the whole of it, or use `Model.decision`")
    reader = _Reader(inspect.signature(function), inputs, outputs)
    hook = _awaited if inspect.iscoroutinefunction(called) else _called
    if inspect.isroutine(function):
        made = hook(model, reader, function)
        made.__minutebook_wrapped__ = function
        return made
    again = functools.partial(wrap, model, inputs=inputs, outputs=outputs)
    return proxy(function, model, {"__call__": functools.partial(hook, model, reader)}, again)


def _called(model: Model, reader: Reader, function: Callable[..., Any]) -> Any:
    def given(arguments: Any, args: Any, kwargs: Any) -> Any:
        return function(*args, **kwargs)

    recording = recorded(model, given, reader, "arguments")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return recording((args, kwargs), args, kwargs)

    return call


def _awaited(model: Model, reader: Reader, function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if is_active(model):
            return await function(*args, **kwargs)
        decision = OpenCall(model, lambda: reader.row((args, kwargs)) or {})
        try:
            with active(model):
                result = await function(*args, **kwargs)
        except BaseException as error:
            decision.failed(error)
            raise
        await decision.awaited(lambda: reader.answer(result))
        return result

    return call


class _Reader:
    def __init__(self, signature: inspect.Signature, inputs: Inputs | None, outputs: Outputs | None) -> None:
        self._signature = signature
        self._inputs = inputs
        self._outputs = outputs
        # `self` of a method that is wrapped in the class's body is no input.
        self._own = next(iter(signature.parameters), "") in ("self", "cls")

    def rows(self, given: Any) -> int:
        return 1

    def row(self, given: tuple[tuple[Any, ...], dict[str, Any]]) -> Mapping[str, Any]:
        args, kwargs = given
        if self._inputs is not None:
            return self._inputs(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            if self._signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
                found.update((key, plain(item)) for key, item in value.items())
            else:
                found[name] = plain(value)
        if self._own:
            found.pop(next(iter(self._signature.parameters)))
        return found

    def columns(self, given: Any) -> Any:
        raise AssertionError("a call is one decision")

    def answer(self, result: Any) -> Mapping[str, Any]:
        if self._outputs is not None:
            return self._outputs(result)
        told = plain(result)
        return told if isinstance(told, Mapping) else {"prediction": told}

    def answers(self, result: Any) -> Any:
        raise AssertionError("a call is one decision")

    def arrays(self) -> None:
        return None


def plain(value: Any) -> Any:
    """What a record takes instead of a dataclass, a pydantic model, an enumeration or a set; anything else as it is."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="python")
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
