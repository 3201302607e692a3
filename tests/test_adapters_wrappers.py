"""accelerate and revert together with torch.compile and distributed data parallel."""

import pytest
import torch
from adapter_cases import assert_state, connection, currents, neuron, pair
from torch import nn

import inferno_cuda
from inferno_cuda.adapters import Outcome

theirs = pytest.importorskip("inferno.neural")
pytestmark = pytest.mark.usefixtures("native")


def compiled(module):
    return torch.compile(module, backend="eager")


@pytest.fixture(autouse=True)
def forget():
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("call", [inferno_cuda.accelerate, inferno_cuda.revert])
def test_compiled_models_are_refused(call):
    inner = neuron(theirs, "LIF")
    wrapped = compiled(inner)
    with pytest.raises(RuntimeError, match="'model' was compiled; accelerate or revert a model first"):
        call(wrapped)
    with pytest.raises(RuntimeError, match="'1' was compiled"):
        call(nn.Sequential(nn.Linear(2, 2), wrapped))
    in_place = nn.Sequential(neuron(theirs, "LIF"))
    in_place[0].compile(backend="eager")
    with pytest.raises(RuntimeError, match="'0' was compiled"):
        call(in_place)
    assert type(inner) is type(in_place[0]) is theirs.LIF


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_accelerated_before_it_is_compiled():
    plain, fast = pair(lambda: neuron(theirs, "ALIF", batch_size=1))
    faster = compiled(fast)
    for x in currents(20, 1, 5):
        assert torch.equal(plain(x), faster(x))
    # what runs under the compiler is the library's own code, and the two can take turns
    for x in currents(20, 1, 5, seed=1):
        assert torch.equal(plain(x), fast(x))
    assert_state(plain, fast)


@pytest.fixture
def group(tmp_path):
    torch.distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("wrap_first", [False, True])
def test_distributed_data_parallel(group, wrap_first):
    made = []
    for fast in (False, True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 6), connection(theirs, "LinearDirect"), neuron(theirs, "LIF", (2, 3)))
        if fast and not wrap_first:
            inferno_cuda.accelerate(model, strict=True)
        wrapped = nn.parallel.DistributedDataParallel(model)
        if fast and wrap_first:
            report = inferno_cuda.accelerate(wrapped, strict=True)
            assert [row.fqn for row in report] == ["module.1", "module.1.synapse_", "module.2"]
            assert inferno_cuda.accelerate(model).of(Outcome.ALREADY)
        made.append(wrapped)
    plain, fast = made
    with torch.no_grad():
        for x in currents(10, 2, 6):
            assert torch.equal(plain(x), fast(x))
    assert_state(plain, fast)
    inferno_cuda.revert(fast)
    assert [type(m) for m in fast.modules()] == [type(m) for m in plain.modules()]
