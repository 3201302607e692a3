"""Dense connections: weights, biases and delays, bad values and bad input."""

import pytest
import torch
from dense_cases import delays, dense
from states import assert_same_state, states


def test_initial_values_and_callbacks():
    torch.manual_seed(3)
    weight, bias = torch.rand(4, 6), torch.rand(4)
    conn = dense((2, 3), 4, bias=True, delay=2.0, seed=3)
    assert torch.equal(conn.weight, weight) and torch.equal(conn.bias, bias) and torch.equal(conn.delay, weight * 0)
    assert not any(p.requires_grad for p in conn.parameters())
    calls = []
    conn = dense(
        (2, 3), 4, bias=True, delay=2.0, seed=3,
        weight_init=lambda w: calls.append("w") or 2 * w, bias_init=lambda b: calls.append("b") or 3 * b,
        delay_init=lambda d: calls.append("d") or d + 1,
    )  # fmt: skip
    assert calls == ["w", "b", "d"]
    assert torch.equal(conn.weight, 2 * weight) and torch.equal(conn.bias, 3 * bias) and (conn.delay == 1).all()


def test_absent_parameters():
    conn = dense(bias_init=pytest.fail, delay_init=pytest.fail)
    assert conn.bias is None and conn.delay is None and conn.delayedby is None and not conn.biased
    assert list(conn.state_dict()) == ["weight_", "_extra_state", "synapse_._current__data", "synapse_._spike__data",
                                       "synapse_._extra_state"]  # fmt: skip
    assert not hasattr(conn, "bias_") and not hasattr(conn, "delay_")
    conn.bias, conn.delay = torch.ones(4), torch.ones(4, 5)
    assert conn.bias is None and conn.delay is None
    assert torch.equal(conn.selector, torch.zeros(1, 5, 4)) and conn.synapse.delay == 0.0


def test_setters_cast_what_fits():
    conn = dense(bias=True, delay=5.0)
    conn.weight, conn.bias, conn.delay = torch.ones(4, 5).long(), torch.ones(4).bool(), torch.ones(4, 5).half()
    assert {p.dtype for p in conn.parameters()} == {torch.float32} and all((p == 1).all() for p in conn.parameters())


@pytest.mark.parametrize("name", ["weight", "bias", "delay"])
@pytest.mark.parametrize(
    "value, error",
    [
        (torch.zeros(7), ValueError),
        (torch.zeros(1, 4, 5), ValueError),
        ("float64", TypeError),
        ("meta", ValueError),
        (0.0, TypeError),
        (None, TypeError),
    ],
    ids=str,
)
def test_bad_values_raise(name, value, error):
    conn = dense(bias=True, delay=5.0)
    before = states(conn)
    if value == "float64":
        value = getattr(conn, name).double()
    elif value == "meta":
        value = getattr(conn, name).to("meta")
    with pytest.raises(error, match=name):
        setattr(conn, name, value)
    assert_same_state(states(conn), before)


@pytest.mark.parametrize("bad", [-1.0, -1e-30, float("nan")])
def test_negative_and_nan_delays_raise(backend, bad):
    conn = dense(delay=5.0)
    conn.delay = delays(conn)
    conn(torch.ones(1, 5))
    before = states(conn)
    value = torch.ones(4, 5)
    value[2, 3] = bad
    with pytest.raises(ValueError, match="delay"):
        conn.delay = value
    with pytest.raises(ValueError, match="delay"):
        dense(delay=5.0, delay_init=lambda d: value)
    assert_same_state(states(conn), before)


def test_nan_delays_written_past_the_setter_raise_before_the_step(backend):
    conn = dense(delay=5.0)
    conn(torch.ones(1, 5))
    conn.delay_[1, 2] = float("nan")
    before = {k: v for k, v in states(conn).items() if k != "delay_"}
    with pytest.raises(ValueError, match="delay"):
        conn(torch.ones(1, 5))
    assert_same_state({k: v for k, v in states(conn).items() if k != "delay_"}, before)


@pytest.mark.parametrize(
    "changes",
    [{"inputs": 0}, {"outputs": (2, 0)}, {"step_time": 0.0}, {"delay": -1.0}, {"delay": float("nan")},
     {"batch_size": 0}, {"weight_init": lambda w: w[0]}],
    ids=lambda changes: ", ".join(changes),
)  # fmt: skip
def test_bad_arguments_raise(changes):
    with pytest.raises(ValueError):
        dense(**changes)


@pytest.mark.parametrize("delay", [None, 3.0])
@pytest.mark.parametrize(
    "x", [torch.ones(2, 5), torch.ones(1, 6), torch.ones(1, 5, device="meta")], ids=["batch", "inputs", "device"]
)
def test_bad_inputs_raise(backend, delay, x):
    conn = dense(delay=delay)
    conn(torch.ones(1, 5))
    before = states(conn)
    with pytest.raises(ValueError, match="inputs"):
        conn(x)
    assert_same_state(states(conn), before)
