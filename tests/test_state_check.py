"""Argument checks that other packages use too."""

import math

import pytest
import torch

from inferno_cuda.state import _check

NAN = float("nan")


def test_values_are_cast_then_tested_then_returned():
    assert _check.positive("x", "2.5") == 2.5 and type(_check.positive("x", 3)) is float
    assert _check.nonnegative("x", 0) == 0.0 and _check.nonzero("x", -1) == -1.0 and _check.finite("x", -2) == -2.0
    assert _check.less("x", 1, 2) == 1.0 and _check.at_most("x", 2, 2) == 2.0
    assert _check.greater("x", 3, 2) == 3.0 and _check.at_least("x", 2, 2) == 2.0
    assert _check.integer("x", 3.0) == 3 and _check.integer("x", "4") == 4 and type(_check.integer("x", 3.0)) is int
    assert _check.integer("x", torch.tensor(5)) == 5
    assert _check.shape("x", 3) == (3,) and _check.shape("x", [2, 3.0]) == (2, 3) and _check.shape("x", ()) == ()
    assert _check.shape("x", torch.Size([2, 3])) == (2, 3)


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: _check.positive("x", 0), "'x' of 0.0 must be positive"),
        (lambda: _check.nonnegative("x", -1), "'x' of -1.0 must be nonnegative"),
        (lambda: _check.nonzero("x", 0), "'x' of 0.0 must be nonzero"),
        (lambda: _check.less("x", 2, 1, "y"), r"'x' \(2.0\) must be less than 'y' \(1\)"),
        (lambda: _check.at_most("x", 2, 1), r"'x' \(2.0\) must be less than or equal to 1"),
        (lambda: _check.greater("x", 1, 1, "y"), r"'x' \(1.0\) must be greater than 'y'"),
        (lambda: _check.at_least("x", 0, 1), "must be greater than or equal to 1"),
        (lambda: _check.finite("x", math.inf), "'x' of inf must be finite"),
        (lambda: _check.integer("x", 2.5), "'x' of 2.5 must be an integer"),
        (lambda: _check.integer("x", "a"), "'x' of 'a' must be an integer"),
        (lambda: _check.integer("x", NAN), "'x' of nan must be an integer"),
        (lambda: _check.size("x", 0), "'x' of 0 must be positive"),
        (lambda: _check.shape("x", (2, 0)), r"'x\[1\]' of 0 must be positive"),
        (lambda: _check.one_of("x", "c", ("a", "b")), "'x' of 'c' must be one of: 'a', 'b'"),
        (lambda: _check.identifier("x", "a.b"), "'x' .* must be a valid identifier"),
        (lambda: _check.identifier("x", "a..b", nested=True), "must be a valid dot-separated identifier"),
        (lambda: _check.same_shape("x", torch.ones(2), (3,), "y"), r"'x' \(2,\) must be \(3,\), like y"),
        *[(lambda f=f: f("x", NAN), "must be") for f in (_check.positive, _check.nonnegative, _check.nonzero)],
        *[(lambda f=f: f("x", NAN, 1), "must be") for f in (_check.less, _check.at_most, _check.greater)],
        (lambda: _check.at_least("x", NAN, 1), "must be"),
    ],
)
def test_value_errors(call, text):
    with pytest.raises(ValueError, match=text):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: _check.integer("x", None),
        lambda: _check.positive("x", None),
        lambda: _check.identifier("x", 3),
        lambda: _check.instance("x", 3, str),
    ],
)
def test_type_errors(call):
    with pytest.raises(TypeError):
        call()


def test_names_and_instances_come_back():
    assert _check.identifier("x", "a.b", nested=True) == "a.b" and _check.one_of("x", 1, (1, 2)) == 1
    assert _check.instance("x", 3, str, int) == 3


def test_d44_choices_are_listed():
    with pytest.raises(ValueError, match="'trace_mode' of 'x' must be one of: 'cumulative', 'nearest'"):
        _check.one_of("trace_mode", "x", ("cumulative", "nearest"))
