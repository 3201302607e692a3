"""Loads the compiled operators, once, and remembers why they could not be."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings

import torch

TORCH_MIN = (2, 10)
_REBUILD = "rebuild it with `pip install --no-build-isolation .` in a checkout, under the torch you run"
_OPERATORS = (
    *("neuron_step_", "neuron_step", "neuron_step_packed_", "synapse_step_", "synapse_step_packed_"),
    *("synapse_run", "synapse_run_backward"),
    *("neuron_run", "neuron_run_backward", "neuron_slopes"),
    *("integrate_fire", "integrate_fire_packed"),
    *("history_push_", "history_gather", "history_look_up", "delay_plan"),
    *("delayed_dense", "delayed_direct", "delayed_conv2d"),
    *("delayed_run", "delayed_run_series", "delayed_run_taps", "layer_run"),
    *("sparse_sum", "sparse_sum_transposed", "sparse_taps"),
    *("trace_push_", "trace_push_packed_"),
    *("correlate", "apply_updates_", "apply_outers_", "clamp_updated_", "dense_sum", "layer_step_"),
    *("spike_pairs", "eligibility_step_", "eligibility_sum"),
    *("rows_count_", "rows_fill_", "rows_sort_", "large_pages_", "simulate"),
    *("connect_", "bernoulli_", "draw_"),
)


class NativeStatus:
    """What the compiled library offers in this process.

    Attributes:
        loaded: whether its operators are registered with torch.
        cuda: whether it has CUDA kernels.
        archs: the GPU architectures they were compiled for.
        toolkit: version of the CUDA toolkit that compiled them.
        problem: why it is not loaded, and what to do about it; empty when it is.
        hold: its check of what prepared calls depend on; None when it is not loaded.
    """

    def __init__(self, module=None, problem=""):
        self.loaded = module is not None
        self.problem = problem
        self.cuda = bool(getattr(module, "has_cuda", 0))
        self.archs = getattr(module, "archs", "")
        self.toolkit = getattr(module, "toolkit", "")
        self.hold = getattr(module, "hold", None)


def _version(text: str) -> tuple[int, int]:
    major, minor = re.match(r"(\d+)\.(\d+)", text).groups()
    return int(major), int(minor)


def _load() -> NativeStatus:
    if importlib.util.find_spec("inferno_cuda._C") is None:
        return NativeStatus(problem="no compiled library in this installation (INFERNO_PURE=1, or not built)")
    if _version(torch.__version__) < TORCH_MIN:
        needed = ".".join(map(str, TORCH_MIN))
        return NativeStatus(problem=f"torch is {torch.__version__}, the compiled library needs {needed} or newer")
    try:
        module = importlib.import_module("inferno_cuda._C")
    except ImportError as error:
        why = f"the compiled library does not load under torch {torch.__version__} ({error}); {_REBUILD}"
        return NativeStatus(problem=why)
    missing = [name for name in _OPERATORS if not hasattr(torch.ops.inferno_cuda, name)]
    missing += [] if hasattr(module, "hold") else ["hold"]
    if missing:
        return NativeStatus(problem=f"the compiled library is an older one, without {', '.join(missing)}; {_REBUILD}")
    return NativeStatus(module)


status = _load()
if not status.loaded and "no compiled library" not in status.problem:
    # A broken build must be seen, but must not take the pure-torch backend away.
    warnings.warn(f"inferno_cuda runs on its torch backend: {status.problem}", RuntimeWarning, stacklevel=2)
