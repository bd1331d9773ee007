"""The explorer. In: results folders. Out: figures, statistics and widgets to look into them.

Imports ranking and the rooms below it.
"""

from fearlib.explorer.axes import beside, same_methods, with_combination
from fearlib.explorer.folders import folder_to_open, newest_first
from fearlib.explorer.scores import TRUTH, agreement, axes_of, filter_rows, first_axes, ranks_of, scores_of
from fearlib.explorer.views import agreement_text, draw_curve, draw_scatter, scatter_figure, static_view
from fearlib.explorer.widgets import Explorer, explore

__all__ = [
    "TRUTH", "Explorer", "agreement", "agreement_text", "axes_of", "beside", "draw_curve", "draw_scatter",
    "explore", "filter_rows", "first_axes", "folder_to_open", "newest_first", "ranks_of", "same_methods",
    "scatter_figure", "scores_of", "static_view", "with_combination",
]  # fmt: skip
