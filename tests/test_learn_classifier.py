"""The classifier of rates, by hand and beside inferno-ai's."""

import copy

import pytest
import torch

from inferno_cuda.learn import MaxRateClassifier


def trained():
    """Two neurons that fire for class 0, one that fires for class 2, none for class 1."""
    made = MaxRateClassifier(3, 3)
    made.rates = torch.tensor([[3.0, 1.0, 0.0], [2.0, 0.0, 0.0], [1.0, 0.0, 4.0]])
    return made


def test_assignments_by_hand():
    made = trained()
    assert made.assignments.tolist() == [0, 0, 2] and made.occurrences.tolist() == [2, 0, 1]
    assert (made.ndim, made.nclass, made.shape) == (1, 3, (3,))
    torch.testing.assert_close(made.proportions, torch.tensor([[0.75, 0.25, 0.0], [1.0, 0.0, 0.0], [0.2, 0.0, 0.8]]))


def test_logits_by_hand():
    made, x = trained(), torch.tensor([[4.0, 2.0, 1.0], [0.0, 0.0, 5.0]])
    torch.testing.assert_close(made.regress(x), torch.tensor([[(3.0 + 2.0) / 2, 0.0, 0.8], [0.0, 0.0, 4.0]]))
    torch.testing.assert_close(made.regress(x, False), torch.tensor([[3.0, 0.0, 1.0], [0.0, 0.0, 5.0]]))
    assert made.classify(x).tolist() == [0, 2] == made(x, None).tolist()
    classes, logits = made(x, None, logits=True, proportional=False)
    assert classes.tolist() == [0, 2] and torch.equal(logits, made.regress(x, False))
    assert made(x, None, logits=None) is None


def test_updates_by_hand():
    made = MaxRateClassifier(2, 2, decay=0.5)
    made.rates = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    made.update(torch.tensor([[2.0, 0.0], [4.0, 0.0]]), torch.tensor([1, 1]))
    decayed = torch.exp(torch.tensor(-1.0))  # two samples of class 1
    torch.testing.assert_close(made.rates, torch.stack([torch.ones(2), torch.stack([decayed + 3.0, decayed])], 1))


def test_predicts_before_it_learns():
    made = MaxRateClassifier((2, 2), 3)
    x, labels = torch.rand(5, 2, 2), torch.tensor([2, 2, 2, 2, 2])
    assert made(x, labels).tolist() == [0] * 5
    assert made(x, labels).tolist() == [2] * 5


@pytest.mark.parametrize("shape", [4, (2, 3)])
@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_beside_inferno(shape, decay):
    theirs = pytest.importorskip("inferno.learn")
    a, b = (made(shape, 5, decay=decay) for made in (MaxRateClassifier, theirs.MaxRateClassifier))
    size = a.shape
    for step in range(30):
        generator = torch.Generator().manual_seed(step)
        # a dimension of time in front of every other batch
        spikes = torch.rand(*([7] if step % 2 else []), 6, *size, generator=generator)
        spikes = (spikes < 0.4) if step % 2 else spikes
        labels = torch.randint(0, 5, (6,), generator=generator)
        for logits in (True, False, None):
            for proportional in (True, False):
                one, two = (made(spikes, None, logits, proportional) for made in (a, b))
                for x, y in zip(*((r if isinstance(r, tuple) else (r,)) for r in (one, two)), strict=True):
                    assert x is y is None or (x.dtype == y.dtype and torch.allclose(x, y))
        a(spikes, labels)
        b(spikes, labels)
        torch.testing.assert_close(a.rates, b.rates)
        for name in ("assignments", "occurrences", "proportions"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name))
    assert list(a.state_dict()) == list(b.state_dict())
    fresh = MaxRateClassifier(shape, 5, decay=decay)
    fresh.load_state_dict(b.state_dict())
    torch.testing.assert_close(fresh.proportions, b.proportions)
    assert torch.equal(fresh.assignments, b.assignments) and torch.equal(fresh.occurrences, b.occurrences)


def test_copies_are_apart():
    made = trained()
    new = copy.deepcopy(made)
    new.update(torch.full((1, 3), 100.0), torch.tensor([1]))
    assert made.assignments.tolist() == [0, 0, 2] and new.assignments.tolist() == [1, 1, 1]
    assert made.double().regress(torch.ones(1, 3)).dtype == torch.float64


@pytest.mark.parametrize("call, error, match", [
    (lambda: MaxRateClassifier(0, 3), ValueError, "shape"),
    (lambda: MaxRateClassifier(3, 1.5), ValueError, "num_classes"),
    (lambda: MaxRateClassifier(3, 3, decay=-1.0), ValueError, "decay"),
    (lambda: trained().regress(torch.ones(2, 4)), ValueError, "inputs"),
    (lambda: setattr(trained(), "rates", torch.ones(3)), ValueError, "rates"),
    (lambda: trained().update(torch.ones(2, 3), torch.tensor([0])), ValueError, "labels"),
    (lambda: trained().update(torch.ones(2, 3), torch.tensor([0, 3])), ValueError, "labels"),
    (lambda: trained().update(torch.ones(2, 3), torch.tensor([0.0, 1.0])), TypeError, "labels"),
])  # fmt: skip
def test_bad_input(call, error, match):
    with pytest.raises(error, match=match):
        call()
