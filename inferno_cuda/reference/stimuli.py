"""Random input of large sparse networks. Four neighbouring neurons share the words of one counter."""

import torch

from .words import normal_quantile, philox


def words(seed, stream, moment, first, last, neurons, trials, device="cpu"):
    """A 32-bit word for each trial and neuron first..last-1: int64 ``[trials, last - first]``.

    Args:
        moment: number of the step, or of the interval.
        neurons: of the whole network, by which counters of different moments keep apart.
    """
    neuron = torch.arange(first, last, device=device)
    index = moment * ((neurons + 3) // 4) + neuron // 4
    trial = torch.arange(trials, device=device)[:, None]
    four = torch.stack(philox(seed, stream, index.expand(trials, -1), trial), -1)
    return four.gather(-1, (neuron % 4).expand(trials, -1)[..., None])[..., 0]


def noise_of(words, mean, std):
    """Normally distributed, in float64."""
    return mean + std * normal_quantile((words.double() + 0.5) * 2.0**-32)
