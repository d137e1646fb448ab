"""Redaction at the source: what is left of values before they leave the process. The rules are applied where values are encoded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, NoReturn

from . import _core
from ._limits import REDACTION_KEY_BYTES_MIN

Unit = Literal["second", "minute", "hour", "day", "month", "year"]
Path = str | tuple[str, str]

_UNITS = ("second", "minute", "hour", "day", "month", "year")
_SECTIONS = ("inputs", "outputs", "params", "tags", "environment")
_DIGITS = ", in 24 characters or less when written without an exponent"
_NOT_REDACTED = {
    "subject": "a person's records are found and erased by it: give a pseudonym as `subject`, such as `keyed_hash(…).of(name)`",
    "actor": "give a pseudonym as `actor`, such as `keyed_hash(…).of(name)`, or none",
    "explanation": "what would betray a redacted input or output is left out of explanations by itself",
    "event": "it holds no values of yours",
    "model": "it holds no values of yours",
}


class Redaction:
    """What is done to a value: made by `drop`, `keyed_hash`, `truncate` and `bucket`, given to `Trail.model`."""

    __slots__ = ("_kind", "_said")

    def __init__(self, kind: str, said: str) -> None:
        self._kind = kind
        self._said = said

    @property
    def _argument(self) -> Any:
        return None

    def __repr__(self) -> str:
        return self._said


class Rule(NamedTuple):
    """A path and what is done there."""

    section: str
    name: str
    redaction: Redaction

    def described(self) -> dict[str, Any]:
        """What the record of the model says of it."""
        return {"path": [self.section, self.name], "redaction": repr(self.redaction)}


class _Plain(Redaction):
    __slots__ = ("_value",)

    def __init__(self, kind: str, said: str, value: Any) -> None:
        super().__init__(kind, said)
        self._value = value

    @property
    def _argument(self) -> Any:
        return self._value


class KeyedHash(Redaction):
    """HMAC-SHA-256 of a value. The key is neither shown nor pickled."""

    __slots__ = ("__key", "key_id")

    def __init__(self, key: bytes) -> None:
        self.__key = key
        self.key_id: str = _core.keyed_hash(key, None)[1]
        """Names the key in schemas: 8 hex digits."""
        super().__init__("hash", f"keyed_hash(key id {self.key_id})")

    @property
    def _argument(self) -> Any:
        return self.__key

    def of(self, value: Any) -> str:
        """The hash of a value as records have it, 64 hex digits: to look for, or for a pseudonym. Raises TypeError as `Model.record` does."""
        return _core.keyed_hash(self.__key, value)[0].hex()

    def __copy__(self) -> KeyedHash:
        return self

    def __deepcopy__(self, memo: Any) -> KeyedHash:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a keyed hash is not pickled, since its key would be: make it anew from `env:NAME` or a file")


def drop() -> Redaction:
    """Leaves a value out. The record says that it was."""
    return Redaction("drop", "drop()")


def keyed_hash(key: bytes | str | os.PathLike[str]) -> KeyedHash:
    """Replaces a value by its HMAC-SHA-256: equal values stay equal, and nobody without the key can guess them.

    `key`: 16 bytes or more, random; `env:NAME`, an environment variable that holds it; or the path of a file, of which every byte counts.
    The schema names the key by an id. Raises ValueError for a key that is missing or short, OSError for a file that cannot be read.
    """
    return KeyedHash(_key(key))


def truncate(to: int | Unit) -> Redaction:
    """Keeps the beginning of a value: so many characters of a text (code points) or bytes, or of a time the `second`, `minute`, `hour`,
    `day`, `month` or `year` that it is in, in UTC. Numbers are for `bucket`. Raises ValueError."""
    unit = isinstance(to, str)
    if unit and to not in _UNITS:
        raise ValueError(f"`truncate`: a number of characters, or one of `{'`, `'.join(_UNITS)}`, is asked for, not `{to}`")
    if not unit and (isinstance(to, bool) or not isinstance(to, int) or not _is_redaction("truncate", to)):
        raise ValueError("`truncate`: 1 to 65,535 characters are kept; `drop()` keeps none")
    return _Plain("truncate", f'truncate("{to}")' if unit else f"truncate({to})", to)


def bucket(width: float | None = None, *, edges: Sequence[float] | None = None) -> Redaction:
    """Keeps of a number the bucket that it is in: between multiples of `width`, or between `edges`, below the first and above the last. Each
    bucket has its lower end and not its upper one. The record holds the lower end, −infinity below the first edge. Raises ValueError."""
    if (width is None) == (edges is None):
        raise ValueError("`bucket`: give either a width, `bucket(10)`, or edges, `bucket(edges=[18, 30, 65])`")
    if width is not None:
        if not _is_redaction("width", width):
            raise ValueError(f"`bucket`: the width is a number above 0{_DIGITS}")
        return _Plain("width", f"bucket({_digits(width)})", float(width))
    each = list(edges or ())
    if not _is_redaction("edges", each):
        raise ValueError(f"`bucket`: edges are 1 to 64 numbers that rise{_DIGITS}")
    return _Plain("edges", f"bucket(edges=[{', '.join(map(_digits, each))}])", [float(edge) for edge in each])


def rules(given: Mapping[Path, Redaction] | None) -> list[Rule]:
    """What `Trail.model` is given. Raises ValueError for a path, TypeError for what is no redaction."""
    return [_rule(path, redaction) for path, redaction in (given or {}).items()]


def told(given: Sequence[Rule]) -> list[tuple[str, str, str, Any]]:
    """As the extension takes them."""
    return [(rule.section, rule.name, rule.redaction._kind, rule.redaction._argument) for rule in given]


def without(given: Mapping[str, Any] | None, section: str, all: Sequence[Rule]) -> dict[str, Any] | None:
    """A mapping without what is redacted of it."""
    names = {rule.name for rule in all if rule.section == section}
    return None if given is None else {name: value for name, value in given.items() if name not in names and "*" not in names}


def _rule(path: Any, redaction: Any) -> Rule:
    section, name = _split(path)
    if section in _NOT_REDACTED:
        raise ValueError(f"`redact`: `{section}` is not redacted: {_NOT_REDACTED[section]}")
    if section not in _SECTIONS:
        raise ValueError(f"`redact`: a path begins with `{'`, `'.join(_SECTIONS)}`, not with `{section}`")
    if not name:
        raise ValueError(f"`redact`: say what of `{section}`: `{section}.NAME`, or `{section}.*` for all that is not named")
    if not isinstance(redaction, Redaction):
        # Not its content: it may be a key.
        kind = type(redaction).__qualname__
        raise TypeError(f"`redact`: `{section}.{name}`: `drop()`, `keyed_hash(…)`, `truncate(…)` or `bucket(…)` is asked for, not a `{kind}`")
    return Rule(section, name, redaction)


def _split(path: Any) -> tuple[str, str]:
    if isinstance(path, str):
        section, _, name = path.partition(".")
        if "." in name:
            raise ValueError(
                f"`redact`: `{path}` has more than one dot: for a name with a dot give `({section!r}, {name!r})`; within a value nothing is"
                f" redacted by itself: redact all of `{section}.{name.partition('.')[0]}`"
            )
        return section, name
    if isinstance(path, tuple) and len(path) == 2 and all(isinstance(part, str) for part in path):
        return path
    raise ValueError('`redact`: a path is a text such as "inputs.iban", or a tuple of two such as ("inputs", "a.b")')


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def _is_redaction(kind: str, argument: Any) -> bool:
    try:
        _core.check_redaction(kind, argument)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _key(given: Any) -> bytes:
    if isinstance(given, (bytes, bytearray)):
        key, where = bytes(given), "`key`"
    elif isinstance(given, str) and given.startswith("env:"):
        where = f"the environment variable `{given[4:]}`"
        found = os.environ.get(given[4:])
        if found is None:
            raise ValueError(f"`keyed_hash`: {where} is not set")
        key = os.fsencode(found)
    elif isinstance(given, (str, os.PathLike)):
        where = "the key's file"
        try:
            with open(given, "rb") as file:
                key = file.read()
        except OSError as error:
            # Not the path, which would be the key itself where somebody gave that as text.
            told = "`keyed_hash`: the key's file cannot be read"
            raise type(error)(error.errno, f"{told}: {os.strerror(error.errno or 0)}; a key is given as bytes, `env:NAME` or a path") from None
        except ValueError:
            raise ValueError("`keyed_hash`: `key` is bytes, `env:NAME` or the path of a file") from None
    else:
        raise TypeError(f"`keyed_hash`: `key` is bytes, `env:NAME` or the path of a file, not a `{type(given).__qualname__}`")
    if len(key) < REDACTION_KEY_BYTES_MIN:
        raise ValueError(f"`keyed_hash`: {where} has {len(key)} bytes, and a key has {REDACTION_KEY_BYTES_MIN} or more, drawn at random")
    return key
