"""Convolutional connections."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from ... import ops
from ...state import RecordTensor, _check
from ..base import SynapseConstructor
from ._base import Init, WeightedConnection, average
from ._plan import chunks
from ._windows import Windows, pair


class Conv2D(WeightedConnection):
    r"""A kernel moves over an image; every output is connected to the pixels that lie under the kernel.

    .. math::

        y_{fp}(t) = b_f + \sum_k W_{fk} \, I_{k(p)}(t - d_{fk})

    where :math:`k` runs over channels, rows and columns of the kernel and :math:`I_{k(p)}` is the current of the pixel
    that lies under :math:`k` at the place :math:`p`; beyond the border there is none. Weights and delays have the shape
    ``(F, C, kH, kW)``, biases ``(F,)``.

    The synapse has one element a pixel, its shape is ``(C, H, W)``. What learning rules see, and what is saved, has the
    shape of the windows, ``(N, L)`` with ``N = C * kH * kW`` and ``L`` the number of places.

    Args:
        height: number of rows of the image, H.
        width: number of columns of the image, W.
        channels: number of channels of the image, C.
        filters: number of filters, F, which is that of output channels.
        step_time: length of a simulation step :math:`\Delta t`, in ms.
        kernel: size of the kernel. This and the following three are pairs (vertical, horizontal), or one for both.
        stride: distance between places.
        padding: rows and columns without a current that are put around the image, on either side.
        dilation: distance between the taps of the kernel.
        synapse, bias, delay, batch_size, weight_init, bias_init, delay_init: as for
            :class:`~inferno_cuda.neural.LinearDense`.

    Raises:
        ValueError: if a size is not a positive integer, ``padding`` is negative, there are not two entries, or the
            kernel does not fit into the padded image; otherwise as :class:`~inferno_cuda.neural.LinearDense`.
        TypeError: as :class:`~inferno_cuda.neural.LinearDense`.

    Example:
        >>> import torch
        >>> from inferno_cuda.neural import Conv2D, SingleExponentialCurrent
        >>> synapse = SingleExponentialCurrent.partialconstructor(spike_charge=5.0, time_constant=5.0)
        >>> connection = Conv2D(28, 28, 1, 8, 1.0, 5, stride=2, synapse=synapse, delay=10.0, batch_size=4,
        ...                     delay_init=lambda delay: 10 * torch.rand_like(delay))
        >>> connection(torch.rand(4, 1, 28, 28) < 0.1).shape
        torch.Size([4, 8, 12, 12])
        >>> connection.delay.shape, connection.syncurrent.shape  # one delay a tap; windows as learning rules see them
        (torch.Size([8, 1, 5, 5]), torch.Size([4, 25, 144, 8]))
    """

    _fused_op = "delayed_conv2d"

    def __init__(
        self,
        height: int,
        width: int,
        channels: int,
        filters: int,
        step_time: float,
        kernel: int | tuple[int, int],
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        synapse: SynapseConstructor,
        bias: bool = False,
        delay: float | None = None,
        batch_size: int = 1,
        weight_init: Init | None = None,
        bias_init: Init | None = None,
        delay_init: Init | None = None,
    ) -> None:
        names = {"channels": channels, "height": height, "width": width}
        image = tuple(_check.size(name, value) for name, value in names.items())
        filters = _check.size("filters", filters)
        windows = Windows(
            image,
            pair("kernel", kernel, 1),
            pair("stride", stride, 1),
            pair("padding", padding, 0),
            pair("dilation", dilation, 1),
        )
        if min(windows.outsize) < 1:
            raise ValueError(
                f"'kernel' {windows.kernel} with 'dilation' {windows.dilation} does not fit into an image of "
                f"{image[1:]} with 'padding' {windows.padding}"
            )
        WeightedConnection.__init__(
            self,
            image,
            (filters, image[0], *windows.kernel),
            step_time,
            synapse=synapse,
            bias=bias,
            delay=delay,
            batch_size=batch_size,
            weight_init=weight_init,
            bias_init=bias_init,
            delay_init=delay_init,
        )
        self._windows = windows
        self.channels, self.height, self.width = image
        self.filters = filters
        self.kernel, self.stride = windows.kernel, windows.stride
        self.padding, self.dilation = windows.padding, windows.dilation
        self.outheight, self.outwidth = windows.outsize
        self.register_state_dict_post_hook(_unfold_records)

    @property
    def inshape(self) -> tuple[int, ...]:
        """Shape of the input without the batch dimension, ``(C, H, W)``."""
        return self.channels, self.height, self.width

    @property
    def outshape(self) -> tuple[int, ...]:
        """Shape of the output without the batch dimension, ``(F, Ho, Wo)``."""
        return self.filters, self.outheight, self.outwidth

    @property
    def selector(self) -> torch.Tensor:
        """Delays in ms, ``(B, N, L, F)``, an expanded view; zeros for a connection without delays.

        It is arranged like :attr:`syncurrent`. The synapse, which has one element a pixel, takes no such selector.
        """
        places = self.outheight * self.outwidth
        return self._delays().flatten(1).t()[None, :, None, :].expand(self.batchsz, -1, places, -1)

    @property
    def syncurrent(self) -> torch.Tensor:
        """Currents that the connection uses now, in nA, ``(B, N, L)``, or with delays ``(B, N, L, F)``.

        Made anew at every access; 0 beyond the border of the image.
        """
        synapse = self.synapse_
        return self._past(synapse.current_at) if self.delayedby else self._windows.unfold(synapse.current)

    @property
    def synspike(self) -> torch.Tensor:
        """Input spikes that the connection uses now, ``(B, N, L)``, or with delays ``(B, N, L, F)``, bool.

        Made anew at every access; False beyond the border of the image.
        """
        synapse = self.synapse_
        return self._past(synapse.spike_at) if self.delayedby else self._windows.unfold(synapse.spike)

    def _tap_selector(self, tap: tuple[int, int]) -> torch.Tensor:
        """Delays of one place in the kernel for every pixel, ``(B, C, H, W, F)``, an expanded view."""
        delays = self._delays()[..., tap[0], tap[1]].t()
        return delays[None, :, None, None, :].expand(self.batchsz, -1, self.height, self.width, -1)

    def _seen(self, data: torch.Tensor) -> torch.Tensor:
        """What each window sees of data that has the shape of ``synapse``: ``(B, C, H, W)`` to ``(B, N, L)``."""
        return self._windows.unfold(data)

    def _past(self, look_up: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """What every tap sees, ``(B, N, L, F)``; tap by tap, so that little more than the result is needed."""
        batch, places = self.batchsz, self.outheight * self.outwidth
        out = None
        for number, tap in enumerate(self._windows.taps()):
            seen = self._windows.seen(look_up(self._tap_selector(tap)), tap)
            if out is None:
                out = seen.new_empty(batch, self.channels, self.kernel[0] * self.kernel[1], places, self.filters)
            out[:, :, number] = seen.flatten(2, 3)
        return out.flatten(1, 2)

    def like_input(self, data: torch.Tensor) -> torch.Tensor:
        """Brings data like :attr:`syncurrent` to pixels, as the mean over the windows that see them.

        Args:
            data: ``(B, N, L)``; or ``(B, N, L, F)``, which is averaged over the filters first. Bool is true where any
                is.

        Returns:
            ``(B, C, H, W)``; 0 or False for pixels that no window sees.
        """
        return self._windows.average(average(data, 3) if data.ndim == 4 else data)

    def like_bias(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(F, 1, 1, 1)`` to ``(F,)``."""
        return data.reshape(data.shape[0])

    def like_synaptic(self, data: torch.Tensor) -> torch.Tensor:
        """Unfolds ``(B, C, H, W)`` into windows, ``(B, N, L)``."""
        return self._windows.unfold(data)

    def postsyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, F, Ho, Wo)`` to ``(B, F, 1, 1, 1, L)``."""
        return data.reshape(data.shape[0], self.filters, 1, 1, 1, -1)

    def presyn_receptive(self, data: torch.Tensor) -> torch.Tensor:
        """Reshapes ``(B, N, L)`` to ``(B, 1, C, kH, kW, L)``, or ``(B, N, L, F)`` to ``(B, F, C, kH, kW, L)``."""
        data = data.unsqueeze(1) if data.ndim == 3 else data.movedim(3, 1)
        return data.unflatten(2, (self.channels, *self.kernel))

    def _to_synapse(self, data: torch.Tensor) -> torch.Tensor:
        return data

    def _geometry(self) -> dict[str, tuple[int, int]]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def _undelayed(self, current: torch.Tensor) -> torch.Tensor:
        return F.conv2d(current, self.weight_, self.bias, **self._geometry())

    def _delayed(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_conv2d(*args, **kwargs, **self._geometry())

    def _delayed_run(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return ops.delayed_conv2d_run(*args, **kwargs, **self._geometry())

    def _looked_up(self) -> torch.Tensor:
        parts = []
        for some in chunks(self.batchsz * self.channels * self.height * self.width, self.filters):
            total = 0.0
            for tap in self._windows.taps():
                currents = self.synapse_.current_at(self._tap_selector(tap)[..., some])
                seen = self._windows.seen(currents, tap)
                total = total + torch.einsum("bcyxf,fc->bfyx", seen, self.weight_[some, :, tap[0], tap[1]])
            parts.append(total)
        out = torch.cat(parts, 1)
        return out if self.bias is None else out + self.bias.view(-1, 1, 1)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        for key in _record_keys(self, prefix):
            value = state_dict.get(key)
            if isinstance(value, torch.Tensor) and value.shape[2:] == self._unfolded_shape():
                # torch hands down a dictionary of its own, from which the synapse is loaded next
                state_dict[key] = self._windows.fold(value)
                if state_dict[key] is None:
                    error_msgs.append(
                        f"'{key}' has windows that disagree about pixels which they share, or hold values beyond the "
                        "border: no state of this connection unfolds to it"
                    )
                    del state_dict[key]
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _unfolded_shape(self) -> tuple[int, int]:
        return self.channels * self.kernel[0] * self.kernel[1], self.outheight * self.outwidth


def _record_keys(connection: Conv2D, prefix: str) -> Iterator[str]:
    """Where the records of the synapse are in the state_dict."""
    for handle in connection.synapse_._handles():
        if isinstance(handle, RecordTensor):
            yield f"{prefix}synapse_.{handle._data_name}"


def _unfold_records(connection: Conv2D, state: dict[str, Any], prefix: str, local_metadata: dict[str, Any]) -> None:
    """Saves histories in the shape of the windows, ``(slots, B, N, L)``."""
    for key in _record_keys(connection, prefix):
        value = state.get(key)
        if isinstance(value, torch.Tensor) and value.shape[2:] == connection.inshape:
            state[key] = connection._windows.unfold(value)
