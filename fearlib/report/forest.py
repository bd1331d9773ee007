"""The ledger becomes a forest plot: every number of the paper beside ours, long and narrow as a phone is."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from fearlib.errors import InputError
from fearlib.exhibits import EXHIBITS
from fearlib.figures.frame import pyplot
from fearlib.report.claims import STAND_IN
from fearlib.report.rule import VERDICTS
from fearlib.sweeps.labels import kind_of

_TITLES = {name: f"{name}  {exhibit.title}" for name, exhibit in EXHIBITS.items()} | {"ZC": "Zero-cost, published"}
_WORDS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "imagenet16-120": "ImageNet16",
    "fear": "FEAR",
    "spearman": "Spearman",
    "first": "first epoch",
    "last": "last epoch",
}
_COUNTED = {"T1": "{}%", "F1": "epoch {}"}  # the number at the end of an id
_UNITS = {
    "correlation": "Spearman, common, or a difference (cut at ±1)",
    "ratio": "ratio of costs, log scale",
    "points": "percentage points of test accuracy",
}
_MARKS = {  # shape, colour, and whether it is filled
    "reproduced": ("o", "#0072b2", True),
    "direction holds": ("^", "#009e73", True),
    "direction fails": ("X", "#d55e00", True),
    "inconclusive": ("s", "#b07aa1", False),
    "too few networks": ("D", "#808080", False),
}
_OTHER_MARK = ("*", "#000000", False)
_PAPER = {"marker": "|", "markersize": 8, "markeredgewidth": 1.6, "zorder": 4}
_BAND = "0.88"
_WIDTH, _LEFT, _RIGHT = 3.5, 1.36, 0.7  # inches, the margins with the labels and what a number rests on
_LINE, _AXIS = 0.155, 0.5  # inches, of a line and of the scale below a panel
_HEADING = 1.5  # lines, with the room above it


def paper_beside_ours(book: pd.DataFrame):
    """For every measured line of the ledger the paper's value, ours with its 95% interval, and the verdict.

    `book` as `fearlib.report.claims.ledger` makes it. A panel a unit, a block an exhibit, a line a claim, with the
    preset and n at its end; a shape and a colour a verdict. A claim of a direction alone is a grey band. What has
    no number of ours is counted, not drawn. Returns the matplotlib figure. Raises InputError for a ledger without
    lines.
    """
    if book.empty:
        raise InputError("the ledger has no lines to draw.")
    plt = pyplot("white")
    book = _described(book)
    panels = {unit: list(_blocks(each)) for unit, each in book.groupby("unit", sort=False)}
    legend = _legend(book)
    heights = [_LINE * sum(_HEADING + len(lines) for *_, lines in blocks) for blocks in panels.values()]
    top = 0.3 + 0.13 * -(-len(legend) // 2)
    scales = [_AXIS * any(lines for *_, lines in blocks) for blocks in panels.values()]
    height = top + sum(heights) + sum(scales)
    figure = plt.figure(figsize=(_WIDTH, height))
    for (unit, blocks), of_panel, of_scale in zip(panels.items(), heights, scales):
        top += of_panel
        place = (_LEFT / _WIDTH, 1 - top / height, 1 - (_LEFT + _RIGHT) / _WIDTH, of_panel / height)
        top += of_scale
        _draw_panel(figure.add_axes(place), unit, blocks)
    figure.text(
        0.02, 1 - 0.08 / height, "The paper beside ours, with 95% intervals", size=8, weight="bold", va="top"
    )
    figure.text(0.98, 1 - 0.09 / height, "preset, n", size=6.5, color="0.35", va="top", ha="right")
    figure.legend(
        handles=legend, ncols=2, fontsize=6.5, loc="upper left", bbox_to_anchor=(0, 1 - 0.24 / height),
        frameon=False, handlelength=1.6, columnspacing=1, labelspacing=0.35,
    )  # fmt: skip
    return figure


def _described(book: pd.DataFrame) -> pd.DataFrame:
    """With the `exhibit`, the `images` it is about, the `zero` from which a claim is judged, and `stand_in`."""
    return book.assign(
        exhibit=book.id.str.partition(".")[0],
        images=book.claim.str.extract(r"^([\w -]+): ", expand=False),
        zero=book.beyond.where(book.unit != "ratio", 1.0),
        stand_in=book.claim.str.contains(STAND_IN, regex=False),
    )


def _blocks(of_unit: pd.DataFrame) -> Iterator[tuple[str, str, list]]:
    """For each exhibit its title, what stands at the end of its line, and its measured lines."""
    for exhibit, each in of_unit.groupby("exhibit", sort=False):
        measured = each[each.ours.notna()]
        images, missing = each.images.dropna().unique(), len(each) - len(measured)
        notes = [*images] if len(images) == 1 else []
        notes += [f"{missing} not run"] if missing else []
        yield _TITLES.get(exhibit, exhibit), ", ".join(notes), list(measured.itertuples())


def _label(line) -> str:
    """What the id says after the exhibit, in words; with a mark if measured on a stand-in."""
    words = [_WORDS.get(part, part) for part in line.id.split(".")[1:]]
    if words and words[-1].isdecimal():
        words[-1] = _COUNTED.get(line.exhibit, "{}").format(words[-1])
    return (" ".join(words) or str(line.images)) + "†" * line.stand_in


def _draw_panel(axis, unit: str, blocks: list[tuple[str, str, list]]) -> None:
    from matplotlib.ticker import LogLocator

    if unit == "ratio":
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 1.25, 2, 3, 5, 8)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
    for side in ("left", "right", "top"):
        axis.spines[side].set_visible(False)
    measured, place = {}, 0.0
    for title, note, lines in blocks:
        place += _HEADING - 1
        _write(axis, 0.02, place, title, fontsize=7.5, weight="bold")
        _write(axis, 0.98, place, note, ha="right", color="0.35")
        measured |= {place + number: line for number, line in enumerate(lines, 1)}
        place += 1 + len(lines)
    for at, line in measured.items():
        _write(axis, (_LEFT - 0.07) / _WIDTH, at, _label(line), ha="right", fontsize=7)
        _write(axis, 0.98, at, f"{kind_of(line.preset)} {line.n:.0f}", ha="right", color="0.35")
        _draw_values(axis, at, line)
    ends = _ends(axis, unit, measured.values())
    for at, line in measured.items():
        if np.isinf(line.paper):
            end = ends[line.paper > 0]
            axis.barh(at, end - line.zero, 0.8, line.zero, color=_BAND, linewidth=0, zorder=0)
    axis.set(xlim=ends, ylim=(place - 0.5, -0.5), yticks=[])
    axis.grid(axis="x", color="0.93", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(axis="x", labelsize=7, bottom=True, length=2)
    if measured:
        axis.set_xlabel(_UNITS.get(unit, unit), fontsize=7)
    else:
        axis.set_xticks([])
        axis.spines.bottom.set_visible(False)


def _ends(axis, unit: str, lines: Iterable) -> tuple[float, float]:
    """Of the scale. The interval of a difference may go beyond what a correlation can be: there it is cut."""
    if unit != "correlation":
        return axis.get_xlim()
    end = 1.05 * max([1.0, *(abs(line.ours) for line in lines)])
    return -end, end


def _write(axis, across: float, place: float, text: str, **style) -> None:
    """At a fraction of the figure's width, on a line of the panel."""
    style = {"fontsize": 6.5, "va": "center", "annotation_clip": False} | style
    axis.annotate(text, (across, place), xycoords=("figure fraction", "data"), **style)


def _draw_values(axis, place: float, line) -> None:
    axis.plot([line.zero] * 2, [place - 0.5, place + 0.5], color="0.6", linewidth=0.7, zorder=1)
    marker, colour, filled = _MARKS.get(line.verdict, _OTHER_MARK)
    spread = [[max(line.ours - line.low, 0)], [max(line.high - line.ours, 0)]]
    axis.errorbar(
        line.ours, place, xerr=spread, fmt=marker, color=colour, markersize=4.5, elinewidth=1.3,
        markerfacecolor=colour if filled else "white", label=line.id,
    )  # fmt: skip
    if np.isfinite(line.paper):
        axis.plot(line.paper, place, color="black", **_PAPER)


def _legend(book: pd.DataFrame) -> list:
    """Marks of what is drawn, the verdicts with how many lines have them."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    measured = book[book.ours.notna()]
    counts = measured.verdict.value_counts()
    handles = [Line2D([], [], linestyle="", color="black", label="the paper's value", **_PAPER)]
    zero = {"marker": "|", "markersize": 8, "markeredgewidth": 0.7}
    handles.append(Line2D([], [], linestyle="", color="0.6", label="no effect, or chance", **zero))
    if np.isinf(measured.paper).any():
        handles.append(Patch(color=_BAND, label="the paper's direction"))
    for verdict in sorted(counts.index, key=lambda each: [*VERDICTS, each].index(each)):
        marker, colour, filled = _MARKS.get(verdict, _OTHER_MARK)
        face = colour if filled else "white"
        label = f"{verdict}: {counts[verdict]}"
        handles.append(
            Line2D([0], [0], marker=marker, color=colour, markersize=4.5, markerfacecolor=face, label=label)
        )
    notes = [f"not run: {len(book) - len(measured)}"]
    notes += ["† on a stand-in"] if measured.stand_in.any() else []
    return handles + [Line2D([], [], linestyle="", label=note) for note in notes]
