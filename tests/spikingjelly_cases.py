"""SpikingJelly's neurons of many kinds."""

import pytest
import torch
from hypothesis import strategies as st

from inferno_cuda.testing import assert_identical

neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate")

COMMON = {
    "v_threshold": st.sampled_from([1.0, 0.4]),
    "v_reset": st.sampled_from([None, 0.0, -0.3]),
    "surrogate_function": st.sampled_from([surrogate.Sigmoid(), surrogate.ATan(), surrogate.S2NN()]),
    "detach_reset": st.booleans(),
    "store_v_seq": st.booleans(),
    "step_mode": st.sampled_from(["s", "m"]),
}
LEAK = COMMON | {"tau": st.sampled_from([2.0, 1.1, 10.0]), "decay_input": st.booleans()}
NODES = st.one_of(
    st.fixed_dictionaries(COMMON).map(lambda options: neuron.IFNode(**options)),
    st.fixed_dictionaries(LEAK).map(lambda options: neuron.LIFNode(**options)),
)


def assert_same_values(a, b):
    if isinstance(b, torch.Tensor):
        assert_identical(a, b)
    else:
        assert type(a) is type(b) and a == b
