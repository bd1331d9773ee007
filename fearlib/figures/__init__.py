"""Figures. In: rows and tables of the ranking. Out: matplotlib figures, for print and for colour-blind readers.

Imports ranking and the rooms below it.
"""

from fearlib.figures.ablation import ablation
from fearlib.figures.cells import best_and_worst_cells
from fearlib.figures.combinations import combinations_cost, value_of_budgets
from fearlib.figures.cost import cost_against_spearman, search_cost
from fearlib.figures.degradation import degradation
from fearlib.figures.frame import save_figure
from fearlib.figures.funnel import funnel
from fearlib.figures.late_bloomers import late_bloomers
from fearlib.figures.pareto import pareto
from fearlib.figures.scatter import scatter
from fearlib.figures.top_percent import top_percent

__all__ = [
    "ablation", "best_and_worst_cells", "combinations_cost", "cost_against_spearman", "degradation",
    "funnel", "late_bloomers", "pareto", "save_figure", "scatter", "search_cost", "top_percent",
    "value_of_budgets",
]  # fmt: skip
