"""Learning side by side with inferno-ai: rules, connections, delays, reductions, batch sizes and signals."""

import pytest
import torch
from learn_cases import RULES, every_pair, grid, learn_beside


def check(repaired_inferno, case, steps=200):
    (ours, expected), before = learn_beside(repaired_inferno, case, steps)
    changed = False
    for one, other, start in zip(ours, expected, before, strict=True):
        if start is not None:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            changed |= not torch.equal(one, start)
    assert changed


def label(case):
    return "-".join(map(str, case))


PAIRS = every_pair(grid())


@pytest.mark.parametrize("case", PAIRS, ids=label)
def test_every_pair_of_choices(repaired_inferno, case):
    check(repaired_inferno, case, steps=25)


@pytest.mark.slow
@pytest.mark.parametrize("case", PAIRS, ids=label)
def test_every_pair_of_choices_for_long(repaired_inferno, case):
    check(repaired_inferno, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_combination(repaired_inferno, name):
    for case in grid():
        if case[0] == name:
            check(repaired_inferno, case, steps=25)
