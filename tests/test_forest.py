"""The paper's numbers beside ours in one figure, whatever the ledger holds."""

import math
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest

from fearlib import InputError
from fearlib.figures import save_figure
from fearlib.report.claims import STAND_IN
from fearlib.report.forest import paper_beside_ours

matplotlib.use("Agg")
ROOT = Path(__file__).parents[1]
BOOK = pd.read_csv(ROOT / "results" / "claims.csv")


pytestmark = pytest.mark.usefixtures("close_figures")


def line(id_, **values):
    usual = {"claim": "CIFAR-10: a claim", "unit": "correlation", "beyond": 0.0, "paper": 0.5}
    usual |= {"ours": 0.4, "low": 0.3, "high": 0.6, "n": 9.0, "preset": "compact(train_images=7)"}
    return {"id": id_, "verdict": "inconclusive"} | usual | values


def drawn(figure):
    """By its label in the figure each of our values with its interval, and what of the paper's is on its line."""
    found = {}
    for axis in figure.axes:
        labels = {text.xy[1]: text.get_text() for text in axis.texts if text.get_ha() == "right"}
        paper = {mark.get_ydata()[0]: mark.get_xdata()[0] for mark in axis.lines if mark.get_marker() == "|"}
        bands = {bar.get_y() + 0.4: (bar.get_x(), bar.get_x() + bar.get_width()) for bar in axis.patches}
        for container in axis.containers:
            if isinstance(container, matplotlib.container.ErrorbarContainer):
                (x,), (y,) = container.lines[0].get_data()
                (interval,) = container.lines[2][0].get_segments()
                assert y in labels and container.get_label() not in found
                band = next((band for at, band in bands.items() if at == pytest.approx(y)), None)
                found[container.get_label()] = (x, *interval[:, 0]), paper.get(y), band
    return found


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_every_measured_line_of_the_ledger_is_drawn_once_and_the_others_are_counted():
    figure = paper_beside_ours(BOOK)
    measured = BOOK[BOOK.ours.notna()].set_index("id")
    found = drawn(figure)
    assert set(found) == set(measured.index)
    for claim, (ours, paper, band) in found.items():
        of_it = measured.loc[claim]
        np.testing.assert_allclose(ours, of_it[["ours", "low", "high"]].astype(float))
        assert paper == (of_it.paper if math.isfinite(of_it.paper) else None)
        assert bool(band) == math.isinf(of_it.paper)
        assert not band or (band[0] == of_it.beyond and math.copysign(math.inf, band[1]) == of_it.paper)
    notes = [text.removesuffix(" not run") for text in texts(figure) if text.endswith(" not run")]
    counts = [int(note.split(", ")[-1]) for note in notes]
    assert sum(counts) == len(BOOK) - len(measured) and f"not run: {sum(counts)}" in legend(figure)
    for verdict, count in measured.verdict.value_counts().items():
        assert f"{verdict}: {count}" in legend(figure)


def test_the_same_ledger_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        save_figure(paper_beside_ours(BOOK), tmp_path / name)
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_a_panel_a_unit_and_a_claim_is_judged_from_its_own_zero():
    lines = [
        line("C3.cifar100", unit="points", paper=math.inf, beyond=-1.0),
        line("T1.fear.common.20", beyond=0.2),
        line("T1.ratio.common.20", unit="ratio", paper=2.0, ours=3.0, low=2.5, high=4.0),
        line("T9.speed", unit="furlongs", paper=-math.inf),
    ]
    figure = paper_beside_ours(pd.DataFrame(lines))
    labels = [axis.get_xlabel() for axis in figure.axes]
    assert "points" in labels[0] and "Spearman" in labels[1] and "log" in labels[2] and labels[3] == "furlongs"
    assert [axis.get_xscale() for axis in figure.axes] == ["linear", "linear", "log", "linear"]
    zeros = [axis.lines[0].get_xdata()[0] for axis in figure.axes]
    assert zeros == [-1, 0.2, 1, 0]
    found = drawn(figure)
    assert found["C3.cifar100"][2] == (-1, figure.axes[0].get_xlim()[1])
    assert found["T9.speed"][2] == (0, pytest.approx(figure.axes[3].get_xlim()[0]))
    assert {"CIFAR-100", "FEAR common 20%", "compact 9"} <= set(texts(figure))


def test_unknown_verdicts_and_exhibits_are_drawn_and_a_stand_in_is_marked():
    lines = [line("X1.mine", verdict="who knows"), line("T2.snip", claim=f"CIFAR-10: snip{STAND_IN}")]
    figure = paper_beside_ours(pd.DataFrame(lines))
    assert list(drawn(figure)) == ["X1.mine", "T2.snip"]
    assert legend(figure)[-4:] == ["inconclusive: 1", "who knows: 1", "not run: 0", "† on a stand-in"]
    assert {"X1", "mine", "snip†"} <= set(texts(figure))


def test_verdicts_differ_in_shape_and_colour():
    verdicts = ["reproduced", "direction holds", "direction fails", "inconclusive", "too few networks", "other"]
    figure = paper_beside_ours(pd.DataFrame([line(f"T2.{each}", verdict=each) for each in verdicts]))
    marks = [bar.lines[0] for bar in figure.axes[0].containers]
    assert len({mark.get_marker() for mark in marks}) == len({mark.get_color() for mark in marks}) == len(verdicts)


def test_nothing_measured_and_no_lines():
    lines = [line("T1.lead.20", ours=math.nan, low=math.nan, high=math.nan, preset=math.nan, verdict="not run")]
    figure = paper_beside_ours(pd.DataFrame(lines))
    assert not drawn(figure) and "CIFAR-10, 1 not run" in texts(figure)
    with pytest.raises(InputError, match="no lines"):
        paper_beside_ours(pd.DataFrame(lines)[:0])
