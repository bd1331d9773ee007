import re
import sys

import matplotlib
import pytest

from fearlib import Architecture, Genotype, InputError, draw_cell, sample_architectures, sample_genotypes
from fearlib.spaces.darts import OPERATIONS
from fearlib.spaces.drawing import cell_text
from fearlib.spaces.nats import EDGES

matplotlib.use("Agg")
from matplotlib.patches import Circle, FancyArrowPatch  # noqa: E402

SOURCES = ["before last", "last", "0", "1", "2", "3"]
CELLS = [*sample_architectures(3, 0), *sample_genotypes(6, 0)]


pytestmark = pytest.mark.usefixtures("close_figures")


def drawn_edges(axes):
    """(source node, target node) of every arrow, and the operations, both in the order of drawing."""
    nodes = {patch.center: None for patch in axes.patches if isinstance(patch, Circle)}
    ops = []
    for text in axes.texts:
        place = text.get_position()
        if place in nodes:
            nodes[place] = text.get_text().replace("\n", " ")
        elif "cell" not in text.get_text():
            ops.append(text.get_text())
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    ends = [(nodes[tuple(start)], nodes[tuple(end)]) for start, end in (arrow._posA_posB for arrow in arrows)]
    return ends, ops


def test_a_nats_cell_has_its_six_edges_between_their_nodes():
    architecture = Architecture.from_index(0)
    ends, ops = drawn_edges(draw_cell(architecture))
    nodes = ["input", "1", "2", "output"]
    assert ends == [(nodes[source], nodes[target]) for source, target in EDGES] and ops == list(architecture.ops)


def test_a_genotype_has_two_cells_side_by_side():
    (genotype,) = sample_genotypes(1, 3)
    ends, ops = drawn_edges(draw_cell(genotype))
    assert ops == [op for op, _ in genotype.normal + genotype.reduce]
    named = [pair for pair in ends if pair[1] != "output"]
    assert [SOURCES.index(source) for source, _ in named] == [n for _, n in genotype.normal + genotype.reduce]
    assert [target for _, target in named] == [str(edge // 2) for edge in range(8)] * 2
    assert sorted(source for source, target in ends if target == "output") == sorted("0123" * 2)


@pytest.mark.parametrize("architecture", CELLS, ids=lambda architecture: type(architecture).__name__)
def test_names_do_not_hide_each_other_and_nothing_is_cut_off(architecture):
    axes = draw_cell(architecture)
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:number])
    whole = axes.figure.bbox
    for box in [*boxes, *(patch.get_window_extent() for patch in axes.patches)]:
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1


def test_axes_that_are_given_are_drawn_into():
    figure, pair = matplotlib.pyplot.subplots(1, 2)
    assert draw_cell(Architecture.from_index(5), pair[1]) is pair[1]
    assert not pair[0].patches and len(figure.axes) == 2


def test_the_text_says_what_the_string_says():
    nodes = ["input", "1", "2", "output"]
    for architecture in sample_architectures(30, 1):
        text = {
            line.split(" = ")[0].strip(): line.split(" = ")[1] for line in cell_text(architecture).splitlines()
        }
        for (source, target), op in zip(EDGES, architecture.ops):
            assert (f"{op}({nodes[source]})" in text[nodes[target]].split(" + ")) == (op != "none")
    assert cell_text(Architecture(["none"] * 6)).split() == ["1", "=", "0", "2", "=", "0", "output", "=", "0"]


def test_the_text_of_a_genotype_holds_all_of_it():
    for genotype in sample_genotypes(30, 1):
        terms = re.findall(rf"({'|'.join(OPERATIONS)})\(([\w ]+)\)", cell_text(genotype))
        edges = [(op, SOURCES.index(source)) for op, source in terms]
        assert Genotype(edges[:8], edges[8:]) == genotype


def test_only_architectures_have_a_cell_and_matplotlib_is_asked_for(monkeypatch):
    with pytest.raises(InputError, match="expected an Architecture or a Genotype"):
        draw_cell("|none~0|")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="matplotlib is needed to draw a cell"):
        draw_cell(CELLS[0])
