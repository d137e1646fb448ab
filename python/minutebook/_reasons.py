"""Reasons in words: which features spoke against the person most, by the attributions that are recorded and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ._limits import REASONS_MOST

Word = str | tuple[str, str]
_SIGNS: dict[str, Literal["+", "-"]] = {"+": "+", "-": "-", "\N{MINUS SIGN}": "-"}


class Reasons:
    """A table of reasons for `Trail.model`.

        Reasons({("amount", "-"): "the amount is too high", ("age", "-"): ("A7", "the account is too new")})

    The key is a feature and the sign of its attribution, the value a text, or a code and a text. `against` is the sign that speaks against
    the person: `-` where an approval is explained, `+` where a risk is; what all keys have, if it is not given. `most` is how many are
    kept. `adverse` is called with a decision's outputs and says whether it needs reasons; all do without. Raises ValueError.
    """

    def __init__(
        self,
        table: Mapping[tuple[str, str], Word],
        *,
        against: Literal["+", "-"] | None = None,
        most: int = REASONS_MOST,
        adverse: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> None:
        self._words: dict[tuple[str, str], tuple[str | None, str]] = {}
        for key, word in table.items():
            if not isinstance(key, tuple) or len(key) != 2 or key[1] not in _SIGNS:
                raise ValueError(f"`reasons`: a feature and `+` or `-` are asked for, not `{key}`")
            self._words[key[0], _SIGNS[key[1]]] = (None, word) if isinstance(word, str) else (str(word[0]), str(word[1]))
        signs = {sign for _, sign in self._words}
        if against is None:
            if len(signs) != 1:
                raise ValueError("`reasons`: which sign speaks against the person? Give `Reasons(…, against=\"-\")` or `\"+\"`")
            against = "-" if "-" in signs else "+"
        if against not in ("+", "-"):
            raise ValueError(f"`against` is `+` or `-`, not `{against}`")
        if most < 1:
            raise ValueError(f"`most` is 1 or more, not {most}")
        self.against: Literal["+", "-"] = against
        self.most = most
        self._adverse = adverse

    def of(self, explanation: Mapping[str, Any], outputs: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
        """The principal reasons, the weightiest first; None where none are called for. Features with the same words are one reason.

        Raises TypeError where attributions of several outputs leave open which of them is meant.
        """
        if self._adverse is not None and not self._adverse(outputs or {}):
            return None
        found: dict[Any, dict[str, Any]] = {}
        for feature, value in _attributions(explanation):
            if math.isnan(value) or value == 0 or (value < 0) != (self.against == "-"):
                continue
            word = self._words.get((feature, self.against))
            reason = found.setdefault(word or feature, {"features": [], "attribution": 0.0, "text": word and word[1]})
            if word and word[0] is not None:
                reason["code"] = word[0]
            reason["features"].append(feature)
            reason["attribution"] += value
        return sorted(found.values(), key=lambda reason: -abs(reason["attribution"]))[: self.most]

    def described(self) -> dict[str, Any]:
        """What the record of the model says of it."""
        table = [{"feature": feature, "sign": sign, "code": code, "text": text} for (feature, sign), (code, text) in self._words.items()]
        return {"table": table, "against": self.against, "most": self.most}


def reasons(given: Reasons | Mapping[tuple[str, str], Word] | None) -> Reasons | None:
    """What `Trail.model` is given."""
    return given if given is None or isinstance(given, Reasons) else Reasons(given)


def _attributions(explanation: Mapping[str, Any]) -> list[tuple[str, float]]:
    given = explanation["attributions"]
    names, values = (list(given), list(given.values())) if isinstance(given, Mapping) else given
    if getattr(values, "ndim", 1) != 1 or any(hasattr(value, "__len__") for value in values):
        raise TypeError("reasons: attributions of several outputs: say which one with `minutebook.explanation(…, of=…)`")
    return [(str(name), float(value)) for name, value in zip(names, values)]
