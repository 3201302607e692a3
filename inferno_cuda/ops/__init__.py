"""The operations that everything else is built from, each on the fastest backend there is for its tensors."""

from .backend import Choice, active_mode, backend, choose, native_on_cpu
from .connectivity import Connectivity, connectivity
from .delay_plan import DelayPlan, delay_plan
from .delayed_run import delayed_conv2d_run, delayed_dense_run, delayed_direct_run
from .delayed_sum import delayed_conv2d, delayed_dense, delayed_direct
from .draw import draw, poisson_table
from .generate import connect, connect_count
from .history import history_gather, history_push, history_push_
from .integrate_fire import Fired, integrate_fire
from .layer_run import Operand, Program
from .learning import (
    eligibility_step_,
    eligibility_sum,
    spike_time_pairs_conv2d,
    spike_time_pairs_dense,
    spike_time_pairs_direct,
)
from .native import status as native_status
from .neuron import neuron_step, neuron_step_
from .neuron_run import NeuronRun, neuron_run
from .neuron_slopes import NeuronSlopes, neuron_slopes
from .plasticity import correlate_conv2d, correlate_dense, correlate_direct
from .rows import Rows, Synapses, partition
from .rows_builder import RowsBuilder, available_memory, rows
from .simulate import Probe, Simulated, SimulationState, simulate
from .sparse_sum import delayed_sparse, delayed_sparse_run, sparse_sum
from .spiking import SPIKING_MODELS, Population, SpikingModel, spiking_population
from .stimuli import NoiseCurrent, PoissonDrive, RandomSpikes
from .synapse import synapse_step_
from .synapse_run import synapse_run
from .trace import trace_push, trace_push_
from .updates import Limit, OuterProduct, apply_updates_

__all__ = [
    "SPIKING_MODELS",
    "Choice",
    "Connectivity",
    "DelayPlan",
    "Fired",
    "Limit",
    "NeuronRun",
    "NeuronSlopes",
    "NoiseCurrent",
    "Operand",
    "OuterProduct",
    "PoissonDrive",
    "Population",
    "Probe",
    "Program",
    "RandomSpikes",
    "Rows",
    "RowsBuilder",
    "Simulated",
    "SimulationState",
    "SpikingModel",
    "Synapses",
    "active_mode",
    "apply_updates_",
    "available_memory",
    "backend",
    "choose",
    "connect",
    "connect_count",
    "connectivity",
    "correlate_conv2d",
    "correlate_dense",
    "correlate_direct",
    "delay_plan",
    "delayed_conv2d",
    "delayed_conv2d_run",
    "delayed_dense",
    "delayed_dense_run",
    "delayed_direct",
    "delayed_direct_run",
    "draw",
    "delayed_sparse",
    "delayed_sparse_run",
    "eligibility_step_",
    "eligibility_sum",
    "history_gather",
    "history_push",
    "history_push_",
    "integrate_fire",
    "native_on_cpu",
    "native_status",
    "neuron_run",
    "neuron_slopes",
    "neuron_step",
    "neuron_step_",
    "partition",
    "poisson_table",
    "rows",
    "simulate",
    "sparse_sum",
    "spike_time_pairs_conv2d",
    "spike_time_pairs_dense",
    "spike_time_pairs_direct",
    "spiking_population",
    "synapse_run",
    "synapse_step_",
    "trace_push",
    "trace_push_",
]
