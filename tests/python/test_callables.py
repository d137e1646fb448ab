"""Functions and callable objects, wrapped: plain and asynchronous."""

import asyncio
import dataclasses
import functools
import inspect

import minutebook
import pytest
from conftest import decisions


def approve(amount, purpose="car", *, threshold=0.5):
    """Decides."""
    return amount * threshold < 1_000


def test_arguments_and_result(trail, model):
    wrapped = model.wrap(approve)
    assert wrapped(4870.0) is False
    assert wrapped(10.0, "tv", threshold=0.1) is True
    first, second = decisions(trail)
    assert first.inputs == {"amount": 4870.0, "purpose": "car", "threshold": 0.5}
    assert first.outputs == {"prediction": False}
    assert second.inputs == {"amount": 10.0, "purpose": "tv", "threshold": 0.1}
    assert wrapped.__name__ == "approve" and wrapped.__doc__ == "Decides."
    assert minutebook.unwrap(wrapped) is approve


@dataclasses.dataclass
class Answer:
    approve: bool
    limit: float


class Applicant:
    """What no record takes by itself."""

    def __init__(self, age):
        self.age = age


@pytest.mark.parametrize(
    ("result", "outputs"),
    [
        ({"approve": True}, {"approve": True}),
        (Answer(True, 1.5), {"approve": True, "limit": 1.5}),
        (None, {"prediction": None}),
        ([1, 2], {"prediction": [1, 2]}),
    ],
)
def test_results(trail, model, result, outputs):
    assert model.wrap(lambda: result)() is result
    assert decisions(trail)[0].outputs == outputs


def test_a_pydantic_model(trail, model):
    from pydantic import BaseModel

    class Application(BaseModel):
        amount: float
        purpose: str

    model.wrap(lambda application: {"ok": True})(Application(amount=1.5, purpose="car"))
    assert decisions(trail)[0].inputs == {"application": {"amount": 1.5, "purpose": "car"}}


def test_what_is_recorded_can_be_chosen(trail, model):
    wrapped = model.wrap(
        lambda applicant: applicant,
        inputs=lambda applicant: {"age": applicant.age},
        outputs=lambda applicant: {"adult": applicant.age >= 18},
    )
    wrapped(Applicant(31))
    record = decisions(trail)[0]
    assert (record.inputs, record.outputs) == ({"age": 31}, {"adult": True})


def test_asynchronously(trail, model):
    async def decide(n):
        await asyncio.sleep(0.001)
        if n == 3:
            raise LookupError("no")
        return n

    wrapped = model.wrap(decide)
    assert inspect.iscoroutinefunction(wrapped)

    async def every():
        return await asyncio.gather(*map(wrapped, range(5)), return_exceptions=True)

    results = asyncio.run(every())
    assert results[4] == 4 and isinstance(results[3], LookupError)
    found = {record.inputs["n"]: record for record in decisions(trail)}
    assert found[4].outputs == {"prediction": 4}
    assert found[4].duration_ns >= 1_000_000
    assert (found[3].status, found[3].outputs) == ("LookupError", {})


def test_an_exception(trail, model):
    error = ValueError("no")

    def fail(n):
        raise error

    with pytest.raises(ValueError) as raised:
        model.wrap(fail)(1)
    assert raised.value is error
    assert decisions(trail)[0].status == "ValueError"


def test_recursion_is_one_decision(trail, model):
    def count(n):
        return 0 if n == 0 else 1 + wrapped(n - 1)

    wrapped = model.wrap(count)
    assert wrapped(5) == 5
    assert [record.inputs for record in decisions(trail)] == [{"n": 5}]


def test_methods_partials_and_callable_objects(trail, model):
    class Scorer:
        factor = 2

        def __call__(self, n):
            return n * self.factor

        def score(self, n):
            return n + self.factor

    scorer = Scorer()
    wrapped = model.wrap(scorer)
    assert wrapped(3) == 6
    assert isinstance(wrapped, Scorer) and wrapped.score(3) == 5
    assert model.wrap(scorer.score)(3) == 5
    assert model.wrap(functools.partial(approve, purpose="tv"))(1.0) is True
    assert [record.inputs for record in decisions(trail)] == [
        {"n": 3},
        {"n": 3},
        {"amount": 1.0, "purpose": "tv", "threshold": 0.5},
    ]


def test_a_method_in_its_class(trail, model):
    class Scorer:
        @model.wrap
        def score(self, n):
            return n

    assert Scorer().score(3) == 3
    assert decisions(trail)[0].inputs == {"n": 3}


def test_arguments_that_do_not_fit_are_an_error_as_ever(trail, model):
    with pytest.raises(TypeError, match="amount"):
        model.wrap(approve)()


def test_answers_piece_by_piece_are_refused(model):
    def pieces():
        yield 1

    with pytest.raises(TypeError, match="piece by piece"):
        model.wrap(pieces)
