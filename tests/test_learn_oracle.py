"""Learning side by side with inferno-ai: rules, connections, delays, reductions, batch sizes and signals."""

import pytest
import torch
from learn_cases import RULES, every_pair, grid, learn_beside

pytest.importorskip("inferno.learn")


@pytest.fixture(scope="module")
def theirs():
    from learn_cases import oracle

    return oracle()


def check(theirs, case, steps=200):
    (ours, expected), before = learn_beside(theirs, case, steps)
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
def test_every_pair_of_choices(theirs, case):
    check(theirs, case, steps=25)


@pytest.mark.slow
@pytest.mark.parametrize("case", PAIRS, ids=label)
def test_every_pair_of_choices_for_long(theirs, case):
    check(theirs, case)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_every_combination(theirs, name):
    for case in grid():
        if case[0] == name:
            check(theirs, case, steps=25)
