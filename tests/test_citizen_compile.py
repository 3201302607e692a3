"""torch.compile over training steps: one graph, no recompilation, the same gradients."""

import pytest
import torch
import torch._dynamo
from citizen_cases import (
    CELL,
    EXPONENTIAL,
    LINEAR,
    PREVIOUS,
    alif,
    assert_all_learn,
    assert_close,
    clear,
    currents,
    dense,
    lif,
    loss_of,
    network,
    spikes,
    train_step,
)

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.neural import Serial
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical

pytestmark = [
    pytest.mark.usefixtures("native"),  # the reference is traced step by step, which takes long
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def once():
    """A second compilation of anything is an error."""
    with torch._dynamo.config.patch(error_on_recompile=True):
        yield


def forward(module, x):
    return loss_of(inferno_cuda.run(module, x))


def assert_compiles(make, given, steps=3, backend="aot_eager", function=forward, **tolerances):
    """Training steps in one graph, on new inputs each time, with parameters that an optimizer moves."""
    module, twin = make(), make()
    compiled = torch.compile(function, fullgraph=True, backend=backend)
    optimizers = [torch.optim.SGD([p for p in m.parameters() if p.requires_grad] or [torch.zeros(1)], lr=1e-6)
                  for m in (module, twin)]  # fmt: skip
    for seed in range(steps):
        x = given(seed=seed)
        wanted, found = train_step(twin, x, function), train_step(module, x, compiled)
        assert_close(found, wanted, **({"rtol": 1e-4, "atol": 1e-5} | tolerances))
        for a, b in zip(module.buffers(), twin.buffers(), strict=True):
            torch.testing.assert_close(a, b)
        for optimizer in optimizers:
            optimizer.step()
    assert_all_learn(found)


def test_a_layer_with_delays_that_learn(once):
    assert_compiles(lambda: Serial(dense(), lif()), spikes)


def test_the_op_of_neurons(once):
    def function(module, x):
        run = ops.neuron_run("lif", torch.full((2, 5), -65.0), torch.zeros(2, 5), x, surrogate=ATan(0.2),
                             record=("voltage",), **CELL)  # fmt: skip
        return loss_of(run.spikes) + run.voltages.mean()

    assert_compiles(torch.nn.Identity, currents, function=function)


MODULES = {
    "lif": (lif, currents),
    "alif": (alif, currents),
    "delta": (lambda: dense(synapse=PREVIOUS), spikes),
    "exponential": (lambda: dense(synapse=EXPONENTIAL), spikes),
    "no delays": (lambda: dense(synapse=LINEAR, delay=None), spikes),
    "network": (network, spikes),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_modules(once, name):
    assert_compiles(*MODULES[name])


@pytest.mark.slow
def test_bool_spikes(once):
    """As they come in; then there is no gradient for them."""
    module, twin = Serial(dense(), lif()), Serial(dense(), lif())
    compiled = torch.compile(forward, fullgraph=True, backend="aot_eager")
    for seed in range(3):
        clear(module), clear(twin)
        x = spikes(seed=seed) > 0
        forward(twin, x).backward(), compiled(module, x).backward()
    for a, b in zip(module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.slow
def test_state_goes_on(once):
    """Chunks of one sequence, cut by detach_(): values are those of one run."""
    module, twin = Serial(dense(), lif()), Serial(dense(), lif())
    compiled = torch.compile(lambda x: module.run(x), fullgraph=True, backend="aot_eager")
    x = spikes(12)
    parts = []
    for part in x.split(4):
        parts.append(compiled(part).detach())
        module.detach_()
    assert_identical(torch.cat(parts), twin.run(x).detach())
    for a, b in zip(module.buffers(), twin.buffers(), strict=True):
        assert_identical(a.detach(), b.detach())


@pytest.mark.slow
def test_gradients_go_on_within_a_graph(once):
    """Two runs in one graph, without a cut between them."""

    def function(module, x):
        return loss_of(torch.cat([inferno_cuda.run(module, part) for part in x.split(2)]))

    assert_compiles(lambda: dense(synapse=LINEAR), spikes, function=function)


@pytest.mark.slow
def test_ops_of_delays_and_synapses(once):
    weight = torch.linspace(0.5, 2, 30).view(5, 6).requires_grad_()
    delay = torch.linspace(0, 2.9, 30).view(5, 6).requires_grad_()

    def function(module, x):
        current, _ = ops.synapse_run("exponential", x, [torch.zeros(2, 6)], gain=3.0, decay=[0.8])
        series = torch.cat([torch.zeros(3, 2, 6), current])
        return loss_of(ops.delayed_dense_run(series, weight, delay, dt=1.0, slots=4, max_delay=3.0, mode="linear"))

    assert_compiles(torch.nn.Identity, spikes, function=function)
    assert weight.grad.any() and delay.grad.any()


def linear():
    torch.manual_seed(0)
    return torch.nn.Linear(6, 5)


# Inductor may fuse and reorder float32 sums around our ops: hence the wider bounds below.
@pytest.mark.slow
def test_with_inductor(once):
    assert_compiles(lambda: torch.nn.Sequential(linear(), lif(), dense(5, 3, scale=600.0), lif(3)),
                    lambda seed: 3000 * spikes(seed=seed), backend="inductor", rtol=1e-3)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("delay", [None, 12.0])
def test_exponential_synapses_with_inductor(once, delay):
    # the pointers of histories must not become numbers of the graph
    assert_compiles(lambda: torch.nn.Sequential(dense(synapse=EXPONENTIAL, delay=delay), lif()), spikes,
                    backend="inductor", rtol=1e-3)  # fmt: skip


@pytest.mark.slow
def test_modules_of_other_delays():
    """The compiler takes numbers that differ between modules for unknowns; nothing may need their values."""
    compiled = torch.compile(forward, fullgraph=True, backend="aot_eager")
    for delay in (12.0, 5.0, 3.0):
        module, twin = (dense(synapse=EXPONENTIAL, delay=delay) for _ in range(2))
        assert_close(train_step(module, spikes(), compiled), train_step(twin, spikes(), forward))


def stepped(module, x):
    return loss_of(torch.stack([module(row) for row in x]))


@pytest.mark.slow
def test_single_steps():
    """A loop over calls; there may be breaks of the graph, but no other numbers."""
    module, twin = (dense(synapse=EXPONENTIAL, delay=None) for _ in range(2))
    wanted = train_step(twin, spikes(3), stepped)
    found = train_step(module, spikes(3), torch.compile(stepped, backend="aot_eager"))
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_single_steps_through_delays_are_refused():
    """A pointer that a graph keeps moves on in the next step; autograd says so."""
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        train_step(network(), spikes(3), torch.compile(stepped, backend="aot_eager"))


@pytest.mark.slow
def test_autocast_inside(once):
    def function(module, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return forward(module, x)

    assert_compiles(lambda: torch.nn.Sequential(linear(), lif()), lambda seed: 3000 * spikes(seed=seed),
                    function=function, rtol=0.02)  # fmt: skip
