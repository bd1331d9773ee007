"""Reproducible ranking of neural architectures: FEAR, short training and zero-cost measures."""

from fearlib.architecture import OPERATIONS, SPACE_SIZE, Architecture, sample_architectures
from fearlib.cell_drawing import draw_cell
from fearlib.darts import Genotype, sample_genotypes
from fearlib.darts_network import build_darts_network
from fearlib.data import DATASETS, Dataset, load_dataset
from fearlib.errors import InputError
from fearlib.measures import MEASURES, zero_cost
from fearlib.methods import METHODS
from fearlib.nasbench301 import log_times
from fearlib.network import Network, build_network
from fearlib.presets import PRESETS, Settings, preset
from fearlib.ranking import (
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
from fearlib.score import Score, fear, full, shortreg
from fearlib.sweep import run_sweep
from fearlib.tables import ranking_table, read_rows
from fearlib.training import Epoch, train
from fearlib.truth import benchmark_accuracy, export_truth

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
