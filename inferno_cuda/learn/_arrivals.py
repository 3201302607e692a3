"""Recording spikes as they arrive at the synapses of delayed connections, without a value for each sample and weight.

A trace of the spikes that arrive after a delay is the trace of those that were sent, as it was that delay ago. So it is
enough to record what is sent, for as long as the longest delay, and to read it at the delays. That holds as long as the
delays stay the same and the synapse sees the same steps as what is recorded here. Once one of the two fails, there is a
value for each sample and weight, as for any other connection, until everything is cleared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..neural import Connection
from ..neural.connections._plan import PlanCache
from ..neural.synapses._lookup import DelayedCurrent
from ..observe import CumulativeTraceReducer, EventReducer, NearestTraceReducer, PassthroughReducer
from ..observe._weak import Weak
from ..ops import DelayPlan
from ..ops.trace import trace_push_plain
from ..state import Module, RecordTensor, _lookup
from ..state._ring import capturing
from ._sent import Sent, history_of, plan_of, plans_of, same_delays


class _Seen:
    """The storage of a synapse's history when it was last observed, and its versions. A copy has seen nothing."""

    def __init__(self) -> None:
        self.data: Tensor | None = None
        self.versions = (0, 0)

    def note(self, record: RecordTensor) -> None:
        pointer = record._pointer_tensor
        self.data, self.versions = record._data, (record._data._version, pointer._version)

    def is_at(self, record: RecordTensor, writes: int) -> bool:
        """Whether there were so many writes since, each of which moved the pointer."""
        data, pointer = self.versions
        return record._data is self.data and (
            record._data._version == data + writes and record._pointer_tensor._version == pointer + writes
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> _Seen:
        return _Seen()

    def __reduce__(self) -> tuple:
        return _Seen, ()


class Arriving:
    """Mixed into a reducer of ``connection.synspike``, which can record what is sent in place of what arrives.

    ``data_`` is a ring of what was sent then, ``(N, B, *shape of the synapse)``. All that can be read is as it would be
    otherwise, ``(B, ...)`` like ``synspike``. The state_dict has the ring, under the same key.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._at_once = True  # for traces: these steps are theirs

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._of_sent = False
        self._seen = _Seen()
        self._plan = None
        self._longer: tuple | None = None
        self._watched = Weak(None)
        self._numbers: tuple = ()

    # -- steps --------------------------------------------------------------------------------------------------------

    def observe(self, connection: Connection) -> None:
        """Takes in a step of a connection."""
        how = history_of(connection)
        plan = None if how is None else plan_of(connection, how)
        if self._of_sent and how is not None:
            self._check_shape(how.record._data.shape[1:])
        if self._initial:
            self._begin(connection, how, plan)
        elif self._of_sent and not self._goes_on(how, plan):
            self._spread()
        if self._of_sent:
            self._record_sent(how.record._newest())
            self._seen.note(how.record)
        else:
            spikes = connection.synspike
            self._check_shape(spikes.shape)
            super().forward(spikes)

    def _check_shape(self, shape: torch.Size) -> None:
        recorded = shape if self._initial else self.data_._data.shape[1:]
        if shape != recorded:
            raise ValueError(
                f"spikes of the shape {tuple(recorded)} were recorded as they arrive, now there are some of the shape "
                f"{tuple(shape)}: call trainer.clear() after a change of the batch size"
            )

    def _record_sent(self, spikes: Tensor) -> None:
        super().forward(spikes)

    def _begin(self, connection: Connection, how: Any, plan: Any) -> None:
        """Decides before the first observation what is recorded."""
        fits = how is not None and plan.factor is None and not self.data.requires_grad and _only_newest(how.record)
        if not self.data_.ignored and (self._of_sent != fits or (fits and self.data_.shape != how.record.shape)):
            self.data_.deinitialize(False)
        self._of_sent, self._plan, self._numbers = fits, plan, self._constants()
        self.data_.duration = self._duration + (how.record.duration if fits else 0.0)

    def _constants(self) -> tuple:
        """What a step depends on besides observations: a change holds for what is sent at another time than arrives."""
        own = self.__dict__
        return tuple(own.get(name) for name in ("_step_time", "decay", "amplitude", "target", "tolerance"))

    def _goes_on(self, how: Any, plan: Any) -> bool:
        if how is None or self._numbers != self._constants():
            return False
        if self._plan is None:
            self._plan = plan
        elif not same_delays(self._plan, plan):
            return False
        if self._plan is not plan:
            self._plan = plan
        return self._seen.is_at(how.record, 1) or self._agrees(how.record)

    def _agrees(self, record: RecordTensor) -> bool:
        """Whether what is recorded follows from the history of a synapse before its newest step, by the values."""
        spikes, own = record._data, self.data_._data
        if own.shape[1:] != spikes.shape[1:] or len(own) < len(spikes) or capturing(own):
            return False
        ages = torch.arange(1, len(spikes) + 1, device=own.device)
        states = own.index_select(0, (self.data_._pointer_tensor - ages).remainder(len(own)))
        sent = spikes.index_select(0, (record._pointer_tensor - ages).remainder(len(spikes)))
        made = self.fold(sent[1:], states[1:])
        return bool(((made == states[:-1]) | (made.isnan() & states[:-1].isnan())).all())

    def _spread(self) -> None:
        """From now on, there is a value for each sample and weight."""
        states = None if self._initial else self._arrived()
        record = self.data_
        record.deinitialize(False)
        self._of_sent, self._plan = False, None
        record.duration = self._duration
        if states is None:
            return
        record.initialize(states.shape[1:], device=states.device, fill=self._fill)
        for state in states:
            record.push(state)

    def _records_next(self, how: Any, plan: Any) -> bool:
        """Whether the next observation is recorded as it was sent, and what has been recorded stays as it is."""
        return self._of_sent and not self._initial and self._goes_on(how, plan)

    def _retime(self, attribute: str, value: float) -> None:
        if self._of_sent:
            self._spread()
        super()._retime(attribute, value)

    def forward(self, *inputs: Tensor, **kwargs: Any) -> None:
        """Take in an observation like ``synspike``."""
        if self._of_sent:
            self._spread()
        super().forward(*inputs, **kwargs)

    def clear(self, keepshape: bool = False, **kwargs: Any) -> None:
        """Forget all observations; as for every reducer that folds."""
        super().clear(keepshape, **kwargs)
        if self._of_sent and not keepshape:
            self._of_sent, self.data_.duration = False, self._duration

    # -- what is read -------------------------------------------------------------------------------------------------

    def sent(self, back: int = 0) -> Sent | None:
        """What was recorded ``back`` steps before the last; None if it is not what was sent."""
        return self._own(back)

    def _own(self, back: int = 0) -> Sent | None:
        connection = self._watched()
        if not self._of_sent or self._initial or connection is None:
            return None
        ring, pointer = self.data_._data, self.data_._pointer_tensor
        if back:
            pointer = (pointer - back).remainder(len(ring))
        return Sent(connection, ring, pointer, self._fitted(len(ring)))

    def _fitted(self, slots: int) -> Any:
        """The plan for a ring that is longer than the history of the synapse."""
        plan = self._known_plan()
        if plan.slots == slots:
            return plan
        if self._longer is None or self._longer[0] is not plan or self._longer[1].slots != slots:
            late = plan.slot == plan.slots
            self._longer = plan, replace(plan, slots=slots, slot=plan.slot.masked_fill(late, slots))
        return self._longer[1]

    def _known_plan(self) -> Any:
        if self._plan is None:
            connection = self._watched()
            self._plan = plan_of(connection, history_of(connection))
        if self._plan.slot.device != self.data_._data.device:
            self._plan = replace(self._plan, slot=self._plan.slot.to(self.data_._data.device))
        return self._plan

    def _arrived(self) -> Tensor:
        """The states that arrived in the steps that are kept, the newest last."""
        count = len(self.data_._data) - self._known_plan().slots + 1
        return torch.stack([self._own(back).gathered(self._fill) for back in reversed(range(count))])

    def peek(self, **kwargs: Any) -> Tensor | None:
        """The present state; None before the first observation."""
        sent = self._own()
        return super().peek(**kwargs) if sent is None else sent.gathered(self._fill)

    def dump(self, **kwargs: Any) -> Tensor | None:
        """All states that are kept, the newest first; None before the first observation."""
        return super().dump(**kwargs) if self._own() is None else self._arrived().flip(0)

    def view(self, time: float | Tensor, tolerance: float = 1e-7) -> Tensor | None:
        """The state at times in the past; as for every reducer that folds."""
        if self._own() is None:
            return super().view(time, tolerance)
        states, holder = self._arrived(), Module()
        RecordTensor.create(holder, "data_", self._step_time, self._duration, states[0], inclusive=self._inclusive)
        holder.data_.push_sequence(states)
        return holder.data_.select(time, tolerance=tolerance, **self._interpolation())

    # -- files --------------------------------------------------------------------------------------------------------

    def _is_ring(self, saved: Tensor) -> bool:
        """Whether a saved record is of what was sent: longer, for the delays, and shaped like the synapse."""
        connection = self._watched()
        shape = None if connection is None else tuple(connection._modules["synapse_"].shape)
        usual = _lookup.slots(self._duration, self._step_time, self._inclusive)
        return len(saved) > usual and tuple(saved.shape[2:]) == shape

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any) -> None:
        saved = state_dict.get(prefix + self.data_.attributes.data)
        if isinstance(saved, Tensor) and saved.ndim > 1:
            of_sent = self._is_ring(saved)
            if of_sent != self._of_sent or (of_sent and self.data_.recordsz != len(saved)):
                self.data_.deinitialize(False)
                self.data_.duration = (len(saved) - 1) * self._step_time if of_sent else self._duration
            self._of_sent, self._plan, self._seen = of_sent, None, _Seen()
            self._numbers = self._constants()
        super()._load_from_state_dict(state_dict, prefix, *args)


def _only_newest(record: RecordTensor) -> bool:
    """Whether a history of spikes has none but in its newest step. Waits for the device."""
    data = record._data
    if capturing(data):
        return False
    newest = (record._pointer_tensor.item() - 1) % len(data)
    return not bool(data[:newest].any()) and not bool(data[newest + 1 :].any())


class ArrivingCumulative(Arriving, CumulativeTraceReducer):
    """A cumulative trace of arriving spikes."""


class ArrivingNearest(Arriving, NearestTraceReducer):
    """A trace of the last arriving spike."""


class _ArrivingFold(Arriving):
    def _record_sent(self, spikes: Tensor) -> None:
        if self._initial:
            super()._record_sent(spikes)
        else:
            self._follow(spikes)
            self.push(self.fold(spikes, self.data_._newest()))


class ArrivingEvents(_ArrivingFold, EventReducer):
    """The time since the last arriving spike, in ms."""


class ArrivingSpikes(_ArrivingFold, PassthroughReducer):
    """Arriving spikes."""

    def _record_sent(self, spikes: Tensor) -> None:
        # a cast and a push in one call where the kernel takes them
        record = self.data_
        plain = not (self._initial or record._held or record._data.requires_grad) and spikes.dtype == torch.bool
        how = (record._data, record._pointer_tensor, spikes, None, "instant", 0.0, 1.0, None, None, None)
        if not (plain and self._placed and trace_push_plain(*how)):
            super()._record_sent(spikes)

    def sent(self, back: int = 0) -> Sent | None:
        """What was recorded; from the history of the synapse, which takes less to read, where it is still the same."""
        found = super().sent(back)
        if found is None or back:
            return found
        record = found.connection._modules["synapse_"].spike_
        if not self._seen.is_at(record, 0):
            return found
        return Sent(found.connection, record._data, record._pointer_tensor, self._known_plan())


class Passing(NamedTuple):
    """Spikes as a synapse sends them, which reducers record in every step, as long as the delays stay the same.

    Attributes:
        connection: whose delays these are.
        how: how its synapse looks up spikes.
        plans: where plans of the delays are kept.
        plan: of the delays.
        reducers: record what is sent.
    """

    connection: Connection
    how: DelayedCurrent
    plans: PlanCache
    plan: DelayPlan
    reducers: list[Arriving]

    @classmethod
    def of(cls, connection: Connection, reducers: list[Arriving]) -> Passing | None:
        """What reducers are to record next of a connection; None unless all of them record what is sent."""
        how = history_of(connection)
        if how is None:
            return None
        plans = plans_of(connection, how)
        plan = plans.get(connection._held("delay_"), how)
        shape = how.record._data.shape[1:]
        for reducer in reducers:
            if reducer._watched() is not connection or not reducer._records_next(how, plan):
                return None
            if reducer.data_._data.shape[1:] != shape:
                return None
        return cls(connection, how, plans, plan, reducers)

    def newest(self) -> Tensor | None:
        """What was sent in a step, if it is one more with these delays; None if that has to be found out anew."""
        record = self.how.record
        if not self.plans.still_has(self.plan, self.connection._parameters["delay_"]):
            return None
        if not all(reducer._seen.is_at(record, 1) for reducer in self.reducers):
            return None
        return record._newest()

    def note(self) -> None:
        """To be called after the reducers have recorded it."""
        for reducer in self.reducers:
            reducer._seen.note(self.how.record)

    def facts(self) -> list[tuple[dict[str, Any], str, Any]]:
        """What it depends on, besides the attributes of connection, synapse and reducers."""
        connection, record = self.connection, self.how.record
        synapse, names = connection._modules["synapse_"], record.attributes
        same = [(connection._modules, "synapse_", synapse)]
        same += [(connection._parameters, "delay_", connection._parameters["delay_"])]
        same += [(synapse._buffers, names.data, record._data), (synapse._extras, names.pointer, record._pointer_tensor)]
        for reducer in self.reducers:
            same += [(reducer.__dict__, "_of_sent", True), (reducer.__dict__, "_plan", reducer._plan)]
        return same


KINDS = {
    CumulativeTraceReducer: ArrivingCumulative,
    NearestTraceReducer: ArrivingNearest,
    EventReducer: ArrivingEvents,
    PassthroughReducer: ArrivingSpikes,
}
