import re
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from test_results import make, trial
from test_tables import rows, with_infinities  # noqa: F401

from fearlib import Architecture, InputError, ranking_table
from fearlib.explorer import (
    TRUTH,
    Explorer,
    agreement,
    agreement_text,
    draw_curve,
    filter_rows,
    ranks_of,
    scatter_figure,
    scores_of,
    static_view,
)
from fearlib.sweeps.journal import append_to_journal
from fearlib.sweeps.reader import Results


@pytest.fixture
def folder(tmp_path):
    """Twelve architectures, the last without zero-cost measures, for that trial failed; curves of training."""
    records = [trial(index, score=(index * 5 % 12 + 1) / 20, accuracy=60.0 + index) for index in range(12)]
    records += [
        trial(index, "zero_cost", score=index * 7 % 12 + 1.0, accuracy=60.0 + index) for index in range(11)
    ]
    return make(tmp_path / "sweep", [*records, trial(11, "zero_cost", failed=True, accuracy=71.0)])


def test_scores_average_seeds_and_leave_failed_trials_out(rows):  # noqa: F811
    failed = rows[rows.method == "synflow"].head(3).assign(outcome="failed: on purpose", score=1e9, seed=9)
    scores = scores_of(pd.concat([rows, failed]))
    assert list(scores.columns[:2]) == ["arch", TRUTH] and scores.index.tolist() == list(range(40))
    given = rows.to_dict("records")
    for row in scores.reset_index().to_dict("records"):
        for method in rows.method.unique():
            values = [each["score"] for each in given if (each["index"], each["method"]) == (row["index"], method)]
            assert row[method] == pytest.approx(np.mean(values), nan_ok=True)


def test_an_infinite_score_is_without_a_score(rows):  # noqa: F811
    given = with_infinities(rows)
    scores, kept = scores_of(given), filter_rows(given, "synflow", "without a score")
    found, table = agreement(scores, "synflow", TRUTH, 100), ranking_table(given).set_index("method")
    assert (found.n, found.out) == (38, 2) == tuple(table.loc["synflow", ["n", "out"]])
    assert found.spearman == table.spearman["synflow"]
    assert "n = 38, 2 without a score" in agreement_text(scores, "synflow", TRUTH, 100)
    assert kept["index"].tolist() == [0, 1] and set(kept.outcome) == {"undefined: its score is infinite"}
    assert len(filter_rows(given, "synflow", "with a score")) == 38
    ranks = ranks_of(scores, 0).set_index("by")
    assert np.isnan(ranks.loc["synflow", "rank"]) and ranks.loc["synflow", "of"] == 38


def test_agreement_is_that_of_the_ranking_table(rows):  # noqa: F811
    table, scores = ranking_table(rows).set_index("method"), scores_of(rows)
    for method in table.index:
        for percent, name in ((100, "spearman"), (50, "top 50%")):
            found = agreement(scores, method, TRUTH, percent)
            low, high = ("low", "high") if percent == 100 else ("top 50% low", "top 50% high")
            expected = tuple(table.loc[method, [name, low, high]])
            assert (found.spearman, found.low, found.high) == pytest.approx(expected)
        assert found.common == table.loc[method, "common 50%"]
        assert (found.n, found.out) == (20 - sum(scores[method][best(scores[TRUTH], 20)].isna()), 20 - found.n)


def best(values, count):
    return values.sort_values(ascending=False).index[:count]


def test_two_methods_agree_where_both_have_a_score(rows):  # noqa: F811
    scores = scores_of(rows)
    both = scores[["fear", "synflow"]].dropna()
    found = agreement(scores, "fear", "synflow", 100)
    assert found.spearman == pytest.approx(stats.spearmanr(both.fear, both.synflow).statistic)
    assert (found.n, found.out) == (35, 5) and "n = 35, 5 without a score" in agreement_text(
        scores, "fear", "synflow", 100
    )


def test_ranks_by_counting(rows):  # noqa: F811
    """One more than the number of better ones, and half of the equal ones; none without a score."""
    scores = scores_of(rows)
    scores.loc[7, "synflow"] = scores.loc[8, "synflow"] = scores.loc[9, "synflow"]
    for index in (0, 7, 39):
        for row in ranks_of(scores, index).to_dict("records"):
            values = scores[row["by"]].dropna()
            mine = scores[row["by"]][index]
            assert row["of"] == len(values)
            if np.isnan(mine):
                assert np.isnan(row["rank"])
            else:
                assert row["rank"] == 1 + (values > mine).sum() + ((values == mine).sum() - 1) / 2
    assert ranks_of(scores, 15000)["rank"].isna().all()


def test_filters_keep_what_they_say(rows):  # noqa: F811
    everything = filter_rows(rows)
    assert len(everything) == len(rows) and everything["index"].is_monotonic_increasing
    kept = filter_rows(rows, "fear", "without a score")
    assert set(kept.method) == {"fear"} and set(kept["index"]) == set(range(5)) and kept.score.isna().all()
    assert set(filter_rows(rows, text=" 12 ")["index"]) == {12}
    part = Architecture.from_index(12).ops[0] + "~0|+"
    expected = {index for index in range(40) if part in str(Architecture.from_index(index))}
    assert set(filter_rows(rows, text=part)["index"]) == expected
    scores = filter_rows(rows, sort="score", descending=True).score
    assert scores.dropna().is_monotonic_decreasing and scores[-10:].isna().all()
    assert filter_rows(rows, outcome="failed").empty


def test_the_figure_has_every_architecture_once_with_its_string(rows):  # noqa: F811
    scores = scores_of(rows)
    figure = scatter_figure(scores, "fear", TRUTH, 25, chosen=9)
    others, top, chosen = figure.data
    assert set(top.customdata) == set(best(scores[TRUTH], 10)) - set(range(5))
    assert set(others.customdata) | set(top.customdata) == set(range(5, 40)) and list(chosen.customdata) == [9]
    for trace in figure.data:
        for index, x, y, text in zip(trace.customdata, trace.x, trace.y, trace.text):
            assert (x, y) == (scores[TRUTH][index], scores.fear[index])
            assert text.startswith(f"{index}: {Architecture.from_index(index)}<br>fear: ")
    assert figure.layout.xaxis.title.text == TRUTH and figure.layout.yaxis.title.text == "fear"


def test_the_curve_stands_beside_the_median_of_those_that_train(folder):
    axes = Figure().subplots()
    records = [(index, epoch, (index + epoch) / 100) for index in range(7) for epoch in range(1, 9 - index)]
    curves = pd.DataFrame(records, columns=["index", "epoch", "train_top1"]).assign(method="m", seed=0, stage=1)
    lines = {line.get_label(): line.get_xydata() for line in draw_curve(curves, 2, "m", axes).lines}
    np.testing.assert_allclose(lines["2, seed 0"], [[epoch, 2 + epoch] for epoch in range(1, 7)])
    still = {epoch: [100 * top1 for _, at, top1 in records if at == epoch] for epoch in range(1, 9)}
    median = [[epoch, np.median(values)] for epoch, values in still.items() if len(values) >= 3.5]
    np.testing.assert_allclose(lines["median of 7, with the middle half"], median)
    assert "no curve of 99" in draw_curve(curves, 99, "m", axes).get_title()


def test_without_widgets_there_are_a_picture_and_the_rows(folder):
    shown = static_view(Results(folder))
    assert "12 architectures, 4 methods, 35 rows, 1 of them failed" in shown
    assert "Spearman" in shown and "data:image/png;base64," in shown and "page 1 of 3; 35 rows" in shown


def test_nothing_to_explore_is_a_sentence(tmp_path):
    for records in ([], [trial(0, failed=True)]):
        results = Results(make(tmp_path / "begun", records))
        for view in (Explorer, static_view):
            with pytest.raises(InputError, match="there is nothing to explore yet"):
                view(results)


@pytest.mark.parametrize("package", ["plotly", "anywidget", "ipywidgets"])
def test_a_missing_package_is_named(folder, monkeypatch, package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^{package}[\w.]* is needed to .*fearlib\[suite\]"):
        Explorer(Results(folder))
    assert "Spearman" in static_view(Results(folder))


def test_the_widgets_answer(folder):
    """Without a page: what is chosen changes what is said, shown and listed."""
    shown = Explorer(Results(folder))
    assert "12 architectures" in shown.heading.value and shown.detail.layout.display == "none"
    shown.of.value, shown.percent.value = "snip", 50
    assert (
        shown.agreement.value.count("snip, top 50% by") == 1
        and "n = 5, 1 without a score" in shown.agreement.value
    )
    assert len(shown.figure.data[1].x) == 5 and shown.figure.layout.yaxis.title.text == "snip"
    shown.architecture.value = "3"
    assert str(Architecture.from_index(3)) in shown.name.value and shown.detail.layout.display is None
    assert all(bytes(image.value).startswith(b"\x89PNG") for image in (shown.cell, shown.curve))
    assert list(shown.figure.data[2].customdata) == [3] and "9" in re.findall(
        r"<td>([\d.]+)</td>", shown.ranks.value
    )
    shown.filters["method"].value = "synflow"
    assert "page 1 of 1; 11 rows" in shown.table.value
    shown.filters["method"].value, shown.page.value = "all", 3
    assert "page 3 of 3; 35 rows" in shown.table.value
    shown.architecture.value = "|what~0|"
    assert "is not an architecture" in shown.message.value
    shown.architecture.value = str(Architecture.from_index(4))
    assert shown.message.value == "" and "4: " in shown.name.value
    assert {"text/html", "application/vnd.jupyter.widget-view+json"} <= shown._repr_mimebundle_().keys()


def test_refresh_reads_on_and_keeps_what_is_chosen(folder):
    shown = Explorer(Results(folder))
    shown.of.value, shown.architecture.value = "synflow", "5"
    shown.refresh.click()
    assert "nothing is new" in shown.message.value
    append_to_journal(folder, trial(12, "shortreg(epochs=9)", score=0.4, accuracy=80.0))
    shown.refresh.click()
    assert "13 architectures, 5 methods, 36 rows" in shown.heading.value and "1 new trial " in shown.message.value
    assert shown.of.value == "synflow" and "shortreg(epochs=9)" in shown.of.options
    assert "shortreg(epochs=9)" in shown.ranks.value and "shortreg(epochs=9)" in shown.curve_of.options
    (folder / "manifest.json").write_text("{}")
    append_to_journal(folder, trial(13))
    shown.refresh.click()
    assert "is not a manifest of a sweep" in shown.message.value
