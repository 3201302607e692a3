"""What the tests of converted models compare."""

import torch


def frozen(state):
    return {k: v.clone() if isinstance(v, torch.Tensor) else dict(v) for k, v in state.items()}


def assert_same_state(a, b):
    assert list(a) == list(b)
    for key, value in a.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == b[key].dtype and torch.equal(value, b[key]), key
        else:
            assert dict(value) == dict(b[key]), key


def assert_same_outputs(seen, wanted):
    for mine, other in zip(seen, wanted, strict=True):
        for a, b in zip(mine, other, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b) if a.dtype == torch.bool else torch.allclose(a, b, rtol=1e-4, atol=1e-4)
