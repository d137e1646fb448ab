"""Clients with OpenAI's interface: `chat.completions` and `responses`, `create`, `parse` and `stream`, sync and async. A decision per call;
a streamed one is recorded when its stream ends, early or not."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .call import OpenCall, active, is_active
from .openai_answers import ChatAnswer, ResponseAnswer
from .openai_stream import streamed
from .proxy import Hook, proxy

if TYPE_CHECKING:
    from .._model import Model

# What a model sees. All else that is given is a parameter, but for what concerns the connection, where credentials may be.
_SEEN = ("messages", "input", "instructions", "tools", "functions")
_CONNECTION = ("extra_headers", "extra_query", "timeout", "stream", "stream_options")
_COPIES = ("with_options", "copy")


def wrap(model: Model, client: Any) -> Any:
    """The client; other resources of it are passed on unrecorded."""

    def chat(resource: Any) -> Any:
        return proxy(resource, model, {"completions": functools.partial(_resource, model, ChatAnswer)}, _itself)

    def copies(method: Any) -> Any:
        return functools.wraps(method)(lambda *args, **kwargs: wrap(model, method(*args, **kwargs)))

    hooks: dict[str, Hook] = {"chat": chat, "responses": functools.partial(_resource, model, ResponseAnswer)}
    hooks.update((name, copies) for name in _COPIES)
    return proxy(client, model, hooks, lambda copied: wrap(model, copied))


def _itself(thing: Any) -> Any:
    return thing


def _resource(model: Model, answer: type[ChatAnswer] | type[ResponseAnswer], resource: Any) -> Any:
    """`completions` or `responses`, recorded."""
    hooks: dict[str, Hook] = {}
    made = proxy(resource, model, hooks, _itself)
    for name in ("create", "parse"):
        hooks[name] = functools.partial(_asked, model, answer)
    # `stream` asks `create` of the resource that it is called on.
    hooks["stream"] = lambda method: functools.partial(method.__func__, made)
    # So do the faces that give raw responses.
    hooks["with_raw_response"] = hooks["with_streaming_response"] = lambda face: type(face)(made)
    return made


def _asked(model: Model, answer: type[ChatAnswer] | type[ResponseAnswer], method: Callable[..., Any]) -> Callable[..., Any]:
    def begin(kwargs: dict[str, Any]) -> OpenCall:
        for name in ("messages", "tools"):
            # A generator would be used up by the one who reads it first.
            if name in kwargs and hasattr(kwargs[name], "__next__"):
                kwargs[name] = list(kwargs[name])
        return OpenCall(model, lambda: _seen(kwargs), _params(kwargs))

    def answered(call: OpenCall, kwargs: dict[str, Any], result: Any) -> Any:
        if hasattr(result, "http_response"):
            # A raw response. Its body is there only when it is of the older kind, and not streamed.
            if kwargs.get("stream") or type(result).__name__ != "LegacyAPIResponse":
                call.answered(lambda: _refused("a raw response that is streamed"))
            else:
                call.answered(lambda: answer().whole(result.parse()))
            return result
        if kwargs.get("stream"):
            return streamed(model, result, call, answer())
        call.answered(lambda: answer().whole(result))
        return result

    @functools.wraps(method)
    def create(*args: Any, **kwargs: Any) -> Any:
        if is_active(model):
            return method(*args, **kwargs)
        call = begin(kwargs)
        try:
            with active(model):
                result = method(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        return answered(call, kwargs, result)

    @functools.wraps(method)
    async def create_later(*args: Any, **kwargs: Any) -> Any:
        if is_active(model):
            return await method(*args, **kwargs)
        call = begin(kwargs)
        try:
            with active(model):
                result = await method(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        return answered(call, kwargs, result)

    # The client decorates its methods, so that only what lies beneath tells.
    return create_later if inspect.iscoroutinefunction(inspect.unwrap(method)) else create


def _refused(what: str) -> Mapping[str, Any]:
    raise TypeError(f"{what} is not recorded: use `create`, with or without `stream=True`")


def _given(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the client's marks for what is not given."""
    return {name: value for name, value in kwargs.items() if type(value).__name__ not in ("Omit", "NotGiven") and value is not None}


def _seen(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: _plain(value) for name, value in _given(kwargs).items() if name in _SEEN}


def _params(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: _plain(value) for name, value in _given(kwargs).items() if name not in _SEEN and name not in _CONNECTION}


def _plain(value: Any) -> Any:
    """Values as JSON has them: answers that are sent back as messages are objects of the client, formats are classes."""
    if hasattr(value, "model_dump") and not isinstance(value, type):
        return value.model_dump(mode="json", exclude_none=True)
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
