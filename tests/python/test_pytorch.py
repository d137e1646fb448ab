"""PyTorch's modules, wrapped. Only where PyTorch is: it is too large to be installed for this."""

import pytest
from conftest import decisions

torch = pytest.importorskip("torch")


@pytest.fixture
def module():
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Softmax(dim=1)).eval()


@pytest.mark.parametrize("rows", [1, 3])
def test_a_module(trail, model, module, rows):
    given = torch.rand(rows, 3)
    wrapped = model.wrap(module, features=["age", "income", "debt"], outputs=["no", "yes"])
    with torch.no_grad():
        answer = wrapped(given)
    assert torch.equal(answer, module(given))
    found = decisions(trail)
    assert [list(record.inputs.values()) for record in found] == given.tolist()
    assert [list(record.outputs) for record in found] == [["no", "yes"]] * rows


def test_rows_as_tensors(trail, model, module):
    given = torch.rand(2, 3)
    model.wrap(module).forward(given)
    first, _ = decisions(trail)
    assert first.inputs["input"].tolist() == given[0].tolist()


def test_it_is_still_a_module(model, module):
    wrapped = model.wrap(module)
    assert isinstance(wrapped, torch.nn.Module)
    assert wrapped.eval() is wrapped
    assert len(wrapped) == 2 and wrapped[0] is module[0]


def test_its_digest(trail, module):
    first = trail.model("m", "1", module, git=None).artifact
    with torch.no_grad():
        module[0].bias += 1
    assert trail.model("m", "2", module, git=None).artifact != first
