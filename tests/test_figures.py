import io

import matplotlib
import matplotlib.pyplot
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr

from fearlib import Architecture, InputError, ranking_table
from fearlib.figures import (
    ablation,
    best_and_worst_cells,
    combinations_cost,
    cost_against_spearman,
    degradation,
    late_bloomers,
    pareto,
    save_figure,
    scatter,
    search_cost,
    top_percent,
)
from fearlib.figures.frame import COLOURS
from fearlib.ranking.curves import time_against_accuracy
from fearlib.ranking.degradation import degradation_table
from fearlib.ranking.tables import top_table
from fearlib.spaces.nats import OPERATIONS

matplotlib.use("Agg")
from test_tables import degraded, rows  # noqa: E402, F401


def test_scatter_draws_the_ranks_of_every_known_score_the_best_method_first(rows):  # noqa: F811
    figure = scatter(rows)
    panels = {axis.get_title().split("\n")[0]: axis for axis in figure.axes if axis.get_visible()}
    assert set(panels) == set(rows.method)
    accuracies, found = rows.groupby("index").test_accuracy.mean().sort_values(), []
    for method, axis in panels.items():
        each = rows[rows.method == method].groupby("index")[["test_accuracy", "score"]].mean().dropna()
        drawn = axis.lines[0].get_xydata()
        found.append(spearmanr(each).statistic)
        assert len(drawn) == len(each) and spearmanr(drawn).statistic == pytest.approx(found[-1])
        assert 0 < drawn.min() and drawn.max() == 1
        best = each.score.idxmax()
        place = (accuracies.index.get_loc(best) + 1) / len(accuracies)
        assert any(np.allclose(point, (place, 1)) for point in drawn)
        assert f"{found[-1]:.2f} (" in axis.get_title() and f"n={len(each)}" in axis.get_title()
        labels = [text.get_text() for text in axis.get_xticklabels()]
        assert labels == [f"{level:.1f}" for level in np.percentile(accuracies, [0, 25, 50, 75, 100])]
    assert found == sorted(found, reverse=True)
    known = rows[rows.method == "fear"].groupby("index").score.mean().notna()
    assert f"n={known.sum()} of {len(known)}" in panels["fear"].get_title() and not known.all()


def test_scatter_says_whose_accuracy_it_is(rows):  # noqa: F811
    rows = rows.assign(space="nats-tss", dataset="cifar10", preset="compact")
    assert scatter(rows).get_supxlabel().startswith("benchmark test accuracy")
    ours = "our own full training's test accuracy"
    assert scatter(rows, own_truth=True).get_supxlabel().startswith(ours)
    assert scatter(rows.assign(dataset="synthetic")).get_supxlabel().startswith(ours)


def test_scores_without_accuracies_are_not_drawn(rows):  # noqa: F811
    with pytest.raises(InputError, match="no test accuracy"):
        scatter(rows.assign(test_accuracy=np.nan))


def test_combinations_are_drawn_by_dataset_and_set_over_all_and_in_the_better_half():
    names = ["paper/snip", "compact/fear(stage2_epochs=24)", "paper/snip * paper/zico"]
    lines = [
        (dataset, kind, name, 9, 0.1 * place, -0.4 * place, 10.0 * place)
        for dataset, kind in (("cifar10", "free"), ("cifar10", "FEAR"), ("tinyimagenet16-120", "free"))
        for place, name in enumerate(names)
    ]
    columns = ["dataset", "set", "candidate", "n", "spearman", "top 50%", "gmacs"]
    axes = combinations_cost(pd.DataFrame(lines, columns=columns)).axes
    headings = [axis.get_ylabel().split("\n")[-1] for axis in axes[::2]]
    assert headings == ["free, n=9", "FEAR, n=9", "free, n=9"] and "stand-in" in axes[4].get_ylabel()
    for number, axis in enumerate(axes):
        drawn = {line.get_label(): line.get_xydata() for line in axis.lines}
        sign = 1 if number % 2 == 0 else -4
        np.testing.assert_allclose(drawn["combination"], [[20, sign * 0.2]])
        np.testing.assert_allclose(drawn["single score"], [[1, 0], [10, sign * 0.1]])  # a tenth of 10: free
        np.testing.assert_allclose(drawn["FEAR"], [[10, sign * 0.1]])
        assert axis.get_ylim()[0] < -0.8


def drawn_lines(figure):
    """By name, from a figure of two panels: the value, its bar's ends, the cost, and its number."""
    worth, cost = figure.axes
    names = [label.get_text() for label in worth.get_yticklabels()]
    bars = [container.lines[2][0].get_segments()[0][:, 0] for container in worth.containers]
    values = [container.lines[0].get_xdata()[0] for container in worth.containers]
    costs, numbers = [line.get_xdata()[0] for line in cost.lines], [text.get_text() for text in cost.texts]
    assert len(names) == len(values) == len(costs) == len(numbers)
    return dict(zip(names, zip(values, bars, costs, numbers)))


def test_cost_figure_draws_the_table_the_cheapest_above(rows):  # noqa: F811
    table = ranking_table(rows, resamples=50)
    figure = cost_against_spearman(table, rows)
    drawn = drawn_lines(figure)
    assert set(drawn) == set(table.method) and figure.axes[0].yaxis_inverted()
    for line in table.itertuples():
        value, bar, cost, number = drawn[line.method]
        assert (value, cost) == (line.spearman, line.gmacs) and float(number) == pytest.approx(cost, rel=0.01)
        np.testing.assert_allclose(bar, [line.low, line.high])
    costs = [drawn[name][2] for name in drawn]
    assert costs == sorted(costs)


def test_saved_twice_is_the_same_file(rows, tmp_path):  # noqa: F811
    for name in ("a", "b"):
        save_figure(scatter(rows), tmp_path / name)
    scatter(rows).savefig(tmp_path / "whole.png", dpi=200)
    for suffix in (".png", ".pdf"):
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
        assert (tmp_path / f"a{suffix}").stat().st_size > 5000
    drawn, saved = (matplotlib.image.imread(place) for place in (tmp_path / "whole.png", tmp_path / "a.png"))
    assert drawn.shape == saved.shape and np.abs(drawn - saved).mean() < 0.01 and np.abs(drawn - saved).max() < 0.4


pytestmark = pytest.mark.usefixtures("close_figures")


def test_top_percent_draws_the_table_and_the_published(rows):  # noqa: F811
    table = top_table(rows, (50, 100), resamples=50)
    figure = top_percent(table, rows, {"synflow": 0.5})
    panels = {axis.get_title(): axis for axis in figure.axes if axis.get_visible()}
    whole = table[table.top == 100].set_index("method").spearman
    assert set(panels) == set(table.method) and whole[list(panels)].is_monotonic_decreasing
    (preset,), count = rows.preset.unique(), table.n[table.top == 100].max()
    title = figure.get_suptitle().replace("\n", " ")
    assert f"{preset} preset, n=" in title and f"{count} at 100%" in title
    for method, axis in panels.items():
        drawn = axis.lines[1].get_xydata()  # the first is the line at 0
        np.testing.assert_allclose(drawn, table[table.method == method][["top", "spearman"]])
    np.testing.assert_allclose(panels["synflow"].lines[2].get_xydata(), [[100, 0.5]])


def test_a_figure_of_few_methods_says_where_their_scores_are_from(rows):  # noqa: F811
    """Zero-cost scores may be of other networks than those that were trained."""
    rows = rows.assign(preset=np.where(rows.method == "synflow", "paper", "compact"))
    titles = []
    for methods in (["fear", "synflow"], ["fear"], ["synflow"]):
        each = rows[rows.method.isin(methods)]
        figure = top_percent(top_table(each, (50, 100), resamples=20), each)
        assert len(figure.axes) == len(methods)
        titles.append(figure.get_suptitle().replace("\n", " "))
    assert "compact preset, zero-cost measures at the paper preset" in titles[0]
    assert "compact preset, n=" in titles[1] and "paper preset, n=" in titles[2]


def test_degradation_draws_a_line_a_schedule(rows):  # noqa: F811
    table = degradation_table(degraded(rows), resamples=50)
    (axis,) = (axis for axis in degradation(table, {"synflow": {0: 0.7}}).axes if axis.get_visible())
    lines = {line.get_label(): line.get_xydata() for line in axis.lines[1:]}
    for schedule in ("cosine, 2 epochs", "constant"):
        np.testing.assert_allclose(lines[schedule], table[table.schedule == schedule][["epoch", "spearman"]])
    np.testing.assert_allclose(lines["published"], [[0, 0.7]])
    assert [(text.get_text(), text.xy[0]) for text in axis.texts] == [("40", 0.25), ("40", 0.25)]
    table.loc[table.epoch == 0.25, "n"] = 30
    (axis,) = (axis for axis in degradation(table).axes if axis.get_visible())
    assert sorted((text.xy[0], text.get_text()) for text in axis.texts) == [(0, "40")] * 2 + [(0.25, "30")] * 2
    lines = [line.get_xydata() for line in axis.lines if line.get_label() == "constant"]
    points = table[table.schedule == "constant"][["epoch", "spearman"]]
    np.testing.assert_allclose(lines[0], points[points.epoch < 0.25])  # it breaks where they become far fewer
    np.testing.assert_allclose(lines[1], points[points.epoch >= 0.25])


def test_search_figure_draws_the_table(rows):  # noqa: F811
    table = pd.DataFrame({"method": ["fear(stage2_epochs=2)"] * 2 + ["params"], "ratio": [2.0, np.inf, np.inf]})
    table = table.assign(n=40, length=20, orders=9, found=[92.0, 91.0, 90.0], macs=[1e12, 4e15, 0.0])
    table["found low"], table["found high"] = table.found - 1, table.found + 1
    drawn = drawn_lines(search_cost(table, rows))
    found = {name: (value, *bar, cost, number) for name, (value, bar, cost, number) in drawn.items()}
    assert found == {
        "params": (90, 89, 91, 0.1, "none"),  # a tenth below the least: a log scale has no 0
        "fear(stage2_epochs=2), at 2 times": (92, 91, 93, 1, "1"),
        "fear(stage2_epochs=2)": (91, 90, 92, 4000, "4,000"),
    }


@pytest.mark.parametrize("value", ["spearman", "common"])
def test_pareto_draws_every_method_and_the_front_of_shortreg(rows, value):  # noqa: F811
    table = top_table(rows, (50, 100), resamples=50)
    figure = pareto(table, rows, value)
    panels = [axis for axis in figure.axes if axis.get_visible()]
    tops = (50, 100) if value == "spearman" else (50,)  # of all, `common` is 1
    assert [axis.get_title().split(",")[0] for axis in panels] == [f"top {top}%" for top in tops]
    for axis, top in zip(panels, tops):
        assert [text.get_text() for text in axis.texts] == ["synflow"]
        each = table[table.top == top]
        families = {container.get_label(): container.lines[0].get_xydata() for container in axis.containers}
        for family, methods in {"fear": "fear", "shortreg": "shortreg", "zero-cost": "synflow"}.items():
            expected = each[each.method.str.startswith(methods)][["gmacs", value]]
            np.testing.assert_allclose(families[family], expected)
        points = [
            tuple(point) for point in each[each.method.str.startswith("shortreg")][["gmacs", value]].to_numpy()
        ]
        best = {(x, y) for x, y in points if not any(a <= x and b >= y and (a, b) != (x, y) for a, b in points)}
        (front,) = (line for line in axis.lines if line.get_label() == "shortreg's Pareto front")
        assert set(map(tuple, front.get_xydata())) == best


def test_late_bloomers_draws_those_that_never_reach_it_apart():
    table = pd.DataFrame({"epochs": [1, 2, 3, 4, *[np.nan] * 3], "seconds": [5, 3, 8, 9, *[np.nan] * 3]})
    table["test_accuracy"] = [93.0, 94, 90, 80, 70, 10, 12.4]
    figure = late_bloomers({"ours": table})
    for axis, cost in zip(figure.axes, ("epochs", "seconds")):
        np.testing.assert_allclose(axis.lines[0].get_xydata(), table[[cost, "test_accuracy"]].dropna())
        ((x, y),) = axis.lines[1].get_xydata()
        assert y == 70 and x > table[cost].max()
        expected = spearmanr(table[cost][:4], table.test_accuracy[:4]).statistic
        assert f"Spearman {expected:.2f}" in axis.get_title() and "n=4, 3 never" in axis.get_title()
        assert axis.get_ylim()[0] > 60 and [text.get_text() for text in axis.texts] == ["2 at 10..12%"]


def test_late_bloomers_draws_architectures_as_its_table_counts_them():
    """Of two seeds the mean, and never if one of them did not reach it."""
    times = pd.DataFrame({"index": [3, 3, 4, 4, 5, 5, 6, 6], "seed": [0, 1] * 4, "seconds": np.arange(8.0)})
    times["epochs"] = [1, 3, 4, 6, 9, np.nan, 2, 2]
    times["test_accuracy"] = np.repeat([93.0, 90, 85, 92], 2)
    title = late_bloomers({"ours": times}).axes[0].get_title()
    line = time_against_accuracy({"ours": times}).iloc[0]
    expected = spearmanr([2, 5, 2], [93, 90, 92]).statistic
    assert f"Spearman {expected:.2f}" in title and "n=3, 1 never" in title
    assert (line.reached, line.never) == (3, 1) and line["Spearman (95%)"].startswith(f"{expected:.2f}")


def test_cells_are_those_of_the_best_and_the_worst_score():
    few = pd.DataFrame(
        {"index": [7, 8, 9, 10], "method": "snip", "score": [3.0, 1, 1, np.nan], "space": "nats-tss"}
    )
    few["arch"] = [str(Architecture.from_index(index)) for index in few["index"]]
    few = few.assign(test_accuracy=[80.0, 70, 60, 90], dataset="cifar10", preset="compact")
    axes = best_and_worst_cells(few).axes
    for axis, (index, *words) in zip(
        axes,
        [
            (10, "test accuracy: best", "90.0%", "rank 1 of 4"),
            (9, "test accuracy: worst", "60.0%", "rank 4 of 4"),
            (7, "snip: best", "80.0%", "rank 2 of 4"),
            (8, "snip: worst, one of 2", "70.0%", "rank 3 of 4"),
        ],
        strict=True,
    ):
        drawn = [text.get_text() for text in axis.texts]
        assert [op for op in drawn if op in OPERATIONS] == list(Architecture.from_index(index).ops)
        assert all(word in axis.get_title() for word in words)


def test_cells_without_an_accuracy_are_not_drawn():
    few = pd.DataFrame({"index": [7, 8], "method": "snip", "score": [3.0, 1], "space": "nats-tss"})
    few["arch"] = [str(Architecture.from_index(index)) for index in few["index"]]
    few = few.assign(dataset="cifar10", preset="compact", test_accuracy=[80.0, np.nan])
    few = pd.concat([few, few[:1].assign(method="fear", score=np.nan)])
    drawn = best_and_worst_cells(few).axes
    assert "rank 1 of 1" in drawn[2].get_title() and len(drawn) == 4  # FEAR has no score to draw a cell by
    with pytest.raises(InputError, match="no test accuracy to draw the cells by"):
        best_and_worst_cells(few.assign(test_accuracy=np.nan))


def test_ablation_draws_every_value_in_order_with_the_usual_one_among_them(rows):  # noqa: F811
    columns = ["changed", "value", "n", "spearman", "low", "high", "gmacs"]
    lines = [("nothing", 0, 38, 0.87, 0.8, 0.91, 876), ("seed", 1, 38, 0.85, 0.8, 0.9, 870)]
    lines += [("threshold", 0.5, 37, 0.9, 0.8, 0.95, 1100), ("threshold", 0.3, 39, 0.7, 0.6, 0.8, 700)]
    table = pd.DataFrame([*lines, ("stage2_epochs", 12, 38, 0.8, 0.7, 0.9, 600)], columns=columns)
    figure = ablation(table, {"threshold": 0.4, "first_free_block": 4, "stage2_epochs": 24}, rows)
    drawn = {axis.get_title(): [bar.lines[0].get_ydata()[0] for bar in axis.containers] for axis in figure.axes}
    assert drawn == {"threshold": [0.7, 0.87, 0.9], "stage2_epochs": [0.8, 0.87]}
    labels = [text.get_text().split() for text in figure.axes[0].get_xticklabels()]
    assert labels == [["0.3", "n=39", "700"], ["0.4", "n=38", "876"], ["0.5", "n=37", "1100"]]
    bars = [bar.lines[2][0].get_segments()[0][:, 1] for bar in figure.axes[0].containers]
    np.testing.assert_allclose(bars, [(0.6, 0.8), (0.8, 0.91), (0.8, 0.95)])


def test_pareto_of_three_architectures_in_perfect_order(rows):  # noqa: F811
    few = rows[(rows["index"] < 3) & (rows.method == "synflow")].copy()
    few["score"] = few.test_accuracy
    table = top_table(few, (50, 100), resamples=50)
    assert table.spearman.dropna().to_list() == pytest.approx([1])
    titles = [axis.get_title() for axis in pareto(table, few).axes if axis.get_visible()]
    assert titles == ["top 100%, n=3"]  # of one architecture there is nothing to draw


def test_a_saved_picture_has_the_colours_that_were_drawn(tmp_path):
    """Many bands over each other, as where measures are followed through training at several scales."""
    figure, axes = matplotlib.pyplot.subplots(4, 4, figsize=(8, 8))
    rng = np.random.default_rng(0)
    for axis in axes.flat:
        for colour in COLOURS[:4]:
            low = rng.uniform(-1, 1, 12)
            axis.fill_between(range(12), low, low + rng.uniform(0.2, 0.8, 12), color=colour, alpha=0.25, lw=0)
            axis.plot(range(12), low + 0.3, color=colour)
    save_figure(figure, tmp_path / "bands")
    figure.savefig(drawn := io.BytesIO(), dpi=200)
    files = (tmp_path / "bands.png", drawn)
    saved, expected = (np.asarray(Image.open(file).convert("RGB"), int) for file in files)
    assert np.abs(saved - expected).max() <= 16
