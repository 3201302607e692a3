"""torch.utils.checkpoint around steps: the same gradients, from the state that the steps started from."""

import pytest
import torch
from citizen_cases import (
    CELL,
    EXPONENTIAL,
    LINEAR,
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
from torch.utils.checkpoint import checkpoint

import inferno_cuda
from inferno_cuda import ops
from inferno_cuda.surrogate import ATan
from inferno_cuda.testing import assert_identical


def state(module):
    # extras hold the pointers of records
    pointers = [extra.clone() for m in module.modules() for extra in getattr(m, "_extras", {}).values()
                if isinstance(extra, torch.Tensor)]  # fmt: skip
    return [buffer.detach().clone() for buffer in module.buffers()] + pointers


def checkpointed(module, x):
    run = checkpoint(module.run if hasattr(module, "run") else lambda x: inferno_cuda.run(module, x), x,
                     use_reentrant=False, context_fn=inferno_cuda.replay(module))  # fmt: skip
    return loss_of(run)


MODULES = {
    "lif": (lif, currents),
    "alif": (alif, currents),
    "delta": (lambda: dense(synapse=LINEAR), spikes),
    "exponential": (lambda: dense(synapse=EXPONENTIAL), spikes),
    "no delays": (lambda: dense(synapse=EXPONENTIAL, delay=None), spikes),
    "network": (network, spikes),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_same_gradients_and_state(backend, name):
    make, given = MODULES[name]
    module, twin = make(), make()
    wanted, found = train_step(twin, given()), train_step(module, given(), checkpointed)
    assert_all_learn(wanted)
    assert_close(found, wanted, rtol=0, atol=0)
    for a, b in zip(state(module), state(twin), strict=True):
        assert_identical(a, b)


@pytest.mark.parametrize("name", ["lif", "delta", "network"])
def test_chunks_each_with_its_own_start(backend, name):
    make, given = MODULES[name]
    results = []
    for context in (None, inferno_cuda.replay):
        module, x = make(), given().requires_grad_()
        outputs = [
            inferno_cuda.run(module, part) if context is None else
            checkpoint(lambda x, m=module: inferno_cuda.run(m, x), part, use_reentrant=False,
                       context_fn=context(module))
            for part in x.split(2)
        ]  # fmt: skip
        loss_of(torch.cat(outputs)).backward()
        results.append({"input": x.grad, **{n: p.grad for n, p in module.named_parameters() if p.requires_grad}})
    assert_close(*results, rtol=0, atol=0)
    assert_all_learn(results[0])


def test_single_steps(backend):
    def stepped(module, x):
        rows = [checkpoint(module, row, use_reentrant=False, context_fn=inferno_cuda.replay(module)) for row in x]
        return loss_of(torch.stack(rows))

    module, twin = network(), network()
    wanted = train_step(twin, spikes(), lambda m, x: loss_of(torch.stack([m(row) for row in x])))
    assert_close(train_step(module, spikes(), stepped), wanted, rtol=0, atol=0)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("stepped", [False, True])
def test_without_the_state_it_is_refused(backend, name, stepped):
    make, given = MODULES[name]
    module, x = make(), given().requires_grad_()

    def function(x):
        return torch.stack([module(row) for row in x]) if stepped else inferno_cuda.run(module, x)

    before = state(module)
    loss = checkpoint(function, x, use_reentrant=False).sum()
    after = state(module)
    with pytest.raises(RuntimeError, match="context_fn=inferno_cuda.replay"):
        loss.backward()
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    for a, b in zip(after, state(module), strict=True):
        assert_identical(a, b)
    clear(module)
    train_step(module, given())


def test_what_fails_inside_leaves_the_state_as_it_is(backend):
    module, calls = lif(), []

    def function(x):
        calls.append(x)
        first = module.run(x[:1])
        if len(calls) == 2:
            raise KeyError("the second time")
        return torch.cat([first, module.run(x[1:])])

    x = currents().requires_grad_()
    loss = checkpoint(function, x, use_reentrant=False, context_fn=inferno_cuda.replay(module)).sum()
    after = state(module)
    with pytest.raises(KeyError):
        loss.backward()
    for a, b in zip(after, state(module), strict=True):
        assert_identical(a, b)
    clear(module)
    with pytest.raises(RuntimeError, match="context_fn"):  # no longer in a replay
        checkpoint(module.run, x, use_reentrant=False).sum().backward()


def test_ops_have_no_state(backend):
    def function(x):
        return ops.neuron_run("lif", torch.full(x.shape[1:], -65.0), torch.zeros(x.shape[1:]), x, surrogate=ATan(0.2),
                              **CELL).spikes  # fmt: skip

    grads = []
    for run in (function, lambda x: checkpoint(function, x, use_reentrant=False)):
        x = currents().requires_grad_()
        loss_of(run(x)).backward()
        grads.append(x.grad)
    assert_identical(*grads)
    assert grads[0].any()


def test_a_module_is_needed():
    with pytest.raises(TypeError, match="'module' must be an instance of Module"):
        inferno_cuda.replay(lambda x: x)
