"""Reasons in words: from the attributions, in order, at most so many, and kept with the decision."""

import minutebook
import numpy as np
import pytest
from minutebook import Reasons

INPUTS = {"amount": 4870.0, "months": 24, "age": 31, "debt": 0.5, "purpose": "car", "street": "x"}
TABLE = {
    ("amount", "-"): "the amount is too high",
    ("months", "-"): ("A2", "the term is too long"),
    ("age", "-"): ("A7", "the account is too new"),
    ("debt", "\N{MINUS SIGN}"): "too much debt",
    ("purpose", "-"): "the purpose",
}
EXPLANATION = {
    "method": "own",
    "attributions": {"amount": -0.4, "months": 0.9, "age": -0.6, "debt": -0.1, "purpose": -0.2, "street": -0.5},
}


def reasons(trail, id):
    return [(reason.get("code"), reason["text"]) for reason in trail[id].reasons]


@pytest.fixture
def credit(trail):
    return trail.model("credit-risk", "1.4.0", git=None, reasons=TABLE)


def test_the_weightiest_first_and_at_most_four(trail, credit):
    id = credit.record(INPUTS, {"approve": False}, explanation=EXPLANATION)
    # `months` spoke for the person; for `street` there are no words, and it is told all the same; `debt` is the fifth.
    assert reasons(trail, id) == [("A7", "the account is too new"), (None, None), (None, "the amount is too high"), (None, "the purpose")]
    first = trail[id].reasons[0]
    assert first == {"code": "A7", "text": "the account is too new", "features": ["age"], "attribution": -0.6}
    assert trail[id].reasons[1]["features"] == ["street"]
    assert trail[id].verify()


def test_in_a_block_and_of_an_array(trail, credit):
    with credit.decision(inputs=INPUTS) as d:
        d.outputs = {"approve": False}
        d.explanation = minutebook.explanation(np.array([-1.0, 0.0, -2.0, np.nan, 1.0, 1.0]), method="own")
    assert reasons(trail, d.id) == [("A7", "the account is too new"), (None, "the amount is too high")]


def test_the_same_words_are_one_reason(trail):
    table = {("purpose=car", "+"): ("P", "the purpose"), ("purpose=tv", "+"): ("P", "the purpose"), ("age", "+"): "the age"}
    model = trail.model("risk", "1", git=None, reasons=Reasons(table, most=2))
    attributions = {"purpose=car": 0.3, "purpose=tv": 0.25, "age": 0.5, "debt": -3.0}
    found = trail[model.record({"age": 3}, explanation={"method": "own", "attributions": attributions})].reasons
    assert [reason["text"] for reason in found] == ["the purpose", "the age"]
    assert found[0]["features"] == ["purpose=car", "purpose=tv"]
    assert found[0]["attribution"] == pytest.approx(0.55)


def test_only_decisions_that_need_them(trail, credit):
    model = trail.model("m", "1", git=None, reasons=Reasons(TABLE, adverse=lambda outputs: not outputs["approve"]))
    assert trail[model.record(INPUTS, {"approve": True}, explanation=EXPLANATION)].reasons == []
    assert trail[model.record(INPUTS, {"approve": False}, explanation=EXPLANATION)].reasons
    # One that failed has decided nothing.
    assert trail[credit.record(INPUTS, status="ValueError", explanation=EXPLANATION)].reasons == []
    # What the caller says himself stays.
    given = EXPLANATION | {"reasons": [{"text": "by hand"}]}
    assert trail[model.record(INPUTS, {"approve": False}, explanation=given)].reasons == [{"text": "by hand"}]


def test_none_that_cannot_be_told_and_the_decision_stays(folder):
    with minutebook.open(folder, service="tests") as trail:
        model = trail.model("m", "1", git=None, reasons=TABLE)
        two = {"method": "own", "attributions": (["amount", "age"], np.array([[0.5, -0.5], [-1.0, 1.0]]))}
        with pytest.warns(minutebook.TrailWarning, match="recorded without reasons: .* several outputs"):
            id = model.record(INPUTS, {"approve": False}, explanation=two)
        assert trail[id].reasons == []
        assert trail.status()["faults"] == {"value": 1}


def test_the_table_is_in_the_record_of_the_model(trail, credit):
    trail.flush()
    told = trail.records(kind="model")[0].fields["fields"]
    table = next(value for path, value in told if path == ["model", "reasons"])
    assert (table["against"], table["most"]) == ("-", 4)
    assert {"feature": "age", "sign": "-", "code": "A7", "text": "the account is too new"} in table["table"]


@pytest.mark.parametrize(
    ("table", "options", "says"),
    [
        ({("a", "+"): "x", ("a", "-"): "y"}, {}, "which sign"),
        ({}, {}, "which sign"),
        ({"a": "x"}, {}, "a feature and"),
        ({("a", "up"): "x"}, {}, "a feature and"),
        ({("a", "+"): "x"}, {"against": "down"}, "`against`"),
        ({("a", "+"): "x"}, {"most": 0}, "`most`"),
    ],
)
def test_tables_that_say_too_little(table, options, says):
    with pytest.raises(ValueError, match=says):
        Reasons(table, **options)


def test_both_signs_when_it_is_said_which_one_counts(trail):
    model = trail.model("m", "1", git=None, reasons=Reasons({("age", "+"): "old", ("age", "-"): "young"}, against="+"))
    assert reasons(trail, model.record(INPUTS, explanation={"method": "own", "attributions": {"age": 0.5, "debt": -1.0}})) == [(None, "old")]


def test_counterfactuals_stand_beside(trail, credit):
    explanation = EXPLANATION | {"counterfactuals": [{"amount": 3000.0}, {"amount": 4000.0, "months": 12}]}
    found = trail[credit.record(INPUTS, {"approve": False}, explanation=explanation)]
    assert found.counterfactuals == [{"amount": 3000.0}, {"amount": 4000.0, "months": 12}]
    with pytest.raises(TypeError, match="a list is asked for"):
        credit.record(INPUTS, explanation=EXPLANATION | {"counterfactuals": "3000"})
