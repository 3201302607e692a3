"""The cases of the suite of networks: models of growing size, with a delay on every synapse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from .. import sim

_DELAYS = sim.Uniform(0.5, 2.5)  # ms


@dataclass(frozen=True)
class NetworkCase:
    """A network that is built, compared and timed.

    Attributes:
        name: for ``--cases``.
        what: for the table.
        build: makes it from options of :class:`~inferno_cuda.sim.Network`; can be pickled if NEST draws for itself.
        settle: ms before the time that is measured.
        duration: ms that are measured.
        exact: ms in which spikes must be NEST's one by one; 0 where input is random, so that rates alone can agree.
        peer: whether NEST runs it, too, on the same synapses.
        drawn: makes what NEST runs on synapses that it draws itself; for networks too large to hand them over one by
            one. Cases with the same one share a run, as those that differ in ``weight_bits``. None: it does not.
        large: whether it is not compared on several numbers of threads, and left out of quick runs that do not name it.
    """

    name: str
    what: str
    build: Callable[..., sim.Network]
    settle: float
    duration: float
    exact: float = 0.0
    peer: bool = False
    drawn: Callable[..., sim.Network] | None = None
    large: bool = False


@cache
def _microcircuit(scale: float, drive: str = "dc", **more: Any) -> Callable[..., sim.Network]:
    # with all their synapses neurons get what they get at full scale, and a constant current keeps them going
    return partial(sim.models.microcircuit, scale, drive, in_degree_scale=1.0, **more)


def _drawn(
    name: str, what: str, build: Callable[..., sim.Network], duration: float, large: bool = False
) -> NetworkCase:
    return NetworkCase(name, what, build, 100.0, duration, drawn=build, large=large)


def _full_scale(name: str, what: str, drive: str, weight_bits: int | None = None) -> NetworkCase:
    build = _microcircuit(1.0, drive, weight_bits=weight_bits)
    return NetworkCase(name, what, build, 100.0, 10_000.0, drawn=_microcircuit(1.0, drive), large=True)


@cache
def _brunel(excitatory: int) -> Callable[..., sim.Network]:
    # with weights like this the working point of 10,000 excitatory neurons stays
    weight = 1000 / excitatory
    return partial(sim.models.brunel, "asynchronous irregular", excitatory=excitatory, weight=weight, delay=_DELAYS)


@cache
def _vogels_abbott(kind: str, size: int, **more: Any) -> Callable[..., sim.Network]:
    return partial(sim.models.vogels_abbott, kind, size, delay=_DELAYS, **more)


def _coba(size: int, settle: float, duration: float) -> NetworkCase:
    # with in-degrees that grow, and weights that fall, activity would end; NEST's solver adapts its steps, so that
    # after some milliseconds spikes part and rates alone can agree
    build = _vogels_abbott("coba", size, probability=80 / size)
    return NetworkCase(f"coba-{size}", f"Vogels-Abbott, COBA, {size:,}", build, settle, duration, 0.0, True)


NETWORKS = (
    NetworkCase("microcircuit-0.03", "microcircuit, scale 0.03", _microcircuit(0.03), 100.0, 500.0, 50.0, True),
    NetworkCase("microcircuit-0.1", "microcircuit, scale 0.1", _microcircuit(0.1), 100.0, 500.0, 0.0, True),
    _drawn("microcircuit-0.3", "microcircuit, scale 0.3", _microcircuit(0.3), 500.0),
    _full_scale("microcircuit-1", "microcircuit, full scale", "dc"),
    _full_scale("microcircuit-1-16", "full scale, 16 bits", "dc", 16),
    _full_scale("microcircuit-1-poisson", "microcircuit, full scale, Poisson", "poisson"),
    _full_scale("microcircuit-1-poisson-16", "full scale, Poisson, 16 bits", "poisson", 16),
    NetworkCase("brunel-12500", "Brunel, AI, 12,500 neurons", _brunel(10000), 100.0, 200.0, 0.0, True),
    _drawn("brunel-25000", "Brunel, AI, 25,000 neurons", _brunel(20000), 200.0),
    _drawn("brunel-50000", "Brunel, AI, 50,000 neurons", _brunel(40000), 200.0, large=True),
    NetworkCase("cuba-4000", "Vogels-Abbott, CUBA, 4,000", _vogels_abbott("cuba", 4000), 100.0, 1000.0, 50.0, True),
    NetworkCase("cuba-16000", "Vogels-Abbott, CUBA, 16,000", _vogels_abbott("cuba", 16000), 100.0, 500.0, 50.0, True),
    _drawn("cuba-64000", "Vogels-Abbott, CUBA, 64,000", _vogels_abbott("cuba", 64000), 200.0),
    _coba(4000, 100.0, 1000.0),
    _coba(16000, 100.0, 500.0),
    _coba(64000, 100.0, 200.0),
)
