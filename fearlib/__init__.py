"""Reproducible ranking of neural architectures: FEAR, short training and zero-cost measures."""

from fearlib.benchmark.nasbench301 import log_times
from fearlib.benchmark.truth import benchmark_accuracy, export_truth
from fearlib.data.dataset import Dataset
from fearlib.data.registry import DATASETS, load_dataset
from fearlib.errors import InputError
from fearlib.ranking.statistics import (
    average_cost,
    bootstrap_interval,
    common,
    kendall,
    nearest_pareto,
    pareto_front,
    spearman,
    top_indices,
    top_spearman,
)
from fearlib.ranking.tables import ranking_table
from fearlib.scores.measures import MEASURES, zero_cost
from fearlib.scores.trained import Score, fear, full, shortreg
from fearlib.spaces.darts import Genotype, sample_genotypes
from fearlib.spaces.darts_network import build_darts_network
from fearlib.spaces.drawing import draw_cell
from fearlib.spaces.nats import OPERATIONS, SPACE_SIZE, Architecture, sample_architectures
from fearlib.spaces.nats_network import build_network
from fearlib.spaces.network import Network
from fearlib.sweeps.methods import METHODS
from fearlib.sweeps.presets import PRESETS, Settings, preset
from fearlib.sweeps.rows import read_rows
from fearlib.sweeps.run import run_sweep
from fearlib.training.loop import Epoch, train

__version__ = "0.2.0"

__all__ = [
    "Architecture", "DATASETS", "Dataset", "Epoch", "Genotype", "InputError", "MEASURES", "METHODS",
    "Network", "OPERATIONS", "PRESETS", "SPACE_SIZE", "Score", "Settings", "average_cost",
    "benchmark_accuracy", "bootstrap_interval", "build_darts_network", "build_network", "common",
    "draw_cell", "export_truth", "fear", "full", "kendall", "load_dataset", "log_times", "nearest_pareto",
    "pareto_front",
    "preset", "ranking_table", "read_rows", "run_sweep", "sample_architectures", "sample_genotypes", "shortreg",
    "spearman", "top_indices", "top_spearman", "train", "zero_cost",
]  # fmt: skip
