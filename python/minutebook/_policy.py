"""A sampling policy as text, from whatever somebody has it in. What it means is for the engine to say (docs/formats/policy.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

FORMAT = "minutebook/policy/1"


def text(policy: str | os.PathLike[str] | Mapping[str, Any]) -> str:
    """The text of a policy: itself, that of a file, or a dict as TOML.

    Raises OSError, TypeError, ValueError for what TOML has no words for.
    """
    if isinstance(policy, str):
        if "=" not in policy:
            raise ValueError(f"this is no policy, which begins with `format = \"{FORMAT}\"`: give a path as `pathlib.Path`")
        return policy
    if isinstance(policy, os.PathLike):
        with open(policy, encoding="utf-8") as file:
            return file.read()
    if not isinstance(policy, Mapping):
        raise TypeError(f"a policy is a text, a path or a dict, not {type(policy).__name__}")
    tables = [("", {name: value for name, value in policy.items() if name != "model"} | {"format": policy.get("format", FORMAT)})]
    for model in _list(policy.get("model", ()), "model"):
        tables.append(("[[model]]", {name: value for name, value in model.items() if name != "rule"}))
        tables += [("[[model.rule]]", rule) for rule in _list(model.get("rule", ()), "rule")]
    return "\n".join(_table(*table) for table in tables)


def _list(value: Any, name: str) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, Sequence) and all(isinstance(item, Mapping) for item in value):
        return value
    raise TypeError(f"`{name}` is a list of dicts: `{{\"model\": [{{\"name\": \"*\", \"rule\": [{{\"name\": \"others\", \"rate\": 0.05}}]}}]}}`")


def _table(head: str, members: Mapping[str, Any]) -> str:
    lines = [head] if head else []
    lines += [f"{_key(name)} = {_value(value)}" for name, value in members.items()]
    return "\n".join(lines) + "\n"


def _key(name: Any) -> str:
    if isinstance(name, (bool, int)):
        return str(name).lower()
    if isinstance(name, str):
        return _text(name)
    raise TypeError(f"a name in a policy is a text, a truth value or an integer, not {type(name).__name__}")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(part)}" for name, part in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    raise TypeError(f"a policy has texts, numbers, truth values, lists and dicts, not {type(value).__name__}")


def _text(text: str) -> str:
    # JSON's escapes are TOML's, which has one more to make.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
