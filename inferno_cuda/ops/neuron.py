"""One step of neurons of any model."""

from __future__ import annotations

import functools
import importlib

import torch
from torch.autograd import forward_ad

from .. import reference
from ._neuron_checks import EVERY, REDUCTIONS, check_step, tensor_names
from .backend import active_mode, native_on_cpu, runs_native
from .common import (
    _increment_version,
    check_apart,
    check_writable,
    forbid_gradients,
    needs_graph,
    pack,
    same_view,
    widened,
    written,
)
from .native import status

KERNELS = {}  # number of each model among the kernels, and the order of its parameters there

if status.loaded:
    _raw_ = torch.ops.inferno_cuda.neuron_step_.default
    _raw = torch.ops.inferno_cuda.neuron_step.default
    _raw_packed_ = torch.ops.inferno_cuda.neuron_step_packed_.default
    _listed = importlib.import_module("inferno_cuda._C").neuron_models.splitlines()
    KERNELS.update((line.split(":")[0], (i, tuple(line.split(":")[1].split()))) for i, line in enumerate(_listed))
    for _name, (_, _parameters) in KERNELS.items():
        if set(_parameters) != reference.MODELS[_name].parameters:
            raise ImportError(f"the compiled model {_name!r} has other parameters than its reference: rebuild it")

    @torch.library.register_fake("inferno_cuda::neuron_step_")
    def _(voltage, *others):
        return torch.empty(voltage.shape, dtype=torch.bool, device=voltage.device)

    @torch.library.register_fake("inferno_cuda::neuron_step")
    def _(voltage, refrac, adaptation, inputs, constants, model, dt, refrac_t, parameters, reduction, refrac_lock):
        state = torch.empty(voltage.shape, dtype=voltage.dtype, device=voltage.device)
        shape = adaptation.shape if adaptation is not None and reduction else (0,)
        return state, torch.empty_like(state), torch.empty_like(state, dtype=torch.bool), state.new_empty(shape)


def without_negative_zeros(parameters):
    """Parameters with 0.0 for -0.0."""
    # 0.0 and -0.0 are one key of the packed numbers, so every form has to take them as one
    return {name: value + 0.0 if isinstance(value, float) else value for name, value in parameters.items()}


def _runs_kernel(voltage, parameters):
    """Whether the kernel runs; it takes numbers as parameters, no tensors."""
    if not runs_native(voltage, "neuron_step"):
        return False
    tensors = tensor_names(parameters)
    if tensors and active_mode() == "native":
        raise RuntimeError(
            f"neuron_step: backend is set to 'native', but the parameters {', '.join(tensors)} are tensors, which run "
            "in torch"
        )
    return not tensors


def _raw_arguments(model, parameters, reduction, refrac_lock):
    """What follows the tensors in a call of the raw op."""
    number, names = KERNELS[model]
    return (
        number,
        parameters["dt"],
        parameters["refrac_t"],
        [parameters[name] for name in names],
        REDUCTIONS.index(reduction),
        refrac_lock,
    )


@functools.lru_cache(maxsize=512)
def _packed(model, reduction, refrac_lock, **parameters):
    """The numbers of a step in the one tensor that the kernel takes them in; the same ones are met again.

    Raises:
        ValueError, TypeError: there is no such model, or its parameters are others, or no plain numbers.
    """
    if model not in KERNELS or len(parameters) != len(KERNELS[model][1]) + len(EVERY):
        raise ValueError("these are not the parameters of a model")
    if type(refrac_lock) is not bool or not all(isinstance(number, int | float) for number in parameters.values()):
        raise TypeError("not all of these are numbers")
    try:
        number, dt, refrac_t, values, *flags = _raw_arguments(model, parameters, reduction, refrac_lock)
    except KeyError as error:
        raise ValueError(f"there is no parameter {error}") from None
    return pack([value + 0.0 for value in (number, dt, refrac_t, *flags, *values)])


def pack_step(model, reduction, refrac_lock, parameters):
    """What :func:`step_packed` takes besides tensors; None if it does not take these parameters."""
    if not native_on_cpu() or torch.compiler.is_compiling():
        return None
    try:
        return _packed(model, reduction, refrac_lock, **parameters)
    except (RuntimeError, TypeError, ValueError):
        return None


def step_packed(voltage, refrac, adaptation, inputs, constants, reduces, how):
    """:func:`neuron_step_` of tensors on the CPU, in the least host time; None if the kernel does not take them.

    The kernel checks its arguments before it writes: repeating that here would cost host time. `how` is that of
    :func:`pack_step`, which packed a reduction if `reduces`.
    """
    if (
        not native_on_cpu()
        or inputs.requires_grad
        or voltage.requires_grad
        or refrac.requires_grad
        or not voltage.is_cpu
        or forward_ad._current_level >= 0
        or torch.compiler.is_compiling()
        or (adaptation is not None and adaptation.requires_grad)
    ):
        return None
    try:
        spikes = _raw_packed_(voltage, refrac, adaptation, inputs, constants, how)
    except RuntimeError:
        return None
    _increment_version((voltage, refrac, adaptation) if reduces else (voltage, refrac))
    return spikes


def _check_apart(inputs, adaptation, **state):
    check_apart(", ".join(state), *state.values())
    for name, tensor in state.items():
        if not same_view(tensor, inputs):
            check_apart(f"{name}, inputs", tensor, inputs)
        if adaptation is not None:
            check_apart(f"{name}, adaptation", tensor, adaptation)


def _recorded(tensor):
    return tensor is not None and tensor.requires_grad and torch.is_grad_enabled()


def _contiguous(tensor):
    return None if tensor is None else tensor.contiguous()


def _run(voltage, refrac, inputs, adaptation, constants, model, reduction, refrac_lock, parameters):
    """The functional step on the chosen backend, without autograd."""
    if _runs_kernel(voltage, parameters):
        *state, adapted = _raw(
            voltage.contiguous(),
            refrac.contiguous(),
            _contiguous(adaptation),
            inputs.contiguous(),
            _contiguous(constants),
            *_raw_arguments(model, parameters, reduction, refrac_lock),
        )
        return (*state, None if reduction is None else adapted)
    return _run_reference(voltage, refrac, inputs, adaptation, constants, model, reduction, refrac_lock, parameters)


def _run_reference(voltage, refrac, inputs, adaptation, constants, model, reduction, refrac_lock, parameters):
    return reference.neuron_step(
        model,
        voltage,
        refrac,
        inputs,
        adaptation=adaptation,
        constants=constants,
        reduction=reduction,
        refrac_lock=refrac_lock,
        **parameters,
    )


class _NeuronStep(torch.autograd.Function):
    """Forward on the chosen backend; backward through the reference, run again from the saved state.

    Spikes are bool and the refractory time is a clock, so neither carries a gradient.
    """

    @staticmethod
    def forward(voltage, refrac, inputs, adaptation, constants, *options):
        return _run(voltage, refrac, inputs, adaptation, constants, *options)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.options = inputs[5:]
        ctx.mark_non_differentiable(output[1], output[2])
        ctx.save_for_backward(*inputs[:5])

    @staticmethod
    def backward(ctx, grad_voltage, _, __, grad_adaptation):
        voltage, refrac, inputs, adaptation, constants = ctx.saved_tensors
        sources = {0: voltage, 2: inputs, 3: adaptation, 4: constants}
        wanted = [i for i in sources if ctx.needs_input_grad[i]]
        if not wanted:
            return (None,) * 9
        with torch.enable_grad():
            # aliases, through which a graph of the gradients themselves reaches the tensors
            alias = {i: source if source is None else source.view_as(source) for i, source in sources.items()}
            alias = {i: x if i not in wanted or x.requires_grad else x.requires_grad_() for i, x in alias.items()}
            new_voltage, _, _, new_adaptation = _run_reference(
                alias[0], refrac, alias[2], alias[3], alias[4], *ctx.options
            )
        given = [(new_voltage, grad_voltage)]
        if new_adaptation is not None and grad_adaptation is not None:
            given.append((new_adaptation, grad_adaptation))
        given = [pair for pair in given if pair[0].requires_grad]
        if not given:
            return (None,) * 9
        found = torch.autograd.grad(
            [output for output, _ in given],
            [alias[i] for i in wanted],
            [gradient for _, gradient in given],
            create_graph=torch.is_grad_enabled(),
            allow_unused=True,
        )
        result = dict(zip(wanted, found, strict=True))
        return (result.get(0), None, *[result.get(i) for i in (2, 3, 4)], *[None] * 4)


def neuron_step(
    model: str,
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    refrac_lock: bool = True,
    adaptation: torch.Tensor | None = None,
    constants: torch.Tensor | None = None,
    reduction: str | None = None,
    **parameters: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """One step of neurons that leaves its arguments alone; differentiable in voltage, inputs, adaptation and constants.

    Every model counts the refractory period down, integrates, and fires where the voltage has reached the threshold
    outside the period: ``"lif"``, ``"alif"``, ``"glif2"`` (linear membrane), ``"qif"``, ``"izhikevich"`` (quadratic),
    ``"eif"``, ``"adex"`` (exponential). ``alif`` and ``glif2`` adapt their thresholds, ``izhikevich`` and ``adex``
    their input currents; adaptations have no batch dimension, so their update reduces over the samples.

    Args:
        model: name of the model.
        voltage: membrane voltage, mV, ``[B, *shape]``; any shape for models that do not adapt.
        refrac: remaining refractory period, ms, shape and dtype of `voltage`.
        inputs: input current, nA, shape and dtype of `voltage`; has no effect on neurons that are refractory.
        refrac_lock: hold the voltage of refractory neurons; otherwise it goes on integrating with no input.
        adaptation: ``[*shape, K]``, dtype of `voltage`; mV for thresholds, nA for currents.
        constants: of each adaptation, in the compute type (float32 for half types): ``(2, K)``, decay of a step and
            jump in mV, for thresholds; ``(3, K)``, ``dt / time_constant``, coupling in uS and jump in nA, for currents.
        reduction: ``"mean"`` or ``"sum"`` over the samples updates the adaptation; None leaves it.
        **parameters: ``dt``, ``refrac_t`` (ms), ``thresh_v``, ``rest_v`` (mV), ``resistance`` (MOhm), and of the model:
            linear ``decay`` (``exp(-dt / time_constant)``), quadratic ``rate`` (``dt / time_constant``), ``crit_v``,
            ``affinity``, exponential ``rate``, ``rheobase_v``, ``sharpness``; ``reset_v`` (mV), for glif2 instead
            ``reset_v_mul``, ``reset_v_add``.

    Parameters may be tensors that broadcast to `voltage`, such as a threshold for each neuron; the step then runs in
    torch and is differentiable in them too.

    Returns:
        New voltage and refractory time, the spikes as bool, and the new adaptation (None if it is left alone).

    Raises:
        ValueError: shapes or devices differ, a parameter does not broadcast, or there is no such model or reduction.
        TypeError: dtypes differ or are not floating point, or the parameters are not those of the model.
        RuntimeError: parameters are tensors and the backend is set to ``"native"``; or, on CUDA only, adaptations of
            more than 384 kinds (float32; 192 in float64) are to be reduced over 17 samples or more, for which the
            kernel has no room.
    """
    parameters = without_negative_zeros(parameters)
    voltage, refrac, inputs, adaptation = widened(voltage, refrac, inputs, adaptation)
    check_step(model, voltage, refrac, inputs, adaptation, constants, reduction, parameters)
    options = (model, reduction, refrac_lock, parameters)
    if needs_graph(voltage, refrac, inputs, adaptation, constants) and not tensor_names(parameters):
        if torch.compiler.is_compiling():
            # a compiler differentiates the reference itself, and fuses it
            return _run_reference(voltage, refrac, inputs, adaptation, constants, *options)
        return _NeuronStep.apply(voltage, refrac, inputs, adaptation, constants, *options)
    return _run(voltage, refrac, inputs, adaptation, constants, *options)


def neuron_step_(
    model: str,
    voltage: torch.Tensor,
    refrac: torch.Tensor,
    inputs: torch.Tensor,
    *,
    refrac_lock: bool = True,
    adaptation: torch.Tensor | None = None,
    constants: torch.Tensor | None = None,
    reduction: str | None = None,
    **parameters: float,
) -> torch.Tensor:
    """As :func:`neuron_step`, but writes `voltage`, `refrac` and `adaptation` in place; returns the spikes.

    Raises:
        RuntimeError: a tensor requires a gradient, which this form would drop; the tensors overlap in memory without
            being the same; or as :func:`neuron_step`.
        ValueError, TypeError: as :func:`neuron_step`, and for expanded state.

    Example:
        >>> import math
        >>> import torch
        >>> from inferno_cuda import ops
        >>> voltage, refrac = torch.full((1, 3), -65.0), torch.zeros(1, 3)
        >>> current = torch.tensor([[0.0, 10.0, 400.0]])
        >>> ops.neuron_step_("lif", voltage, refrac, current, dt=1.0, refrac_t=3.0, thresh_v=-50.0, rest_v=-65.0,
        ...                  resistance=1.0, decay=math.exp(-1.0 / 20.0), reset_v=-70.0)
        tensor([[False, False,  True]])
        >>> voltage, refrac
        (tensor([[-65.0000, -64.5123, -70.0000]]), tensor([[0., 0., 3.]]))
    """
    if (
        voltage.requires_grad
        or refrac.requires_grad
        or (inputs.requires_grad and torch.is_grad_enabled())
        or (adaptation is not None and (adaptation.requires_grad or _recorded(constants)))
        or forward_ad._current_level >= 0
    ):
        taken = {"voltage": voltage, "refrac": refrac, "inputs": inputs, "adaptation": adaptation}
        forbid_gradients("neuron_step_", "use neuron_step", **taken, constants=constants)
    changed = (voltage, refrac) if reduction is None else (voltage, refrac, adaptation)
    if type(voltage) is torch.Tensor and voltage.is_cpu and native_on_cpu() and not torch.compiler.is_compiling():
        try:
            # The kernel checks its arguments before it writes: repeating that here would cost host time.
            how = _packed(model, reduction, refrac_lock, **parameters)
            spikes = _raw_packed_(voltage, refrac, adaptation, inputs, constants, how)
        except (RuntimeError, TypeError, ValueError):
            pass  # the checks below name what was wrong; what the kernel does not read as it is is copied there
        else:
            _increment_version(changed)
            return spikes
    parameters = without_negative_zeros(parameters)
    inputs = widened(inputs, voltage)[0]
    native = _runs_kernel(voltage, parameters)
    if torch.is_grad_enabled():
        learned = {name: parameters[name] for name in tensor_names(parameters)}
        forbid_gradients("neuron_step_", "use neuron_step", **learned)
    check_step(model, voltage, refrac, inputs, adaptation, constants, reduction, parameters)
    for name, tensor in zip(("voltage", "refrac", "adaptation"), changed, strict=False):
        check_writable(name, tensor)
    _check_apart(inputs, adaptation, voltage=voltage, refrac=refrac)
    if reduction is not None:
        check_apart("adaptation, inputs", adaptation, inputs)
    if native and all(t.is_contiguous() for t in changed):
        arguments = _raw_arguments(model, parameters, reduction, refrac_lock)
        adapting = _contiguous(adaptation) if reduction is None else adaptation
        spikes = _raw_(voltage, refrac, adapting, inputs.contiguous(), _contiguous(constants), *arguments)
        written(*changed)
        return spikes
    new_voltage, new_refrac, spikes, new_adaptation = _run(
        voltage, refrac, inputs, adaptation, constants, model, reduction, refrac_lock, parameters
    )
    for old, new in zip(changed, (new_voltage, new_refrac, new_adaptation), strict=False):
        old.copy_(new)
    return spikes
