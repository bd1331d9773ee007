"""The explorer. In: a results folder. Out: figures, statistics and widgets to look into it.

Imports ranking and the rooms below it.
"""

from fearlib.explorer.scores import TRUTH, agreement, axes_of, filter_rows, first_axes, ranks_of, scores_of
from fearlib.explorer.views import agreement_text, draw_curve, draw_scatter, scatter_figure, static_view
from fearlib.explorer.widgets import Explorer

__all__ = [
    "TRUTH", "Explorer", "agreement", "agreement_text", "axes_of", "draw_curve", "draw_scatter", "filter_rows",
    "first_axes", "ranks_of", "scatter_figure", "scores_of", "static_view",
]  # fmt: skip
