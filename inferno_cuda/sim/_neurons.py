"""Populations of neurons, and slices of them."""

from __future__ import annotations

import difflib
import operator
from typing import TYPE_CHECKING, Any

import torch

from . import _values
from ._models import MEMBRANE, state_names, state_variables

if TYPE_CHECKING:
    from .network import Network


class Neurons:
    """Neurons of a network that follow one another: a population, a slice of one, or populations side by side.

    ``neurons[10:20]`` and ``neurons[3]`` are neurons again. ``first + second`` are both, if the first neuron of
    ``second`` follows the last one of ``first``. Everything that takes a population takes them too.

    Attributes:
        network: the network they belong to.
        first: number within the network of the first one.
        last: number within the network behind the last one.
    """

    network: Network
    first: int
    last: int

    def __init__(self, network: Network, first: int, last: int) -> None:
        self.__dict__.update(network=network, first=first, last=last)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("network", "first", "last") or not self._populations():
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return self.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self.set(**{name: value})

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, index: int | slice) -> Neurons:
        size = len(self)
        if isinstance(index, slice):
            begin, end, step = index.indices(size)
            if step != 1:
                raise ValueError(f"slices of neurons have step 1, not {step}: neurons of a slice follow one another")
            return Neurons(self.network, self.first + begin, self.first + max(begin, end))
        try:
            if isinstance(index, bool):
                raise TypeError
            index = operator.index(index)
        except TypeError:  # also of arrays and tensors of several numbers, which have the method
            raise TypeError(f"neurons are chosen by a number or a slice, not by {type(index).__name__}") from None
        if not -size <= index < size:
            raise IndexError(f"there are {size} neurons, none of them is number {index}")
        return Neurons(self.network, self.first + index % size, self.first + index % size + 1)

    def __add__(self, other: Neurons) -> Neurons:
        if not isinstance(other, Neurons):
            return NotImplemented
        if other.network is not self.network or other.first != self.last:
            raise ValueError(f"{other!r} does not follow {self!r}, so they are no range: pass them one by one")
        return Neurons(self.network, self.first, other.last)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Neurons):
            return NotImplemented
        return self.network is other.network and (self.first, self.last) == (other.first, other.last)

    def __hash__(self) -> int:
        return hash((id(self.network), self.first, self.last))

    def __repr__(self) -> str:
        parts = [part._describe(max(self.first, part.first), min(self.last, part.last)) for part in self._populations()]
        return f"<{' + '.join(parts) or 'no neurons'}>"

    @property
    def indices(self) -> torch.Tensor:
        """Their numbers within the network, int64 ``[n]``."""
        return torch.arange(self.first, self.last)

    @property
    def counts(self) -> torch.Tensor:
        """Spikes of every neuron since the network was made or :meth:`Network.clear`, int64 ``[trials, n]``."""
        return self.network._run.counts[:, self.first : self.last].clone()

    @property
    def rate(self) -> float:
        """Mean rate of all neurons and trials over the time that :attr:`counts` counts, Hz; NaN before it has begun."""
        seconds = self.network._run.counted_steps * self.network.dt / 1000
        return self.counts.double().mean().item() / seconds if seconds and len(self) else float("nan")

    def get(self, name: str) -> torch.Tensor:
        """A parameter, ``"current"``, ``"V_m"`` or an adaptation, in the units of :meth:`Network.population`.

        Returns:
            float64 ``[n]``; ``V_m`` and adaptations have a row for each trial, ``[trials, n]``.

        Raises:
            AttributeError: if a population has no such parameter.
        """
        parts = []
        for population in self._populations():
            value = population._read(name)
            begin, end = (min(max(at - population.first, 0), len(population)) for at in (self.first, self.last))
            parts.append(value[..., begin:end])
        return torch.cat(parts, -1)

    def set(self, **values: Any) -> None:
        """Sets parameters, ``current``, ``V_m`` or adaptations, before the first run or between two.

        Args:
            **values: numbers, arrays or tensors with one value for each neuron, or distributions, in the units of
                :meth:`Network.population`.

        Raises:
            AttributeError: if a population has no such parameter.
            ValueError: if a value does not fit.
        """
        for name in values:
            for population in self._populations():
                population._check_name(name)
        ready = {}
        for population in self._populations():
            begin, end = (min(max(at - population.first, 0), len(population)) for at in (self.first, self.last))
            offset = population.first + begin - self.first
            for name, value in values.items():
                part = _values.part(name, value, offset, end - begin, len(self))
                ready[population, name] = (begin, end, population._drawn(name, part, begin, end))
        for population in self._populations():
            population._write({name: new for (owner, name), new in ready.items() if owner is population})

    @property
    def current(self) -> torch.Tensor:
        """Constant current into every neuron, pA, float64 ``[n]``; it is added to ``I_e`` where there is one. Can be
        set at any time."""
        return self.get("current")

    @current.setter
    def current(self, value: Any) -> None:
        self.set(current=value)

    def _populations(self) -> list[Population]:
        return [p for p in self.network.populations if p.first < self.last and self.first < p.last]


class Population(Neurons):
    """Neurons of one model; made by :meth:`Network.population`.

    Parameters are attributes: ``population.tau_m``, ``population.tau_m = 20.0``, and ``population.V_m`` is the membrane
    potential. See :meth:`Neurons.get` and :meth:`Neurons.set`.

    Attributes:
        name: its name.
        model: name of the model of its neurons.
    """

    name: str
    model: str

    def __init__(
        self, network: Network, number: int, name: str, model: str, first: int, size: int, known: dict
    ) -> None:
        super().__init__(network, first, first + size)
        # the parameters' numbers are part of the streams of random numbers
        states = state_names(model)
        drawn = [key for key in known if key not in ("refrac_lock", "adapt")]
        switches = [key for key in known if key not in drawn]
        order = {key: i for i, key in enumerate((MEMBRANE, "current", *drawn, *states[1:], *switches))}
        order = order if known else {}
        parameters: dict[str, float | torch.Tensor] = {**known, "current": 0.0} if known else {}
        self.__dict__.update(name=name, model=model, _number=number, _order=order, _parameters=parameters)
        self.__dict__.update(_states=states, _initial={}, _generators=None)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self.__dict__.get("_order", ()):
            return self.get(name)
        raise AttributeError(self._unknown(name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "current" or name in self._order:
            self.set(**{name: value})
        else:
            raise AttributeError(self._unknown(name))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters of the model."""
        return tuple(name for name in self._parameters if name != "current")

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the state variables, which :meth:`Network.record_state` takes: ``V_m`` (mV), those of the synapses
        (``I``: pA, of neurons of ``inferno_cuda.neural`` nA; ``dI``: pA / ms; ``g``: nS), which end in ``_ex`` and
        ``_in`` where these have time constants of their own, and an adaptation."""
        return state_variables(self.model, self.network._run.ports_of(self)) if self._parameters else ()

    @property
    def given_spikes(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Times (ms, float64) and generators (int64) of the spikes that :meth:`Network.spike_source` was given."""
        given = getattr(self._generators, "_spikes", None)
        return None if given is None else ((given[:, 0] + 1) * self.network.dt, given[:, 1] - self.first)

    def _unknown(self, name: str) -> str:
        known = ", ".join(sorted(self.__dict__.get("_order", ()), key=str.lower)) or "no parameters"
        near = difflib.get_close_matches(name, self.__dict__.get("_order", ()), 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        return f"the model {self.__dict__.get('model')} has no {name!r}; it has {known}.{hint}"

    def _check_name(self, name: str) -> None:
        if name not in self._order:
            raise AttributeError(self._unknown(name))

    def _describe(self, first: int, last: int) -> str:
        whole = first == self.first and last == self.last
        chosen = "" if whole else f"[{first - self.first}:{last - self.first}]"
        return f"{self.name}{chosen}: {last - first:,} {self.model}"

    def _read(self, name: str) -> torch.Tensor:
        self._check_name(name)
        if name in self._states:
            return self.network._run.read_state(self, name)
        return _values.filled(self._parameters[name], len(self))

    def _drawn(self, name: str, value: Any, begin: int, end: int) -> float | torch.Tensor:
        """What is to be written to neurons begin..end-1."""
        trials = self.network.trials if name in self._states else 0
        stream = _values.PARAMETER_STREAMS + 64 * self._number + self._order[name]
        return _values.drawn(name, value, self.network.seed, stream, range(begin, end), len(self), trials)

    def _write(self, values: dict[str, tuple[int, int, float | torch.Tensor]]) -> None:
        """Takes new values for neurons from a number on; all of them fit, or nothing changes."""
        parameters = dict(self._parameters)
        for name, (begin, end, value) in values.items():
            if name not in self._states:
                parameters[name] = _values.replaced(parameters[name], begin, end, value, len(self))
        if values.keys() - set(self._states):
            self.network._run.check_parameters(self, parameters)
        states = {name: value for name, value in values.items() if name in self._states}
        if MEMBRANE not in states and "E_L" in values and self.network._run.state is not None:
            # the state is relative to E_L, and the potential is not to move with it
            states[MEMBRANE] = (0, len(self), self._read(MEMBRANE))
        self.__dict__["_parameters"] = parameters
        self.network._run.stale = True
        for name, value in states.items():
            self.network._run.write_state(self, name, *value)
