"""Makes docs/formats/vectors/policy.json from what policy.md says of rates by value and of so many per second, independently of the Rust code.

Without arguments it checks the file; `--write` writes it. Conditions and draws are not here: the policies have no `when`.
"""

import json
import re
import sys
import tomllib
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "docs/formats/vectors/policy.json"

HEAD = 'format = "minutebook/policy/1"\n'
BY_VALUE = (
    HEAD + '[[model]]\nname = "*"\n[[model.rule]]\nname = "by"\n'
    'rate = { by = "inputs.x", values = { DE = 0.1, "a b" = 1, 7 = 0.2, -7 = 0.3, true = 0.4, 007 = 0.5, "" = 0.6 }, others = 0.01 }\n'
)
BY_ODD_NAME = HEAD + '[[model]]\nname = ["x", "cred*"]\nrule = [{ name = "odd", rate = { by = \'inputs["x"]\', values = { a = 0 }, others = 1 } }]\n'
BUSY = (
    HEAD + '[[model]]\nname = "*"\nclass = "long"\nrule = [{ name = "few", per_second = 1 }]\n'
    '[[model]]\nname = "cred*"\nrule = [{ name = "busy", per_second = 2 }]\n'
)
SECOND = 1_000_000_000


def cases():
    """(name, policy, [(type, value, class, time in ns)])"""
    one = [
        ("text", "DE"), ("text", "de"), ("text", "a b"), ("text", "7"), ("text", "007"), ("text", "true"), ("text", ""), ("text", None),
        ("category", "DE"), ("category", "FR"), ("i16", 7), ("i16", -7), ("i16", 0), ("u64", 7), ("i16", None), ("bool", True), ("bool", False),
        ("f64", 7.0),
    ]  # fmt: skip
    yield "a rate by value", BY_VALUE, [(kind, value, "standard", 0) for kind, value in one]
    yield "a field in brackets", BY_ODD_NAME, [("text", "a", "standard", 0), ("text", "b", "standard", 0)]
    times = [0, 1, SECOND - 1, SECOND, -1, -SECOND, -SECOND - 1, SECOND + 5, 2 * SECOND - 1, 7, 5 * SECOND, 0]
    yield "so many per second", BUSY, [("text", "a", "standard", time) for time in times]
    yield "each rule counts for itself", BUSY, [("text", "a", name, 3) for name in ("long", "standard", "long", "standard", "standard")]


def fits(patterns, name):
    patterns = patterns if isinstance(patterns, list) else [patterns]
    return any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name, re.DOTALL) for pattern in patterns)


def rate_by_value(rates, kind, value):
    if value is not None and kind != "f64":
        text = str(value).lower() if kind == "bool" else str(value)
        return rates["values"].get(text, rates["others"])
    return rates["others"]


def judged(policy, decisions):
    tables, counts = tomllib.loads(policy)["model"], {}
    for kind, value, of_class, time_ns in decisions:
        at, table = next(
            (at, table) for at, table in enumerate(tables) if fits(table["name"], "credit") and table.get("class", of_class) == of_class
        )
        rule = table["rule"][0]
        said = {"type": kind, "value": value, "class": of_class, "time_ns": str(time_ns), "rule": rule["name"]}
        if "per_second" in rule:
            second = (at, time_ns // SECOND)
            counts[second] = counts.get(second, 0) + 1
            yield said | {"rate": None, "kept": counts[second] <= rule["per_second"]}
        else:
            yield said | {"rate": float(rate_by_value(rule["rate"], kind, value))}


def main():
    made = [{"name": name, "policy": policy, "decisions": list(judged(policy, decisions))} for name, policy, decisions in cases()]
    lines = ",\n".join("  " + json.dumps(case, ensure_ascii=False) for case in made)
    lines = lines.replace(', {"type"', ',\n   {"type"').replace('[{"type"', '[\n   {"type"')
    written = f'{{\n "format": "minutebook/policy/1",\n "model": "credit",\n "cases": [\n{lines}\n ]\n}}\n'
    if sys.argv[1:] == ["--write"]:
        FILE.write_text(written, encoding="utf-8")
    elif sys.argv[1:]:
        sys.exit("usage: check_policy_vectors.py [--write]")
    elif FILE.read_text(encoding="utf-8") != written:
        sys.exit(f"{FILE}: not what docs/formats/policy.md gives")
    print(f"{FILE.name}: {len(made)} policies, {sum(len(case['decisions']) for case in made)} decisions")


if __name__ == "__main__":
    main()
