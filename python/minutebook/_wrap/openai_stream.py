"""A stream of a language model's answer, passed on piece by piece; its record is handed over when it ends.

It ends when it is used up, fails, is closed, or nobody holds it any more. `complete` says whether the model came to its end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from .proxy import Hook, proxy

if TYPE_CHECKING:
    from .._model import Model
    from .call import OpenCall
    from .openai_answers import ChatAnswer, ResponseAnswer


def streamed(model: Model, stream: Any, call: OpenCall, answer: ChatAnswer | ResponseAnswer) -> Any:
    """The stream, recorded."""
    watched = _Watched(call, answer)
    hooks: dict[str, Hook] = {
        "__iter__": watched.iterated,
        "__next__": watched.advanced,
        "__aiter__": watched.iterated_later,
        "__anext__": watched.advanced_later,
        "__exit__": watched.closed,
        "close": watched.closed_later if hasattr(stream, "__anext__") else watched.closed,
        "aclose": watched.closed_later,
        "__aexit__": watched.closed_later,
    }
    return proxy(stream, model, hooks, lambda copied: copied)


class _Watched:
    def __init__(self, call: OpenCall, answer: ChatAnswer | ResponseAnswer) -> None:
        self._call = call
        self._answer = answer
        self._ended = False

    def _take(self, piece: Any) -> None:
        try:
            self._answer.piece(piece)
        except Exception as error:
            # A piece that is not as the client's types say; what was understood is recorded.
            self._call._model._faults.note(error, "not recorded in full")

    def _end(self, complete: bool) -> None:
        if not self._ended:
            self._ended = True
            self._call.answered(lambda: {**self._answer.outputs(), "complete": complete})

    def _fail(self, error: BaseException) -> None:
        if not self._ended:
            self._ended = True
            self._call.failed(error, {**self._answer.outputs(), "complete": False})

    def iterated(self, method: Callable[[], Iterator[Any]]) -> Callable[[], Iterator[Any]]:
        def pieces() -> Iterator[Any]:
            # Whoever leaves the loop may go on with the next piece later: that is no end.
            following = self.advanced(method().__next__)
            while True:
                try:
                    piece = following()
                except StopIteration:
                    return
                yield piece

        return pieces

    def advanced(self, method: Callable[[], Any]) -> Callable[[], Any]:
        def piece() -> Any:
            try:
                found = method()
            except StopIteration:
                self._end(complete=True)
                raise
            except BaseException as error:
                self._fail(error)
                raise
            self._take(found)
            return found

        return piece

    def iterated_later(self, method: Callable[[], AsyncIterator[Any]]) -> Callable[[], AsyncIterator[Any]]:
        async def pieces() -> AsyncIterator[Any]:
            following = self.advanced_later(method().__anext__)
            while True:
                try:
                    piece = await following()
                except StopAsyncIteration:
                    return
                yield piece

        return pieces

    def advanced_later(self, method: Callable[[], Any]) -> Callable[[], Any]:
        async def piece() -> Any:
            try:
                found = await method()
            except StopAsyncIteration:
                self._end(complete=True)
                raise
            except BaseException as error:
                self._fail(error)
                raise
            self._take(found)
            return found

        return piece

    def closed(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def close(*args: Any) -> Any:
            self._end(complete=False)
            return method(*args)

        return close

    def closed_later(self, method: Callable[..., Any]) -> Callable[..., Any]:
        async def close(*args: Any) -> Any:
            self._end(complete=False)
            return await method(*args)

        return close

    def __del__(self) -> None:
        try:
            self._end(complete=False)
        except Exception:
            # As the interpreter ends; its number is told as lost.
            pass
