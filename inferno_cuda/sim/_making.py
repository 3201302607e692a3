"""How a network is made: populations and projections."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..state import _check
from . import _build, _stimuli
from ._models import GENERATOR, as_model
from ._neurons import Neurons, Population
from ._projection import Projection, check_delay
from ._runner import Runner
from .rules import AllToAll, as_rule


class Making:
    """The part of :class:`Network` that makes neurons and synapses."""

    dt: float
    size: int
    time: float
    _populations: list[Population]
    _projections: list[Projection]
    _sources: int
    _run: Runner

    def population(
        self, size: int, model: Any = "iaf_psc_exp", *, name: str | None = None, **parameters: Any
    ) -> Population:
        """Makes neurons.

        Args:
            size: how many.
            model: ``"iaf_psc_exp"`` (leaky integrate-and-fire, exponential currents), ``"iaf_psc_alpha"`` (alpha-shaped
                currents), ``"iaf_psc_delta"`` (jumps of the potential), ``"iaf_cond_exp"`` (exponential conductances);
                or neurons of ``inferno_cuda.neural``: ``"LIF"``, ``"ALIF"``, ``"GLIF1"``, ``"GLIF2"``, ``"QIF"``,
                ``"Izhikevich"``, ``"EIF"``, ``"AdEx"``, the class itself, or an instance of it, whose parameters are
                taken, while its state is not.
            name: its name, of which there is one; None: the model's name and a number.
            **parameters: of NEST's models what differs from NEST's defaults, under NEST's names: ``C_m`` (pF),
                ``tau_m`` (ms), ``E_L``, ``V_th``, ``V_reset`` (mV), ``t_ref``, ``tau_syn_ex``, ``tau_syn_in`` (ms),
                ``I_e`` (pA), ``V_min`` (mV), ``g_L`` (nS), ``E_ex``, ``E_in`` (mV), those that the model has. Of
                neurons of ``inferno_cuda.neural`` all that their class needs, under its names and in its units, and
                ``tau_syn_ex``, ``tau_syn_in`` (ms), with which currents decay; 0, the default: they last for one step;
                ``refrac_lock`` (True, the default: refractory neurons keep their voltage; False: they integrate without
                input) and, if they adapt, ``adapt`` (False: adaptations stand still; by default they move, but those of
                an instance in evaluation mode).
                Of all models ``V_m`` (mV), the initial membrane potential, by default ``E_L`` or ``rest_v``;
                ``current`` (pA); and of neurons that adapt ``threshold_adaptation`` (mV) or ``current_adaptation``
                (nA), initially 0. Numbers, arrays or tensors with one value for each neuron, or distributions;
                ``V_m`` and adaptations may have a row for each trial, and are drawn for each.

        Returns:
            the population.

        Raises:
            AttributeError: if the model has no such parameter.
            TypeError, ValueError: if an argument does not fit.
            RuntimeError: if the network has run already.
        """
        size = _check.size("size", size)
        model, given = as_model(model, self.dt, size)
        known = ops.SPIKING_MODELS[model].parameters
        parameters = {**given, **parameters}
        missing = [key for key, default in known.items() if default is None and key not in parameters]
        if missing:
            raise TypeError(f"{model} needs {', '.join(missing)}, which have no default")
        made = self._append(size, model, name, known)
        try:
            made.set(**parameters)
        except BaseException:
            self._populations.pop()
            raise
        return made

    def poisson_source(self, size: int, rate: float, *, name: str | None = None) -> Population:
        """Makes generators of Poisson spikes, which can be connected like neurons; each has its own spikes.

        Args:
            size: how many.
            rate: of one generator, Hz.
            name: its name.

        Raises:
            ValueError: if an argument does not fit.
            RuntimeError: if the network has run already.
        """
        generators = _stimuli.RandomSource(self, self._sources, rate)
        return self._source(size, name, "poisson_source", generators)

    def spike_source(
        self, size: int, times: Any, neurons: Any = 0, *, trials: Any = None, name: str | None = None
    ) -> Population:
        """Makes generators that spike at given times, which can be connected like neurons.

        Args:
            size: how many.
            times: ms, one for each spike, in any order; multiples of ``dt``, and after the present time. A spike at the
                same time as another one of the same generator counts like a second spike.
            neurons: which generator spikes, 0 to ``size - 1``: one for each time, or one number for all.
            trials: in which trial; None: in all.
            name: its name.

        Raises:
            TypeError, ValueError: if an argument does not fit.
            RuntimeError: if the network has run already.
        """
        size = _check.size("size", size)
        generators = _stimuli.GivenSource(self, self.size, size, times, neurons, trials)
        return self._source(size, name, "spike_source", generators)

    def _source(self, size: int, name: str | None, kind: str, generators: _stimuli.Generators) -> Population:
        made = self._append(size, GENERATOR, name or f"{kind}_{len(self._populations)}", {})
        made.__dict__["_generators"] = generators
        self._sources += 1
        return made

    def _append(self, size: int, model: str, name: str | None, known: dict[str, float]) -> Population:
        self._refuse_once_started("a population")
        size = _check.size("size", size)
        name = f"{model}_{len(self._populations)}" if name is None else name
        if not isinstance(name, str) or any(name == p.name for p in self._populations):
            raise ValueError(f"'name' of {name!r} must be a string, and not that of another population")
        if self.size + size >= 2**31:
            raise ValueError(f"'size' of {size} is too many: a network has less than 2**31 neurons")
        self._run.forget()
        made = Population(self, len(self._populations), name, model, self.size, size, known)
        self._populations.append(made)
        return made

    def _refuse_once_started(self, what: str) -> None:
        if self._run.started:
            raise RuntimeError(
                f"{what} cannot be added at {self.time:g} ms: the network is fixed once it has run. Add it before the "
                f"first "
                "run, with a weight or rate of 0 if it is to come later"
            )

    def _owned(self, name: str, neurons: Any) -> Neurons:
        if isinstance(neurons, str):
            return self[neurons]
        _check.instance(name, neurons, Neurons)
        if neurons.network is not self:
            raise ValueError(f"'{name}' {neurons!r} belongs to another network")
        return neurons

    def connect(
        self,
        source: Neurons | str,
        target: Neurons | str,
        rule: Any = None,
        *,
        weight: Any = None,
        delay: Any = 1.0,
        name: str | None = None,
    ) -> Projection:
        """Makes synapses, at the latest when the network runs for the first time.

        Args:
            source: neurons they come from, or the name of a population.
            target: neurons they lead to, or the name of a population.
            rule: which synapses there are: one of those of ``sim``, such as ``sim.FixedInDegree(100)``; its name in
                NEST, or a dictionary as NEST has it; a pair of arrays ``(sources, targets)``, counted within the two
                populations; a sparse matrix of scipy or torch, targets x sources. None: all to all. Arrays are read
                when the network is built; do not change them before.
            weight: in pA (``iaf_psc_exp``, ``iaf_psc_alpha``), mV (``iaf_psc_delta``), nS (``iaf_cond_exp``, where
                the sign says whether a synapse is excitatory or inhibitory) or pC (neurons of ``inferno_cuda.neural``,
                the charge of a spike): a number, a distribution, one value for
                each synapse, or a matrix ``[targets, sources]`` from which each synapse takes its element. None: 1, or
                the elements of a sparse matrix.
            delay: ms, in the same forms; rounded to steps, halves up, and at least one step. What is drawn below that
                is raised to one step, what is given below half a step is refused.
            name: its name.

        Returns:
            the projection.

        Raises:
            TypeError, ValueError: if an argument does not fit.
            RuntimeError: if the network has run already.
        """
        self._refuse_once_started("a projection")
        source, target = self._owned("source", source), self._owned("target", target)
        for population in target._populations():
            if population.model == GENERATOR:
                raise ValueError(f"'target' {target!r} has generators among them, which nothing reaches")
        rule, elements = as_rule(AllToAll() if rule is None else rule, (len(source), len(target)))
        if weight is None:
            weight = 1.0 if elements is None else elements
        name = f"projection {len(self._projections)}" if name is None else name
        made = Projection(len(self._projections), name, source, target, rule, weight, delay)
        check_delay("delay", made._delay, self.dt, _build.LONGEST_DELAY)
        self._run.forget()
        self._projections.append(made)
        return made
