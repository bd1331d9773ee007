"""What `import fearlib` offers, and where each name is."""

from fearlib.benchmark.nasbench301 import log_times as log_times
from fearlib.benchmark.truth import benchmark_accuracy as benchmark_accuracy
from fearlib.benchmark.truth import export_truth as export_truth
from fearlib.data.dataset import Dataset as Dataset
from fearlib.data.registry import DATASETS as DATASETS
from fearlib.data.registry import load_dataset as load_dataset
from fearlib.errors import InputError as InputError
from fearlib.ranking.bootstrap import bootstrap_interval as bootstrap_interval
from fearlib.ranking.statistics import average_cost as average_cost
from fearlib.ranking.statistics import common as common
from fearlib.ranking.statistics import kendall as kendall
from fearlib.ranking.statistics import nearest_pareto as nearest_pareto
from fearlib.ranking.statistics import pareto_front as pareto_front
from fearlib.ranking.statistics import spearman as spearman
from fearlib.ranking.statistics import top_indices as top_indices
from fearlib.ranking.statistics import top_spearman as top_spearman
from fearlib.ranking.tables import ranking_table as ranking_table
from fearlib.scores.measures import zero_cost as zero_cost
from fearlib.scores.registry import MEASURES as MEASURES
from fearlib.scores.trained import Score as Score
from fearlib.scores.trained import fear as fear
from fearlib.scores.trained import full as full
from fearlib.scores.trained import shortreg as shortreg
from fearlib.spaces.darts import Genotype as Genotype
from fearlib.spaces.darts import sample_genotypes as sample_genotypes
from fearlib.spaces.darts_network import build_darts_network as build_darts_network
from fearlib.spaces.drawing import draw_cell as draw_cell
from fearlib.spaces.nats import OPERATIONS as OPERATIONS
from fearlib.spaces.nats import SPACE_SIZE as SPACE_SIZE
from fearlib.spaces.nats import Architecture as Architecture
from fearlib.spaces.nats import sample_architectures as sample_architectures
from fearlib.spaces.nats_network import build_network as build_network
from fearlib.spaces.network import Network as Network
from fearlib.sweeps.methods import METHODS as METHODS
from fearlib.sweeps.presets import PRESETS as PRESETS
from fearlib.sweeps.presets import Settings as Settings
from fearlib.sweeps.presets import preset as preset
from fearlib.sweeps.rows import read_rows as read_rows
from fearlib.sweeps.run import run_sweep as run_sweep
from fearlib.training.loop import Epoch as Epoch
from fearlib.training.loop import train as train

__version__: str
