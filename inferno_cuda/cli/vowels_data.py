"""The spoken vowels: how they are read, and how they become spikes.

Nine Japanese speakers say /ae/; the recordings are 12 coefficients of the spectrum's envelope (LPC cepstrum) every
6.4 ms, 7 to 29 of them; who speaks is to be told (Kudo, Toyama and Shimbo, Pattern Recognition Letters 20, 1103-1111,
1999; the UCI archive's "Japanese Vowels"). The package aeon brings the files along; nothing of it is imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NamedTuple

import numpy
import torch

from . import common

DT = 1.6  # ms
STEPS_PER_FRAME = 4  # frames are 6.4 ms apart
FRAMES = 29  # of the longest utterance
SPEAKERS = 9
LEVELS = 4  # of each coefficient that a crossing of makes a spike
STEPS = FRAMES * STEPS_PER_FRAME
_FILES = "datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"


class Utterances(NamedTuple):
    """Recordings and who speaks in them.

    Attributes:
        frames: the coefficients of each, ``[frames, 12]``.
        speakers: numbers from 0 to 8, ``[N]``.
    """

    frames: list[numpy.ndarray]
    speakers: torch.Tensor


class Spikes(NamedTuple):
    """Utterances as spikes.

    Attributes:
        trains: ``[STEPS, N, inputs]``, bool.
        speakers: ``[N]``.
    """

    trains: torch.Tensor
    speakers: torch.Tensor


def folder() -> Path:
    """Where aeon is installed.

    Raises:
        Failure: it is not.
    """
    found = importlib.util.find_spec("aeon")
    if found is None or not found.submodule_search_locations:
        raise common.Failure("the vowels are in the package aeon: pip install --no-deps aeon")
    return Path(next(iter(found.submodule_search_locations)))


def read(part: str) -> Utterances:
    """The utterances for training (``"TRAIN"``, 270) or the others (``"TEST"``, 370).

    Raises:
        Failure: aeon is not installed, or its file is not there.
    """
    path = folder() / _FILES.format(part)
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise common.Failure(f"aeon is there, but its vowels are not: {error}") from error
    data = next(number for number, line in enumerate(lines) if line.lower().startswith("@data")) + 1
    frames, speakers = [], []
    for line in lines[data:]:
        if line.strip():
            *channels, speaker = line.split(":")
            frames.append(numpy.array([channel.split(",") for channel in channels], dtype=float).T)
            speakers.append(int(speaker) - 1)
    return Utterances(frames, torch.tensor(speakers))


def scale(utterances: Utterances) -> tuple[numpy.ndarray, numpy.ndarray]:
    """The range of each coefficient, ``[12]`` and ``[12]``, without the outermost twentieths."""
    every = numpy.concatenate(utterances.frames)
    return numpy.quantile(every, 0.05, axis=0), numpy.quantile(every, 0.95, axis=0)


def encode(utterances: Utterances, low: numpy.ndarray, high: numpy.ndarray) -> Spikes:
    """A spike wherever a coefficient crosses one of ``LEVELS`` levels, upwards and downwards on inputs of their own.

    Between frames coefficients go in straight lines; an utterance begins from below all levels.
    """
    levels = low + (high - low) * (numpy.arange(LEVELS)[:, None] + 0.5) / LEVELS  # [LEVELS, 12]
    trains = torch.zeros(STEPS, len(utterances.frames), 2 * levels.size, dtype=torch.bool)
    for number, frames in enumerate(utterances.frames):
        at = numpy.arange((len(frames) - 1) * STEPS_PER_FRAME + 1) / STEPS_PER_FRAME
        values = [numpy.interp(at, numpy.arange(len(frames)), channel) for channel in frames.T]
        above = numpy.stack(values, 1)[:, None] >= levels  # [steps, LEVELS, 12]
        before = numpy.concatenate([numpy.zeros_like(above[:1]), above[:-1]])
        crossed = numpy.concatenate([above & ~before, before & ~above], 1).reshape(len(at), -1)
        trains[: len(at), number] = torch.from_numpy(crossed)
    return Spikes(trains, utterances.speakers)


def load() -> tuple[Spikes, Spikes]:
    """The spikes of the utterances for training and of those for the test; ranges are those of the former."""
    training, test = read("TRAIN"), read("TEST")
    low, high = scale(training)
    return encode(training, low, high), encode(test, low, high)
