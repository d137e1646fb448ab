"""What a language model's answer comes to as outputs, from a whole response or from the pieces of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._limits import STREAM_CHARACTERS_MAX


class ChatAnswer:
    """A chat completion. One choice stands for itself; of several there is a list."""

    def __init__(self) -> None:
        self._choices: dict[int, dict[str, Any]] = {}
        self._told: dict[str, Any] = {}
        self._characters = 0

    def whole(self, completion: Any) -> Mapping[str, Any]:
        """The outputs of a response that came at once."""
        self._about(completion)
        for choice in completion.choices:
            told = _without_none({
                "content": choice.message.content,
                "refusal": getattr(choice.message, "refusal", None),
                "finish_reason": choice.finish_reason,
            })
            if choice.message.tool_calls:
                told["tool_calls"] = [call.model_dump(mode="json", exclude_none=True) for call in choice.message.tool_calls]
            self._choices[choice.index] = told
        return self.outputs()

    def piece(self, chunk: Any) -> None:
        """Takes a chunk of a stream."""
        self._about(chunk)
        for choice in chunk.choices:
            told = self._choices.setdefault(choice.index, {})
            if choice.finish_reason is not None:
                told["finish_reason"] = choice.finish_reason
            for name in ("content", "refusal"):
                text = getattr(choice.delta, name, None)
                if text:
                    told[name] = told.get(name, "") + self._room_for(text)
            for call in choice.delta.tool_calls or ():
                self._tool_call(told.setdefault("tool_calls", []), call)

    def _tool_call(self, calls: list[dict[str, Any]], piece: Any) -> None:
        while len(calls) <= piece.index:
            calls.append({"type": "function", "function": {"name": "", "arguments": ""}})
        call = calls[piece.index]
        if piece.id:
            call["id"] = piece.id
        if piece.function is not None:
            call["function"]["name"] += piece.function.name or ""
            call["function"]["arguments"] += self._room_for(piece.function.arguments or "")

    def _room_for(self, text: str) -> str:
        kept = text[: max(STREAM_CHARACTERS_MAX - self._characters, 0)]
        self._characters += len(kept)
        if len(kept) < len(text):
            self._told["truncated"] = True
        return kept

    def _about(self, completion: Any) -> None:
        self._told.update(_without_none({"response": completion.id, "model": completion.model}))
        usage = completion.usage
        if usage is not None:
            self._told.update(_tokens(usage, "prompt", "completion"))

    def outputs(self) -> Mapping[str, Any]:
        """All that was said so far."""
        choices = [told for _, told in sorted(self._choices.items())]
        if len(choices) == 1:
            return {**choices[0], **self._told}
        return {"choices": choices, **self._told}


class ResponseAnswer:
    """An answer of the responses interface."""

    _ENDS = ("response.completed", "response.incomplete", "response.failed")

    def __init__(self) -> None:
        self._whole: Any = None
        self._text: list[str] = []
        self._characters = 0

    def whole(self, response: Any) -> Mapping[str, Any]:
        """The outputs of a response that came at once, or with the end of a stream."""
        told = _without_none({"response": response.id, "model": response.model, "response_status": response.status})
        told["text"] = response.output_text
        told["output"] = [item.model_dump(mode="json", exclude_none=True) for item in response.output]
        if response.usage is not None:
            told.update(_tokens(response.usage, "input", "output"))
        return told

    def piece(self, event: Any) -> None:
        """Takes an event of a stream."""
        if event.type in self._ENDS:
            self._whole = event.response
        elif event.type == "response.output_text.delta" and self._characters < STREAM_CHARACTERS_MAX:
            self._text.append(event.delta)
            self._characters += len(event.delta)

    def outputs(self) -> Mapping[str, Any]:
        """All that was said so far."""
        if self._whole is not None:
            return self.whole(self._whole)
        return {"text": "".join(self._text)[:STREAM_CHARACTERS_MAX]}


def _tokens(usage: Any, into: str, out: str) -> dict[str, Any]:
    """How many tokens, by the same names for both interfaces."""
    given, said = getattr(usage, f"{into}_tokens_details", None), getattr(usage, f"{out}_tokens_details", None)
    return _without_none({
        "input_tokens": getattr(usage, f"{into}_tokens", None),
        "output_tokens": getattr(usage, f"{out}_tokens", None),
        "total_tokens": usage.total_tokens,
        "cached_tokens": getattr(given, "cached_tokens", None),
        "reasoning_tokens": getattr(said, "reasoning_tokens", None),
    })


def _without_none(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if value is not None}
