"""Sampling policies from Python: set as text, path and dict, read back, and told what is wrong where."""

import tomllib

import minutebook
import pytest

HALF = 'format = "minutebook/policy/1"\n\n[[model]]\nname = "*"\n\n[[model.rule]]\nname = "half"\nrate = 0.5\n'


def test_a_policy_is_set_and_read_back(trail, model, tmp_path):
    assert trail.policy is None
    assert trail.set_policy(HALF) is True
    assert trail.set_policy(HALF) is False
    assert trail.policy == HALF
    path = tmp_path / "policy.toml"
    path.write_text(HALF.replace("0.5", "0.25"))
    assert trail.set_policy(path) is True
    assert trail.policy == path.read_text()


def test_what_it_leaves_out_is_counted_and_proved(trail, model):
    trail.set_policy(HALF.replace("rate = 0.5", 'keep = "none"'))
    ids = [model.record({"amount": float(n)}, {"approve": True}) for n in range(20)]
    trail.flush()
    with pytest.raises(KeyError):
        trail[ids[0]]
    found = trail.verify()
    assert found and found["sampling"][0]["left_out"] == 20


def test_a_dict_says_the_same_as_the_text(trail):
    policy = {
        "model": [
            {
                "name": ["credit-*", "a \"b\" \\ ü\x7f\n"],
                "class": "standard",
                "rule": [
                    {"name": "refused", "when": "outputs.approve == false", "keep": "all"},
                    {"name": "regions", "when": "has(inputs.x)", "rate": {"by": "inputs.x", "values": {"a b": 1, True: 0.5, 7: 0.25}, "others": 0}},
                    {"name": "busy", "per_second": 100},
                ],
            },
            {"name": "*"},
        ],
    }
    assert trail.set_policy(policy) is True
    said = tomllib.loads(trail.policy)
    assert said.pop("format") == "minutebook/policy/1"
    policy["model"][0]["rule"][1]["rate"]["values"] = {"a b": 1, "true": 0.5, "7": 0.25}
    assert said == policy
    assert trail.set_policy({}) is True


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        (HALF.replace("0.5", "1.5"), "line 8: a rate is from 0 to 1: 0.05 keeps one in twenty\n    rate = 1.5\n           ^^^"),
        ({"model": [{"name": "*", "rule": [{"name": "r", "when": "inputs.a = 1", "keep": "all"}]}]}, "write `==`\n"),
        ({"modle": []}, "unknown field `modle`"),
    ],
)
def test_what_is_wrong_is_told_where_it_is(trail, policy, told):
    with pytest.raises(ValueError, match="The policy is wrong") as raised:
        trail.set_policy(policy)
    assert told in str(raised.value)
    assert trail.policy is None


def test_it_is_checked_against_what_a_model_records(trail, model):
    model.record({"amount": 1.0}, {"approve": True})
    trail.flush()
    policy = {"model": [{"name": "*", "rule": [{"name": "large", "when": "inputs.amuont > 5", "keep": "all"}]}]}
    trail.check_policy(policy)
    with pytest.raises(ValueError, match="did you mean `inputs.amount`"):
        trail.check_policy(policy, model="credit-risk")
    with pytest.raises(ValueError, match="says not what to do"):
        trail.check_policy({"model": [{"name": "*", "rule": [{"name": "large"}]}]})
    with pytest.raises(minutebook.EngineError, match="no decision of model `a & b`"):
        trail.check_policy(policy, model="a & b")
    assert trail.policy is None


def test_a_path_as_a_text(trail):
    with pytest.raises(ValueError, match="pathlib.Path"):
        trail.set_policy("policy.toml")


@pytest.mark.parametrize("policy", [7, {"model": {"name": "*"}}, {"model": [{"name": object()}]}, {"model": [{None: 1}]}])
def test_what_is_no_policy_at_all(trail, policy):
    with pytest.raises(TypeError):
        trail.set_policy(policy)


def test_without_an_engine(folder):
    minutebook.open(folder).close()
    from conftest import stop

    stop(folder)
    with minutebook.open(folder, engine="external") as trail, pytest.raises(minutebook.EngineError):
        trail.set_policy(HALF)
