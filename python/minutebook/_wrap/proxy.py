"""A stand-in for an object: everything is passed on to it, but for the methods that are recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .._model import Model

Hook = Callable[[Any], Any]
"""Takes a bound method of the wrapped object, gives what is called instead."""

# Python looks these up on the class, so a stand-in has those that the class of its object has.
_SPECIAL = (
    "__call__", "__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__reversed__",
    "__enter__", "__exit__", "__aenter__", "__aexit__", "__aiter__", "__anext__", "__bool__", "__int__", "__float__", "__index__",
    "__array__", "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__radd__", "__or__", "__ror__",
)  # fmt: skip

_set = object.__setattr__
_get = object.__getattribute__


class Proxy:
    """The stand-in. `isinstance` sees the class of the object."""

    def __init__(self, thing: Any, model: Model, hooks: Mapping[str, Hook], again: Callable[[Any], Any]) -> None:
        # INVARIANT: the instance's own dict holds these and recorded methods that were asked for; the rest is the object's.
        _set(self, "__minutebook_wrapped__", thing)
        _set(self, "__minutebook_model__", model)
        _set(self, "_minutebook_hooks", hooks)
        _set(self, "_minutebook_again", again)

    def __getattr__(self, name: str) -> Any:
        found = getattr(_get(self, "__minutebook_wrapped__"), name)
        hook = _get(self, "_minutebook_hooks").get(name)
        if hook is None:
            return found
        recorded = hook(found)
        _set(self, name, recorded)
        return recorded

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_get(self, "__minutebook_wrapped__"), name, value)
        self._forget(name)

    def __delattr__(self, name: str) -> None:
        delattr(_get(self, "__minutebook_wrapped__"), name)
        self._forget(name)

    def _forget(self, name: str) -> None:
        if name in _get(self, "_minutebook_hooks"):
            try:
                object.__delattr__(self, name)
            except AttributeError:
                pass

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # type: ignore[override]
        return type(_get(self, "__minutebook_wrapped__"))

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        return vars(_get(self, "__minutebook_wrapped__"))

    def __dir__(self) -> list[str]:
        return dir(_get(self, "__minutebook_wrapped__"))

    def __repr__(self) -> str:
        return repr(_get(self, "__minutebook_wrapped__"))

    def __str__(self) -> str:
        return str(_get(self, "__minutebook_wrapped__"))

    def __eq__(self, other: object) -> bool:
        return _get(self, "__minutebook_wrapped__") == unwrap(other)

    def __hash__(self) -> int:
        return hash(_get(self, "__minutebook_wrapped__"))

    def __copy__(self) -> Any:
        return _get(self, "_minutebook_again")(copy.copy(unwrap(self)))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return _get(self, "_minutebook_again")(copy.deepcopy(unwrap(self), memo))

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The object alone would go on elsewhere and decide unrecorded, which nobody would notice.
        raise TypeError("a recorded model is not pickled: pickle `minutebook.unwrap(model)`, and wrap it in the process that uses it")


_classes: dict[type, type[Proxy]] = {}


def proxy(thing: Any, model: Model, hooks: Mapping[str, Hook], again: Callable[[Any], Any]) -> Any:
    """A stand-in for `thing`; `again` makes one for a copy."""
    kind = type(thing)
    made = _classes.get(kind)
    if made is None:
        special = {name: _special(name) for name in _SPECIAL if hasattr(kind, name)}
        made = _classes[kind] = type(kind.__name__, (Proxy,), special | {"__module__": kind.__module__, "__doc__": kind.__doc__})
    return made(thing, model, hooks, again)


def _special(name: str) -> Callable[..., Any]:
    def special(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        hooks = _get(self, "_minutebook_hooks")
        method = getattr(_get(self, "__minutebook_wrapped__"), name)
        return (hooks[name](method) if name in hooks else method)(*args, **kwargs)

    return special


def unwrap(thing: Any) -> Any:
    """What was wrapped; anything else as it is."""
    if issubclass(type(thing), Proxy):
        return _get(thing, "__minutebook_wrapped__")
    return getattr(thing, "__minutebook_wrapped__", thing) if callable(thing) else thing
