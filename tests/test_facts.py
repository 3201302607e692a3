"""The check of what prepared calls depend on is the same in Python and compiled."""

from collections import OrderedDict

import pytest
import torch

from inferno_cuda.ops.native import status
from inferno_cuda.state._facts import hold_in_python


@pytest.mark.parametrize("hold", [hold_in_python, status.hold], ids=["python", "native"])
def test_facts_are_checked_alike(hold):
    if hold is None:
        pytest.skip("nothing is compiled")
    value, tensor = object(), torch.zeros(1)
    own = OrderedDict(a=value, b=0, c=None)
    same = (own, "a", value, own, "c", None, own, "missing", None)
    assert hold(same, (own, "b", own, "c", own, "missing"), (tensor,))
    assert hold((), (), ())
    assert not hold((own, "a", object()), (), ())
    assert not hold((own, "b", None), (), ())
    assert not hold((own, "missing", value), (), ())
    assert not hold(same, (own, "a"), ())
    assert not hold(same, (), (tensor, torch.zeros(1, requires_grad=True)))
