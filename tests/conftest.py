"""The axes that the tests run along: backends and devices."""

import os
import signal

import pytest
import torch

import inferno_cuda
from inferno_cuda import testing
from inferno_cuda.ops import native_status

REQUIRE_NATIVE = os.environ.get("INFERNO_REQUIRE_NATIVE") == "1"
REQUIRE_CUDA = os.environ.get("INFERNO_REQUIRE_CUDA") == "1"


def pytest_configure(config):
    if REQUIRE_NATIVE and not native_status.loaded:
        raise pytest.UsageError(f"INFERNO_REQUIRE_NATIVE=1, but: {native_status.problem}")
    if REQUIRE_CUDA and not (torch.cuda.is_available() and native_status.cuda):
        raise pytest.UsageError("INFERNO_REQUIRE_CUDA=1, but there is no GPU, or no CUDA kernels in the library")


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    for item in items:
        if "cuda" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a GPU"))


@pytest.fixture(scope="module")
def repaired_inferno():
    """What a trainer's tests compare with; other tests see inferno-ai as it is."""
    pytest.importorskip("inferno.learn")
    from learn_cases import repaired

    with pytest.MonkeyPatch.context() as patch:
        yield repaired(patch)


@pytest.fixture(params=["torch", "native"])
def backend(request):
    """Runs the test under each backend."""
    if request.param == "native" and not native_status.loaded:
        pytest.skip(native_status.problem)
    with inferno_cuda.backend(request.param):
        yield request.param


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request):
    """Runs the test on each device; CUDA only where there is a GPU."""
    return request.param


@pytest.fixture(scope="session")
def native_or_skip():
    """As ``native``, for tests of hypothesis, which take no fixture that is made anew for each test."""
    if not native_status.loaded:
        pytest.skip(native_status.problem)


@pytest.fixture
def native():
    """For tests that compare our kernels with the reference."""
    if not native_status.loaded:
        pytest.skip(native_status.problem)


@pytest.fixture
def loop_calls(monkeypatch, native):
    """How many steps each call of layer_run had; negative for those backwards."""
    from inferno_cuda import ops

    calls, raw = [], ops.layer_run._raw

    def counted(written, read, code, numbers, steps, backwards):
        calls.append(-steps if backwards else steps)
        return raw(written, read, code, numbers, steps, backwards)

    monkeypatch.setattr(ops.layer_run, "_raw", counted)
    return calls


@pytest.fixture
def interruptible():
    """Ctrl-C raises KeyboardInterrupt, also where the tests were started in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(20)


def pytest_report_header():
    kernels = "loaded" if native_status.loaded else native_status.problem
    return f"inferno_cuda {inferno_cuda.__version__}, kernels {kernels}; devices {', '.join(testing.devices())}"


@pytest.fixture
def kernel_calls(monkeypatch):
    """The calls of integrate_fire by the adapters of other libraries."""
    from inferno_cuda import ops
    from inferno_cuda.adapters import _snntorch, _spikingjelly

    calls = []

    def counted(*arguments, **options):
        calls.append(arguments)
        return ops.integrate_fire(*arguments, **options)

    for adapter in (_snntorch, _spikingjelly):
        monkeypatch.setattr(adapter, "integrate_fire", counted)
    return calls
