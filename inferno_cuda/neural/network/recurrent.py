"""A group of neurons, and a second one that feeds back into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from ...ops import Program
from ...state._handle import normal
from .._coverage import Advanced, Chunk, Wanted, stands_for
from ..base import Connection, Neuron, Synapse
from ..modeling import Updater
from ._fixed import FixedLayer
from ._loop import Loop, as_spikes, has_graph, like_spikes, prepare, unseen
from ._loop_graph import run_recorded
from ._sequence import Members, run_apart
from ._transform import Split, Transform, arguments, through
from .cell import Cell


class RecurrentSerial(FixedLayer):
    """One connection into neurons, whose spikes drive further neurons, whose spikes come back in the next step.

    One step: the feed-forward neurons get the sum of the feed-forward connection, driven by the inputs, and of the
    feedback connection, driven by ``feedback_spikes``. Their spikes drive the lateral connection, and that the
    feedback neurons, whose spikes become the next ``feedback_spikes``. The loop takes one step.

    Args:
        feedfwd_connection: from the inputs to the feed-forward neurons.
        lateral_connection: from the feed-forward neurons to the feedback neurons.
        feedback_connection: from the feedback neurons to the feed-forward neurons.
        feedfwd_neuron: feed-forward neurons.
        feedback_neuron: feedback neurons.
        feedfwd_out_transform, lateral_out_transform, feedback_out_transform: of the output of a connection.
        lateral_in_transform, feedback_in_transform: of the spikes that go into a connection; must return a tuple, its
            positional arguments.
        feedfwd_connection_name, lateral_connection_name, feedback_connection_name: names in the layer.
        feedfwd_neuron_name, feedback_neuron_name: names in the layer.
        trainable_feedback: whether the lateral and the feedback connection have cells too.

    Attributes:
        feedback_spikes: buffer, last spikes of the feedback neurons, ``(B, *shape)``; None before the first step.

    Raises:
        TypeError: if a name is not a string, or a part is no connection or no neurons.
        ValueError: if a name is not an identifier.
        RuntimeError: if a name is used twice, or the output of a connection with a cell has another shape than the
            neurons.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import LIF, DeltaCurrent, LinearDense, LinearDirect, LinearLateral, RecurrentSerial
        >>> synapse = DeltaCurrent.partialconstructor(spike_charge=400.0)
        >>> lif = dict(rest_v=-65.0, reset_v=-65.0, thresh_v=-50.0, refrac_t=2.0, time_constant=20.0)
        >>> layer = RecurrentSerial(
        ...     LinearDense(10, 4, 1.0, synapse=synapse),
        ...     LinearDirect(4, 1.0, synapse=synapse, weight_init=torch.ones_like),
        ...     LinearLateral(4, 1.0, synapse=synapse, weight_init=lambda weight: -weight),  # inhibits the others
        ...     LIF(4, 1.0, **lif),
        ...     LIF(4, 1.0, **lif),
        ... )
        >>> layer(torch.ones(1, 10, dtype=torch.bool))
        (tensor([[True, True, True, True]]), tensor([[True, True, True, True]]))
        >>> layer.feedback_spikes
        tensor([[True, True, True, True]])
    """

    def __init__(
        self,
        feedfwd_connection: Connection,
        lateral_connection: Connection,
        feedback_connection: Connection,
        feedfwd_neuron: Neuron,
        feedback_neuron: Neuron,
        *,
        feedfwd_out_transform: Transform | None = None,
        lateral_out_transform: Transform | None = None,
        feedback_out_transform: Transform | None = None,
        lateral_in_transform: Split | None = None,
        feedback_in_transform: Split | None = None,
        feedfwd_connection_name: str = "feedfwd",
        lateral_connection_name: str = "lateral",
        feedback_connection_name: str = "feedback",
        feedfwd_neuron_name: str = "feedfwd",
        feedback_neuron_name: str = "feedback",
        trainable_feedback: bool = False,
    ) -> None:
        cells = [
            (feedfwd_connection_name, feedfwd_neuron_name),
            (lateral_connection_name, feedback_neuron_name),
            (feedback_connection_name, feedfwd_neuron_name),
        ]
        FixedLayer.__init__(
            self,
            [
                (feedfwd_connection_name, feedfwd_connection),
                (lateral_connection_name, lateral_connection),
                (feedback_connection_name, feedback_connection),
            ],
            [(feedfwd_neuron_name, feedfwd_neuron), (feedback_neuron_name, feedback_neuron)],
            cells if trainable_feedback else cells[:1],
        )
        self.__feedfwd = feedfwd_connection_name
        self.__lateral = lateral_connection_name
        self.__feedback = feedback_connection_name
        self.__feedfwd_neuron = feedfwd_neuron_name
        self.__feedback_neuron = feedback_neuron_name
        self._feedfwd_out_transform = feedfwd_out_transform
        self._lateral_out_transform = lateral_out_transform
        self._feedback_out_transform = feedback_out_transform
        self._lateral_in_transform = lateral_in_transform
        self._feedback_in_transform = feedback_in_transform
        self._feedback_captured = False
        self.register_buffer("feedback_spikes", None)

    @property
    def feedfwd_connection(self) -> Connection:
        """The feed-forward connection."""
        return self.connections_[self.__feedfwd]

    @property
    def feedfwd_synapse(self) -> Synapse:
        """The synapse of the feed-forward connection."""
        return self.feedfwd_connection.synapse

    @property
    def feedfwd_updater(self) -> Updater | None:
        """The updater of the feed-forward connection, or None."""
        return self.feedfwd_connection.updater

    @property
    def feedfwd_cell(self) -> Cell:
        """The cell of the feed-forward connection."""
        return self._cell(self.__feedfwd, self.__feedfwd_neuron)

    @property
    def lateral_connection(self) -> Connection:
        """The lateral connection."""
        return self.connections_[self.__lateral]

    @property
    def lateral_synapse(self) -> Synapse:
        """The synapse of the lateral connection."""
        return self.lateral_connection.synapse

    @property
    def lateral_updater(self) -> Updater | None:
        """The updater of the lateral connection, or None."""
        return self.lateral_connection.updater

    @property
    def lateral_cell(self) -> Cell | None:
        """The cell of the lateral connection, or None without ``trainable_feedback``."""
        return self._cell(self.__lateral, self.__feedback_neuron)

    @property
    def feedback_connection(self) -> Connection:
        """The feedback connection."""
        return self.connections_[self.__feedback]

    @property
    def feedback_synapse(self) -> Synapse:
        """The synapse of the feedback connection."""
        return self.feedback_connection.synapse

    @property
    def feedback_updater(self) -> Updater | None:
        """The updater of the feedback connection, or None."""
        return self.feedback_connection.updater

    @property
    def feedback_cell(self) -> Cell | None:
        """The cell of the feedback connection, or None without ``trainable_feedback``."""
        return self._cell(self.__feedback, self.__feedfwd_neuron)

    @property
    def feedfwd_neuron(self) -> Neuron:
        """The feed-forward neurons."""
        return self.neurons_[self.__feedfwd_neuron]

    @property
    def feedback_neuron(self) -> Neuron:
        """The feedback neurons."""
        return self.neurons_[self.__feedback_neuron]

    def _cell(self, connection: str, neuron: str) -> Cell | None:
        return self.cells_[connection][neuron] if connection in self.cells_ else None

    def clear(self, clear_feedback: bool = True, submodules: bool = True, **kwargs: Any) -> None:
        """Puts the layer back to rest.

        Args:
            clear_feedback: whether to forget the spikes that were to come back.
            submodules: whether to clear connections and neurons.
            **kwargs: passed to them.
        """
        if clear_feedback and self._feedback_captured and self.feedback_spikes is not None:
            self.feedback_spikes.zero_()
        elif clear_feedback:
            self.feedback_spikes = None
        super().clear(submodules=submodules, **kwargs)

    def wiring(self, inputs: dict[str, torch.Tensor], forward_pass: bool, **kwargs: Any) -> dict[str, torch.Tensor]:
        """Computes the input of one group of neurons; called twice in a step.

        Args:
            inputs: outputs by name: of the feed-forward and the feedback connection, or of the lateral one.
            forward_pass: whether the feed-forward neurons are to run.
            **kwargs: keyword arguments of the step, not used.

        Returns:
            input by name, of the feed-forward neurons or of the feedback neurons.
        """
        if not forward_pass:
            lateral = through(self._lateral_out_transform, inputs[self.__lateral])
            return {self.__feedback_neuron: lateral}
        feedfwd = through(self._feedfwd_out_transform, inputs[self.__feedfwd])
        feedback = through(self._feedback_out_transform, inputs[self.__feedback])
        return {self.__feedfwd_neuron: feedfwd + feedback}

    def forward(
        self,
        *inputs: torch.Tensor,
        lateral_connection_args: Sequence[torch.Tensor] | None = None,
        feedback_connection_args: Sequence[torch.Tensor] | None = None,
        feedfwd_connection_kwargs: Mapping[str, Any] | None = None,
        lateral_connection_kwargs: Mapping[str, Any] | None = None,
        feedback_connection_kwargs: Mapping[str, Any] | None = None,
        feedfwd_neuron_kwargs: Mapping[str, Any] | None = None,
        feedback_neuron_kwargs: Mapping[str, Any] | None = None,
        capture_intermediate: bool = False,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor] | tuple[tuple[torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]:
        """Simulates one step.

        Args:
            *inputs: inputs of the feed-forward connection, ``(B, *inshape)``.
            lateral_connection_args, feedback_connection_args: inputs of a connection after the spikes.
            feedfwd_connection_kwargs, lateral_connection_kwargs, feedback_connection_kwargs: keyword arguments of a
                connection.
            feedfwd_neuron_kwargs, feedback_neuron_kwargs: keyword arguments of neurons.
            capture_intermediate: whether to return the outputs of the connections too.
            **kwargs: handed to :meth:`wiring`.

        Returns:
            the spikes of this step of the feed-forward and of the feedback neurons, each ``(B, *shape)``, bool; and
            the outputs by name of the connections, before the transforms, if ``capture_intermediate``.

        Raises:
            TypeError: if an in-transform does not return a tuple.
            RuntimeError: if the first step is captured in a CUDA graph, whose replays would all start without feedback.
        """
        names = (self.__feedfwd, self.__feedback, self.__lateral)
        feedfwd_c, feedback_c, lateral_c = (self._member("connections_", name) for name in names)
        feedfwd_n = self._member("neurons_", self.__feedfwd_neuron)
        feedback_n = self._member("neurons_", self.__feedback_neuron)
        returned = arguments("feedback_in_transform", self._feedback_in_transform, self._last_feedback(feedback_n))

        currents = {names[0]: feedfwd_c(*inputs, **feedfwd_connection_kwargs or {})}
        currents[names[1]] = feedback_c(
            *returned, *(feedback_connection_args or ()), **feedback_connection_kwargs or {}
        )
        wired = self.wiring(currents, forward_pass=True, **kwargs)[self.__feedfwd_neuron]
        feedfwd = feedfwd_n(wired, **feedfwd_neuron_kwargs or {})

        onward = arguments("lateral_in_transform", self._lateral_in_transform, feedfwd)
        lateral = lateral_c(*onward, *(lateral_connection_args or ()), **lateral_connection_kwargs or {})
        wired = self.wiring({names[2]: lateral}, forward_pass=False, **kwargs)[self.__feedback_neuron]
        feedback = feedback_n(wired, **feedback_neuron_kwargs or {})

        self._keep_feedback(feedback)
        if not capture_intermediate:
            return feedfwd, feedback
        return (feedfwd, feedback), {**currents, names[2]: lateral}

    def _wires_apart(self) -> bool:
        outs = (self._feedfwd_out_transform, self._lateral_out_transform, self._feedback_out_transform)
        return not any(f is not None for f in (*outs, self._lateral_in_transform, self._feedback_in_transform))

    def _runs_apart(self) -> bool:
        own = all(stands_for(self, "_runs_apart", step) for step in ("forward", "wiring"))
        return own and self._wires_apart() and run_apart(self, self._parts(), ())

    def _advance(self, chunk: Chunk, kwargs: Mapping[str, Any], wanted: tuple[Wanted, ...]) -> Advanced | None:
        known = set(kwargs) <= {"feedfwd_neuron_kwargs", "feedback_neuron_kwargs"}
        spikes = all(one.attribute == "spike" for one in wanted)
        own = all(stands_for(self, "_advance", step) for step in ("forward", "wiring"))
        if not (known and spikes and own and self._wires_apart() and unseen(self, self._parts(), chunk)):
            return None
        return self._advance_loop(chunk, wanted, **kwargs)

    def _advance_loop(
        self,
        chunk: Chunk,
        wanted: tuple[Wanted, ...],
        feedfwd_neuron_kwargs: Mapping[str, Any] | None = None,
        feedback_neuron_kwargs: Mapping[str, Any] | None = None,
    ) -> Advanced | None:
        neurons = self.feedfwd_neuron, self.feedback_neuron
        if any(one.part not in neurons for one in wanted):
            return None
        connections = self.feedfwd_connection, self.lateral_connection, self.feedback_connection
        loop = Loop(*connections, *neurons, feedfwd_neuron_kwargs or {}, feedback_neuron_kwargs or {})
        last = self._last_feedback(neurons[1])
        outputs = run_recorded(self, loop, chunk, last) if has_graph(self, chunk) else self._run_loop(loop, chunk, last)
        if outputs is None:
            return None
        self._keep_feedback(outputs[1][-1])
        fired = dict(zip(neurons, outputs, strict=True))
        return Advanced(outputs, {one: fired[one.part].detach() != 0 for one in wanted})

    @staticmethod
    def _run_loop(loop: Loop, chunk: Chunk, last: torch.Tensor) -> tuple[torch.Tensor, ...] | None:
        returned, program = as_spikes(last), Program()
        ran = None if returned is None else prepare(loop, program, chunk.arguments, chunk.steps, returned)
        if ran is None:
            return None
        if ran.currents is not None:
            ran.currents.copy_(Members(chunk, ()).through(loop.feedfwd, chunk.arguments, None))
        program.run(chunk.steps)
        neurons = loop.feedfwd_neuron, loop.feedback_neuron
        fired = zip((ran.feedfwd, ran.feedback[1:]), neurons, strict=True)
        return tuple(like_spikes(spikes, neuron) for spikes, neuron in fired)

    def _last_feedback(self, neuron: Neuron) -> torch.Tensor:
        spikes = self._buffers["feedback_spikes"]
        # neurons clear themselves when the batch size changes, so their last spikes are gone too
        if spikes is not None and spikes.shape[0] == neuron.batchsz:
            return spikes
        spikes = torch.zeros_like(neuron.spike)
        if spikes.is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError("there are no 'feedback_spikes' yet, run a step before one is captured in a CUDA graph")
        return spikes

    def _keep_feedback(self, spikes: torch.Tensor) -> None:
        held = self._buffers["feedback_spikes"]
        if spikes.is_cuda and torch.cuda.is_current_stream_capturing():
            self.__dict__["_feedback_captured"] = True
        if self._feedback_captured and held is not None and held.shape == spikes.shape:
            # where the replays read it
            held.copy_(spikes)
        else:
            # the caller may write to what the step returns
            self._buffers["feedback_spikes"] = normal(spikes.clone())

    def _state_buffers(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from super()._state_buffers()
        if self._buffers.get("feedback_spikes") is not None:
            yield "feedback_spikes", self._buffers["feedback_spikes"]

    def _run_time_buffers(self) -> Iterator[str]:
        yield from super()._run_time_buffers()
        yield "feedback_spikes"

    def _batched_buffers(self) -> dict[str, int]:
        return {"feedback_spikes": 0}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        # it is saved only once there is some, so what was saved decides whether there is to be some
        if prefix + "feedback_spikes" in state_dict:
            held, like = self.feedback_spikes, self.feedback_neuron.spike
            if held is None or held.shape != like.shape:
                self.feedback_spikes = normal(torch.zeros_like(like))
        elif prefix + "_extra_state" in state_dict:
            self.clear(submodules=False)
        super()._load_from_state_dict(state_dict, prefix, *args)
