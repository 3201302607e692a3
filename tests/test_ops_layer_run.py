"""Programs of a layer's steps: every instruction gives what the op of its name gives, step by step."""

import pytest
import torch
import torch.nn.functional as F
from neuron_cases import ADAPTIVE, MEMBRANES, inputs, of_model, state

from inferno_cuda import ops

pytestmark = pytest.mark.usefixtures("native")

T, B, N = 5, 3, 7
DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def spikes(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4


def after_each_step(build, steps=T):
    """What an instruction gives after one step, after two, ..., each in a program of its own."""
    made = []
    for count in range(1, steps + 1):
        program = ops.Program()
        out = build(program)
        program.run(count)
        made.append(out.tensor.clone())
    return torch.stack(made)


@every_dtype
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("batch", [1, B])
def test_linear(batch, biased, dtype):
    x, weight = random(T, batch, N, dtype=dtype), random(4, N, seed=1, dtype=dtype)
    bias = random(4, seed=2, dtype=dtype) if biased else None
    made = after_each_step(lambda program: program.linear(program.sequence(x), weight, bias))
    assert torch.equal(made, torch.stack([F.linear(step, weight, bias) for step in x]))


@every_dtype
def test_sum_and_difference(dtype):
    x, y = random(T, B, N, dtype=dtype), random(T + 2, B, N, seed=1, dtype=dtype)
    made = after_each_step(lambda program: program.sum(program.sequence(x), program.sequence(y, 2)))
    assert torch.equal(made, x + y[2:])
    made = after_each_step(lambda program: program.difference(program.sequence(y, 1), ops.Operand(x[0])))
    assert torch.equal(made, y[1:-1] - x[0])


@every_dtype
def test_blend(dtype):
    x, y, p, q = (random(T, B, N, seed=seed, dtype=dtype) for seed in range(4))
    compute = torch.promote_types(dtype, torch.float32)
    made = after_each_step(lambda program: program.blend(*map(program.sequence, (x, p, y, q))))
    x, y, p, q = (tensor.to(compute) for tensor in (x, y, p, q))
    assert torch.equal(made, (x * p + y * q).to(dtype))


def test_values_that_are_kept_and_steps_that_run_backwards():
    x, sums = random(T, B, N), torch.zeros(T, B, N)
    total = ops.Operand(torch.zeros(B, N))
    program = ops.Program()
    program.sum(total, program.sequence(x), out=total)
    program.sum(total, ops.Operand(torch.zeros(B, N)), out=program.sequence(sums))
    program.run(T, backwards=True)
    wanted, after = torch.zeros(B, N), []
    for step in x.flip(0):
        wanted = wanted + step
        after.append(wanted)
    assert torch.equal(sums, torch.stack(after).flip(0))


@every_dtype
@pytest.mark.parametrize("biased", [False, True])
def test_product(biased, dtype):
    x, weight = random(T, B, N, dtype=dtype), random(N, seed=1, dtype=dtype)
    bias = random(N, seed=2, dtype=dtype) if biased else None
    compute = torch.float64 if dtype == torch.float64 else torch.float32
    wanted = x.to(compute) * weight.to(compute)
    wanted = (wanted if bias is None else wanted + bias.to(compute)).to(dtype)
    made = after_each_step(lambda program: program.product(program.sequence(x), weight, bias))
    assert torch.equal(made, wanted)
    zero = ops.Program()
    signed = zero.product(ops.Operand(torch.zeros(1, 1)), torch.tensor([-1.0]))
    zero.run(1)
    assert torch.signbit(signed.tensor).all()


@every_dtype
@pytest.mark.parametrize("model, decay", [("delta", ()), ("delta_plus", ()), ("exponential", (0.8,)),
                                          ("double_exponential", (0.8, 0.3))])  # fmt: skip
@pytest.mark.parametrize("floating", [False, True])
def test_synapse(model, decay, floating, dtype):
    x = spikes(T, B, N).to(dtype) * 2 if floating else spikes(T, B, N)

    def rings():
        currents = ((random(4, B, N, seed=k, dtype=dtype), torch.tensor(k)) for k in range(max(1, len(decay))))
        return [(torch.zeros(4, B, N, dtype=torch.bool), torch.tensor(3)), *currents]

    def build(program):
        ring, *currents = made_rings = rings()
        made.append(made_rings)
        return program.synapse(model, program.sequence(x), ring, used(currents), gain=3.0, decay=decay, dtype=dtype)

    def used(currents):
        return [] if model == "delta" else currents

    made, (ring, *currents) = [], rings()
    wanted = [ops.synapse_step_(model, s, ring, used(currents), gain=3.0, decay=decay, dtype=dtype) for s in x]
    assert torch.equal(after_each_step(build), torch.stack(wanted))
    for (data, pointer), (own_data, own_pointer) in zip(made[-1], (ring, *currents), strict=True):
        assert torch.equal(data, own_data) and torch.equal(pointer, own_pointer)


@every_dtype
@pytest.mark.parametrize("op, shape", [("delayed_dense", (4, N)), ("delayed_direct", (N,))])
@pytest.mark.parametrize("mode", ["previous", "linear", "bool"])
def test_delayed_sums(op, shape, mode, dtype):
    data = spikes(4, B, N) if mode == "bool" else random(4, B, N, dtype=dtype)
    ring, weight = (data, torch.tensor(2)), random(*shape, seed=1, dtype=dtype)
    bias = random(shape[0], seed=2, dtype=dtype)
    delay = torch.rand(shape, generator=torch.Generator().manual_seed(3)) * 3.5
    plan = ops.delay_plan(delay, dt=1.0, slots=4, max_delay=3.0, mode="previous" if mode == "bool" else mode)
    program = ops.Program()
    biased = program.delayed_sum(op, ring, weight, plan, bias, 2.0)
    plain = program.delayed_sum(op, ring, weight, plan, None, 1.0)
    program.run(1)
    sums = getattr(ops, op)
    assert torch.equal(biased.tensor, sums(*ring, weight, plan, bias=bias, scale=2.0))
    assert torch.equal(plain.tensor, sums(*ring, weight, plan))


@every_dtype
@pytest.mark.parametrize("refrac_lock", [True, False])
@pytest.mark.parametrize("model", MEMBRANES)
def test_neuron(model, refrac_lock, dtype):
    x = torch.stack([inputs((B, N), dtype, seed=k) for k in range(T)])
    for reduction in ("mean", "sum", None) if model in ADAPTIVE else (None,):
        options = of_model(model, (B, N), dtype, reduction=reduction)
        twin = {name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in options.items()}
        (voltage, refrac), (own_voltage, own_refrac) = state((B, N), dtype), state((B, N), dtype)
        program = ops.Program()
        fired = program.sequence(torch.empty(T, B, N, dtype=torch.bool))
        program.neuron(model, voltage, refrac, program.sequence(x), fired, refrac_lock=refrac_lock, **options)
        program.run(T)
        wanted = [ops.neuron_step_(model, own_voltage, own_refrac, s, refrac_lock=refrac_lock, **twin) for s in x]
        assert torch.equal(fired.tensor, torch.stack(wanted))
        assert torch.equal(voltage, own_voltage) and torch.equal(refrac, own_refrac)
        if "adaptation" in options:
            assert torch.equal(options["adaptation"], twin["adaptation"])


def lif(program, voltage, refrac, currents, fired):
    cell = of_model("lif", voltage.shape)
    return program.neuron("lif", voltage, refrac, program.sequence(currents), fired, refrac_lock=True, **cell)


def test_no_steps_change_nothing():
    program, (voltage, refrac) = ops.Program(), state((B, N))
    before = voltage.clone()
    lif(program, voltage, refrac, random(0, B, N), program.sequence(torch.empty(0, B, N, dtype=torch.bool)))
    program.run(0)
    assert torch.equal(voltage, before) and voltage._version == before._version


def test_what_does_not_fit_changes_nothing():
    fired, (voltage, refrac) = torch.empty(T, B, N, dtype=torch.bool), state((B, N))
    before = voltage.clone()
    cases = {
        "too short": (voltage, refrac, random(T - 1, B, N), fired),
        "wrong shape": (voltage, refrac, random(T, B, N + 1), fired),
        "inputs: wrong dtype": (voltage, refrac, random(T, B, N, dtype=torch.float64), fired),
        "spikes: wrong dtype": (voltage, refrac, random(T, B, N), fired.float()),
        "overlap": (voltage, voltage[:], random(T, B, N), fired),
    }
    for message, (v, r, x, out) in cases.items():
        program = ops.Program()
        first = program.sum(program.sequence(random(T, B, N)), program.sequence(random(T, B, N)))
        assert first.shape == (B, N)
        lif(program, v, r, x, program.sequence(out))
        with pytest.raises(RuntimeError, match=message):
            program.run(T)
        assert torch.equal(voltage, before)
    for shape in ((4, N + 1), (N,)):
        program = ops.Program()
        program.linear(program.sequence(random(T, B, N)), random(*shape))
        with pytest.raises(RuntimeError, match="weight: wrong shape"):
            program.run(T)


def test_programs_that_are_none_raise():
    x, raw = random(B, N), torch.ops.inferno_cuda.layer_run
    for code, message in (
        ([9], "no such instruction"),
        ([3, 0, 0], "ends too early"),
        ([3, 7], "no such combination"),
        ([3, 0, 5], "no tensor of this number"),
        ([3, 0, -1], "a tensor is missing"),
        ([3, 0, 1, -1, 1, -1, -1, 1], "writes what is read"),
        ([1, 0, 0, 1, 0, 0, -1, -1, 1, -1, 1, -1], "writes what is read"),  # the spikes
    ):
        with pytest.raises(RuntimeError, match=message):
            raw([x], [x.clone()], code, [], 1)
    with pytest.raises(RuntimeError, match="steps"):
        raw([x], [], [], [], -1)


def test_graphs_notice_that_the_state_was_written():
    voltage, refrac = state((B, N))
    scale = torch.ones((), requires_grad=True)
    graph = (scale * voltage).sum()
    program = ops.Program()
    lif(program, voltage, refrac, random(T, B, N), program.sequence(torch.empty(T, B, N, dtype=torch.bool)))
    assert program.runs()
    program.run(T)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        graph.backward()


def test_gradients_and_other_backends_do_not_run():
    def made(weight):
        program = ops.Program()
        program.linear(program.sequence(random(T, B, N)), weight)
        return program

    weight = random(4, N)
    assert made(weight).runs()
    trained = made(weight.requires_grad_())
    assert not trained.runs()
    with torch.no_grad():
        assert trained.runs()
        with ops.backend("torch"):
            assert not trained.runs()
    assert not made(random(4, N).to("meta")).runs()


def test_the_op_has_a_fake():
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        x = torch.empty(B, N)
        assert torch.ops.inferno_cuda.layer_run([x], [torch.empty(B, N)], [], [], 1) is None
