"""An architecture's cell as a graph and as text."""

import numpy as np

from fearlib.errors import InputError, require
from fearlib.spaces import darts, nats
from fearlib.spaces.darts import Genotype
from fearlib.spaces.nats import Architecture

# Colours that colour-blind readers tell apart; in print the line styles and the names do.
_STYLES = {
    "none": ("#999999", 0.8, (0, (1, 3))),
    "skip_connect": ("#4d4d4d", 1.4, (0, (5, 2))),
    "nor_conv_1x1": ("#e69f00", 2.0, "-"),
    "nor_conv_3x3": ("#0072b2", 2.8, "-"),
    "avg_pool_3x3": ("#009e73", 1.8, (0, (4, 1, 1, 1))),
    "max_pool_3x3": ("#56b4e9", 1.8, (0, (4, 1, 1, 1))),
    "sep_conv_3x3": ("#0072b2", 2.0, "-"),
    "sep_conv_5x5": ("#0072b2", 3.0, "-"),
    "dil_conv_3x3": ("#d55e00", 2.0, "-"),
    "dil_conv_5x5": ("#d55e00", 3.0, "-"),
}
_JOIN = ("#bbbbbb", 1.0, "-")
# Where nodes stand, so that no edge runs through a node that it does not end in; where edges must bend for that.
_NATS_PLACES = {"input": (0, 0), "1": (2.2, 1.3), "2": (3.8, -1.3), "output": (6, 0)}
_DARTS_PLACES = {
    "before last": (0, 1), "last": (0, -1), "0": (2, 2.3), "1": (3.6, -2.3), "2": (5.4, 1.2), "3": (7.2, -1),
    "output": (9.2, 0.2),
}  # fmt: skip
_NATS_BENDS = {("input", "output"): 0.75}
_DARTS_BENDS = {("0", "output"): -0.3, ("1", "output"): 0.45}
_NATS_NODES, _DARTS_NODES = tuple(_NATS_PLACES), tuple(_DARTS_PLACES)
_DARTS_WIDTH = 10.6  # of a cell with the space to the next
_RADIUS = 0.36
_LABEL = np.array([1.25, 0.36])  # an operation's name, wide and high
_ALONG = (0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.82)  # where on an edge its name may stand


def has_cell(architecture: object) -> bool:
    """Whether it is of a space whose cells can be drawn; one of the user's own has none."""
    return isinstance(architecture, Architecture | Genotype)


def draw_cell(architecture: Architecture | Genotype, axes=None):
    """Draw the cell of an architecture, or both cells of a genotype side by side, and return matplotlib's axes.

    Nodes are sums of the edges that end in them. In a NATS-Bench cell `none` edges are faint; in a DARTS cell
    "last" and "before last" are the outputs of the two cells before, and grey lines join the nodes that make up
    the output. Without `axes` a figure is made. Raises InputError for anything but an `Architecture` or a
    `Genotype`, ImportError without matplotlib.
    """
    cells = _edges(architecture)
    require("matplotlib", "draw a cell")
    import matplotlib.pyplot as plt

    if axes is None:
        size = (6.4, 4.1) if len(cells) == 1 else (12.4, 4)
        _, axes = plt.subplots(figsize=size, layout="constrained")
    axes.set_aspect("equal")
    axes.set_axis_off()
    if isinstance(architecture, Architecture):
        _draw(axes, cells["cell"], _NATS_PLACES, _NATS_BENDS, fontsize=8.5)
        axes.set(xlim=(-0.5, 6.5), ylim=(-2.6, 1.8))
    else:
        for left, (name, edges) in zip((0, _DARTS_WIDTH), cells.items()):
            places = {node: (x + left, y) for node, (x, y) in _DARTS_PLACES.items()}
            joined = [(node, "output", None) for node in _DARTS_NODES[2:-1]]
            _draw(axes, edges + joined, places, _DARTS_BENDS, fontsize=7.5)
            axes.text(left + 4.6, 2.9, name, ha="center", fontsize=10)
        axes.set(xlim=(-0.5, left + 9.7), ylim=(-3.2, 3.3))
    return axes


def cell_text(architecture: Architecture | Genotype) -> str:
    """A line a node: what is summed there, without `none`; a cell's name above its nodes where there are two."""
    lines = []
    for name, edges in _edges(architecture).items():
        lines += [f"{name}:"] if name != "cell" else []
        for node in dict.fromkeys(target for _, target, _ in edges):
            terms = [f"{op}({source})" for source, target, op in edges if target == node and op != "none"]
            lines.append(f"  {node} = {' + '.join(terms) or '0'}")
        if name != "cell":
            lines.append(f"  output = all of {', '.join(_DARTS_NODES[2:-1])}, side by side")
    return "\n".join(lines)


def _edges(architecture: Architecture | Genotype) -> dict[str, list[tuple[str, str, str]]]:
    """Cells by name, each as (source node, target node, operation)."""
    if isinstance(architecture, Architecture):
        pairs = zip(nats.EDGES, architecture.ops)
        return {"cell": [(_NATS_NODES[source], _NATS_NODES[target], op) for (source, target), op in pairs]}
    if not has_cell(architecture):
        raise InputError(f"{architecture!r:.100} has no cell to draw: expected an Architecture or a Genotype.")
    cells = {"normal cell": architecture.normal, "reduction cell": architecture.reduce}
    targets = [_DARTS_NODES[2 + edge // 2] for edge in range(darts.EDGES)]
    return {
        name: [(_DARTS_NODES[source], target, op) for target, (op, source) in zip(targets, edges)]
        for name, edges in cells.items()
    }


def _draw(axes, edges: list[tuple], places: dict[str, tuple], bends: dict[tuple, float], fontsize: float) -> None:
    """Nodes as circles at their places, edges as arrows with the operation's name; one without a name joins."""
    from matplotlib.patches import Circle, FancyArrowPatch

    circles = {node: axes.add_patch(Circle(place, _RADIUS, zorder=3)) for node, place in places.items()}
    for node, circle in circles.items():
        circle.set(facecolor="white" if node.isdecimal() else "#e6e6e6", edgecolor="black", linewidth=1)
        axes.text(*circle.center, node.replace(" ", "\n"), ha="center", va="center", fontsize=7, zorder=5)
    taken = [np.array(place) for place in places.values()]
    for source, target, op in edges:
        colour, width, line = _STYLES.get(op, _JOIN)
        bend = bends.get((source, target), 0)
        start, end = np.array(places[source]), np.array(places[target])
        axes.add_patch(
            FancyArrowPatch(
                start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=11,
                shrinkA=0, shrinkB=0, patchA=circles[source], patchB=circles[target],
                color=colour, linewidth=width, linestyle=line,
            )
        )  # fmt: skip
        if op is not None:
            taken.append(_free_place(start, end, bend, taken))
            axes.text(
                *taken[-1], op, fontsize=fontsize, ha="center", va="center", zorder=4,
                color="0.45" if op == "none" else "black",
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "linewidth": 0.7},
            )  # fmt: skip


def _free_place(start: np.ndarray, end: np.ndarray, bend: float, taken: list[np.ndarray]) -> np.ndarray:
    """The point of a bent edge, as near its middle as may be, at which a name is clear of those there are."""
    across = np.array([end[1] - start[1], start[0] - end[0]])
    control = (start + end) / 2 + bend * across

    def point(t: float) -> np.ndarray:
        return (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end

    def clearance(t: float) -> float:
        return min((np.abs(point(t) - other) / _LABEL).max() for other in taken)

    return next((point(t) for t in _ALONG if clearance(t) >= 1), point(max(_ALONG, key=clearance)))
