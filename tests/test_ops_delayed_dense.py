"""The delayed dense op: kernel against reference bit for bit, against the plain formula, invariants, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.testing import DTYPES, assert_identical, random_ring

MODES = ("previous", "next", "nearest", "linear", "expdecay")


def problem(slots, batch, inputs, outputs, dtype=torch.float32, *, history=None, grid=False, device="cpu", seed=0):
    """A random ring, weights, bias and delays, some of them beyond both ends of the range."""
    g = torch.Generator().manual_seed(seed)
    data, pointer = random_ring(
        (slots, batch, inputs), history or dtype, pointer=slots // 2, batch_innermost=True, generator=g, device=device
    )
    weight = (torch.rand(outputs, inputs, generator=g, dtype=torch.float64) - 0.4).to(dtype).to(device)
    bias = torch.rand(outputs, generator=g, dtype=torch.float64).to(dtype).to(device)
    delay = torch.rand(outputs, inputs, generator=g, dtype=torch.float64) * (slots + 1) - 1
    delay = (delay.round() if grid else delay).to(dtype).to(device)
    return data, pointer, weight, bias, delay


def run(data, pointer, weight, bias, delay, *, mode="previous", overbound=0.0, scale=1.0, dt=1.0):
    plan = ops.delay_plan(
        delay,
        dt=dt,
        slots=data.shape[0],
        max_delay=dt * (data.shape[0] - 1),
        mode=mode,
        time_constant=5.0,
        overbound=overbound,
    )
    return ops.delayed_dense(data, pointer, weight, plan, bias=bias, scale=scale)


def formula(data, pointer, weight, bias, delay, *, mode="previous", overbound=0.0, scale=1.0, dt=1.0):
    """The definition, in float64, through a gather of all B x I x O samples."""
    history = data.double() * scale
    selector = delay.T.unsqueeze(0).expand(data.shape[1], -1, -1)
    z = ops.history_gather(
        history, pointer, selector, dt=dt, mode=mode, time_constant=5.0, overbound=overbound
    )
    y = torch.einsum("bio,oi->bo", z, weight.double())
    return y if bias is None else y + bias.double()


SHAPES = [
    (1, 1, 1, 1),
    (5, 1, 784, 33),
    (21, 3, 130, 50),
    (4, 8, 9, 5),
    (300, 2, 7, 3),
    (6, 64, 40, 9),
    (3, 100, 5, 2),
    (4, 77, 300, 41),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "N{}-B{}-I{}-O{}".format(*s))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("history", ["same", "bool"])
def test_kernel_equals_reference(native, device, shape, dtype, history):
    args = problem(*shape, dtype, history=torch.bool if history == "bool" else None, device=device)
    for mode in MODES[:3] if history == "bool" else MODES:
        for overbound in (0.0, None, 1.5):
            results = []
            for name in ("torch", "native"):
                with inferno_cuda.backend(name):
                    results.append(run(*args, mode=mode, overbound=overbound, scale=0.7))
            assert_identical(results[1], results[0], f"{mode}, overbound {overbound}")


@pytest.mark.cuda
@pytest.mark.parametrize("mode", MODES)
def test_cuda_equals_cpu(native, mode):
    args = problem(21, 16, 200, 100)
    assert_identical(run(*(a.cuda() for a in args), mode=mode), run(*args, mode=mode))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("overbound", [0.0, None, 1.5])
def test_agrees_with_the_formula(backend, device, mode, overbound):
    args = problem(9, 3, 50, 20, torch.float64, device=device)
    torch.testing.assert_close(
        run(*args, mode=mode, overbound=overbound),
        formula(*args, mode=mode, overbound=overbound),
        rtol=1e-12,
        atol=1e-12,
    )


def test_float32_error_stays_within_its_bound(backend):
    """Sequential sums: |error| <= n eps sum |w z| at worst, and far less for random signs."""
    args = problem(21, 4, 2000, 10)
    got, exact = run(*args).double(), formula(*args)
    magnitude = formula(args[0].abs(), args[1], args[2].abs(), args[3].abs(), args[4])
    assert ((got - exact).abs() <= 20 * 2**-24 * magnitude).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_same_result_for_any_number_of_threads(native, threads):
    args = problem(21, 5, 300, 203)
    expected = run(*args, mode="expdecay")
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert_identical(run(*args, mode="expdecay"), expected)
    finally:
        torch.set_num_threads(before)


def test_batch_items_do_not_see_each_other(backend):
    data, pointer, weight, bias, delay = problem(7, 70, 30, 11)
    together = run(data, pointer, weight, bias, delay, mode="expdecay")
    for batch in (slice(0, 1), slice(3, 5), slice(20, 36), slice(69, 70)):
        assert_identical(run(data[:, batch], pointer, weight, bias, delay, mode="expdecay"), together[batch])


def test_layout_of_the_ring_does_not_matter(backend):
    data, pointer, weight, bias, delay = problem(7, 16, 30, 11)
    expected = run(data, pointer, weight, bias, delay)
    wide = torch.zeros(7, 32, 60)
    wide[:, ::2, ::2] = data
    for other in (data.contiguous(), wide[:, ::2, ::2], data.flip(0).flip(0)):
        assert_identical(run(other, pointer, weight, bias, delay), expected)
    assert_identical(run(data, pointer, weight.T.contiguous().T, bias, delay.T.contiguous().T), expected)


def test_permuting_outputs_permutes_the_result(backend, rng):
    data, pointer, weight, bias, delay = problem(7, 16, 30, 11)
    order = torch.randperm(11, generator=rng)
    expected = run(data, pointer, weight, bias, delay)[:, order]
    assert_identical(run(data, pointer, weight[order], bias[order], delay[order]), expected)


@settings(max_examples=40, deadline=None)
@given(k=st.integers(0, 9), batch=st.integers(1, 20), seed=st.integers(0, 2**20))
def test_a_delay_of_k_steps_shifts_the_output_by_k(k, batch, seed):
    g = torch.Generator().manual_seed(seed)
    data, pointer = torch.zeros(10, batch, 6), torch.tensor(0)
    weight = torch.rand(4, 6, generator=g)
    undelayed, delayed = [], []
    for _ in range(25):
        ops.history_push_(data, pointer, torch.rand(batch, 6, generator=g))
        undelayed.append(run(data, pointer, weight, None, torch.zeros(4, 6), mode="expdecay"))
        delayed.append(run(data, pointer, weight, None, torch.full((4, 6), float(k)), mode="expdecay"))
    assert_identical(torch.stack(delayed[k:]), torch.stack(undelayed[: 25 - k]))


@pytest.mark.parametrize("slots, inputs, outputs, batch", [(3, 0, 4, 2), (3, 4, 0, 2), (3, 4, 5, 0)])
def test_empty(backend, slots, inputs, outputs, batch):
    args = problem(slots, batch, inputs, outputs)
    y = run(*args)
    assert y.shape == (batch, outputs)
    if inputs == 0:
        assert_identical(y, args[3].expand(batch, outputs))


def test_infinite_samples_reach_only_those_who_look_at_them(backend):
    data, pointer = torch.zeros(3, 1, 2), torch.tensor(0)
    data[2, 0, 0] = torch.inf  # the newest of input 0
    delay = torch.tensor([[1.0, 0.0], [9.0, 0.0], [0.0, 0.0], [0.5, 0.0]])
    for mode in ("previous", "linear"):
        y = run(data, pointer, torch.ones(4, 2), None, delay, mode=mode)
        expected = [0.0, 0.0, torch.inf, torch.inf if mode == "linear" else 0.0]
        assert_identical(y, torch.tensor([expected]))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("history", [torch.float64, torch.bool], ids=str)
def test_gradients_equal_autograd_of_the_formula(backend, mode, history):
    if history == torch.bool and mode in ("linear", "expdecay"):
        return
    grads = []
    for function in (run, formula):
        data, pointer, weight, bias, delay = problem(6, 3, 8, 5, torch.float64, history=history)
        leaves = [weight.requires_grad_(), bias.requires_grad_()]
        if history != torch.bool:
            leaves.append(data.requires_grad_())
        y = function(data, pointer, weight, bias, delay, mode=mode, overbound=0.3)
        (y * torch.linspace(-1, 1, 15, dtype=torch.float64).view(3, 5)).sum().backward()
        grads.append([leaf.grad for leaf in leaves])
    for actual, expected in zip(*grads, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-13)
        assert (actual != 0).any()


def test_a_changed_ring_is_noticed_by_backward(native):
    data, pointer, weight, bias, delay = problem(6, 3, 8, 5)
    y = run(data, pointer, weight.requires_grad_(), bias, delay)
    ops.history_push_(data, pointer, torch.zeros(3, 8))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("wanted", ["bias", "weight", "data"])
def test_backward_saves_and_computes_what_is_asked_for(backend, wanted):
    data, pointer, weight, bias, delay = problem(6, 3, 8, 5)
    leaf = {"bias": bias, "weight": weight, "data": data}[wanted].requires_grad_()
    y = run(data, pointer, weight, bias, delay)
    if wanted == "bias":
        ops.history_push_(data, pointer, torch.zeros(3, 8))  # nothing of the ring is needed
    y.sum().backward()
    assert (leaf.grad != 0).any()


def test_delays_between_the_last_slot_and_max_delay(backend):
    """A linear blend at the end of the ring has no newer or older sample to go to."""
    data, pointer, weight, bias, _ = problem(1, 8, 5, 4)
    with pytest.raises(ValueError, match="max_delay was 1.0"):
        ops.delay_plan(torch.full((4, 5), 0.5), dt=1.0, slots=1, max_delay=1.0, mode="linear")
    edge = torch.full((4, 5), 2e-6)
    plan = ops.delay_plan(edge, dt=1.0, slots=1, max_delay=0.0, mode="linear", overbound=None)
    torch.testing.assert_close(ops.delayed_dense(data, pointer, weight, plan), data[0] @ weight.T)


def test_infinite_delays_are_out_of_range(backend):
    delay = torch.tensor([[torch.inf, -torch.inf, 1e30, -1e30, 2.0]])
    plan = ops.delay_plan(delay, dt=1.0, slots=3, max_delay=2.0, mode="expdecay", time_constant=3.0)
    assert plan.slot.tolist() == [[3, 3, 3, 3, 2]]


@pytest.mark.parametrize("pointer", [-7, -1, 6, 100])
def test_pointers_count_modulo_the_slots(backend, pointer):
    data, _, weight, bias, delay = problem(6, 3, 8, 5)
    expected = run(data, torch.tensor(pointer % 6), weight, bias, delay)
    assert_identical(run(data, torch.tensor(pointer), weight, bias, delay), expected)


def test_forward_mode_is_refused_rather_than_dropped(native):
    data, pointer, weight, bias, delay = problem(6, 3, 8, 5)
    with torch.autograd.forward_ad.dual_level(), pytest.raises((RuntimeError, NotImplementedError)):
        dual = torch.autograd.forward_ad.make_dual(weight, torch.ones_like(weight))
        run(data, pointer, dual, bias, delay)


def test_plan_refuses_to_drop_the_gradient_of_delays(backend):
    with pytest.raises(RuntimeError, match="delay requires a gradient"):
        run(*problem(3, 1, 2, 2)[:4], torch.zeros(2, 2, requires_grad=True))


def test_beyond_two_to_the_31_elements_by_stride(backend):
    wide = torch.zeros(3 * (2**31 + 64) // 2, dtype=torch.bool)  # untouched pages cost nothing
    far = torch.as_strided(wide, (2, 4, 2), (2**31 + 16, 2, 1))
    far[1] = True
    y = run(far, torch.tensor(0), torch.ones(3, 2), None, torch.zeros(3, 2))
    assert_identical(y, torch.full((4, 3), 2.0))
    y = run(far, torch.tensor(0), torch.ones(3, 2), None, torch.ones(3, 2))
    assert_identical(y, torch.zeros(4, 3))


@pytest.mark.parametrize(
    "change, error, match",
    [
        ({"weight": torch.zeros(3, 5)}, ValueError, r"weight had shape \(3, 5\)"),
        ({"weight": torch.zeros(3, 4, dtype=torch.int64)}, TypeError, "weight was torch.int64"),
        ({"data": torch.zeros(3, 2, 4, dtype=torch.float64)}, TypeError, "data was torch.float64"),
        ({"data": torch.zeros(3, 4)}, ValueError, r"data had shape \(3, 4\)"),
        ({"data": torch.zeros(4, 2, 4)}, ValueError, "plan was made for"),
        ({"data": torch.zeros(3, 2, 4, device="meta")}, ValueError, "data was on meta"),
        ({"bias": torch.zeros(4)}, ValueError, r"bias had shape \(4,\)"),
        ({"bias": torch.zeros(3, dtype=torch.float64)}, TypeError, "bias was torch.float64"),
        ({"pointer": torch.tensor([0])}, ValueError, "pointer was"),
        ({"delay": torch.full((3, 4), torch.nan)}, ValueError, "NaN"),
        ({"delay": torch.zeros(3, 4, 1)}, ValueError, r"delays of shape \(3, 4, 1\)"),
        ({"delay": torch.zeros(3, 4, dtype=torch.int64)}, TypeError, "delay was torch.int64"),
    ],
)
def test_bad_input(backend, change, error, match):
    arguments = {
        "data": torch.zeros(3, 2, 4),
        "pointer": torch.tensor(0),
        "weight": torch.zeros(3, 4),
        "bias": None,
        "delay": torch.zeros(3, 4),
    } | change
    with pytest.raises(error, match=match):
        delay = arguments.pop("delay")
        plan = ops.delay_plan(delay, dt=1.0, slots=3, max_delay=2.0)
        bias = arguments.pop("bias")
        ops.delayed_dense(plan=plan, bias=bias, **arguments)


@pytest.mark.parametrize("change", [{"dt": -1.0}, {"slots": 0}, {"max_delay": -1.0}, {"tolerance": -0.1}])
def test_bad_plan_parameters(backend, change):
    arguments = {"dt": 1.0, "slots": 3, "max_delay": 2.0} | change
    with pytest.raises(ValueError, match=next(iter(change))):
        ops.delay_plan(torch.zeros(3, 4), **arguments)
