import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from test_results import make, trial
from test_tables import rows, with_infinities  # noqa: F401

from fearlib import Architecture, InputError, ranking_table
from fearlib.explorer import folder_to_open, newest_first
from fearlib.explorer.axes import beside, same_methods, with_combination
from fearlib.explorer.live import shown_while_it_runs
from fearlib.explorer.scores import TRUTH, agreement, filter_rows, ranks_of, score_table
from fearlib.explorer.views import agreement_text, draw_curve, scatter_figure, static_view
from fearlib.explorer.widgets import Explorer
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
    scores = score_table(pd.concat([rows, failed]))
    assert list(scores.columns[:2]) == ["arch", TRUTH] and scores.index.tolist() == list(range(40))
    given = rows.to_dict("records")
    for row in scores.reset_index().to_dict("records"):
        for method in rows.method.unique():
            values = [each["score"] for each in given if (each["index"], each["method"]) == (row["index"], method)]
            assert row[method] == pytest.approx(np.mean(values), nan_ok=True)


def test_an_infinite_score_is_without_a_score(rows):  # noqa: F811
    given = with_infinities(rows)
    scores, kept = score_table(given), filter_rows(given, "synflow", "without a score")
    found, table = agreement(scores, "synflow", TRUTH, 100), ranking_table(given).set_index("method")
    assert (found.n, found.out) == (38, 2) == tuple(table.loc["synflow", ["n", "out"]])
    assert found.spearman == table.spearman["synflow"]
    assert "n = 38, 2 without a score" in agreement_text(scores, "synflow", TRUTH, 100)
    assert kept["index"].tolist() == [0, 1] and set(kept.outcome) == {"undefined: its score is infinite"}
    assert len(filter_rows(given, "synflow", "with a score")) == 38
    ranks = ranks_of(scores, 0).set_index("by")
    assert np.isnan(ranks.loc["synflow", "rank"]) and ranks.loc["synflow", "of"] == 38


def test_agreement_is_that_of_the_ranking_table(rows):  # noqa: F811
    table, scores = ranking_table(rows).set_index("method"), score_table(rows)
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
    scores = score_table(rows)
    both = scores[["fear", "synflow"]].dropna()
    found = agreement(scores, "fear", "synflow", 100)
    assert found.spearman == pytest.approx(stats.spearmanr(both.fear, both.synflow).statistic)
    assert (found.n, found.out) == (35, 5) and "n = 35, 5 without a score" in agreement_text(
        scores, "fear", "synflow", 100
    )


def test_ranks_by_counting(rows):  # noqa: F811
    """One more than the number of better ones, and half of the equal ones; none without a score."""
    scores = score_table(rows)
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
    scores = score_table(rows)
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


def test_without_learning_curves_their_picture_alone_is_hidden(tmp_path):
    records = [trial(index, "zero_cost", score=index + 1.0, accuracy=60.0 + index) for index in range(5)]
    shown = Explorer(Results(make(tmp_path / "sweep", records)))
    shown.architecture.value = "1"
    assert shown.curve.layout.display == "none"
    assert shown.architecture.layout.display is shown.cell.layout.display is None


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
    manifest = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text("{}")
    append_to_journal(folder, trial(13))
    shown.refresh.click()
    assert "is not a manifest of a sweep" in shown.message.value
    (folder / "manifest.json").write_text(manifest)
    shown.refresh.click()
    assert "1 new trial " in shown.message.value and 13 in set(shown.results.rows["index"])


def test_what_is_new_is_shown_though_the_folder_beside_cannot_be_read(folder, tmp_path):
    other = make(tmp_path / "beside", [trial(index, accuracy=60.0 + index) for index in range(12)])
    shown = Explorer(Results(folder), [other])
    shown.beside.value = other
    (other / "manifest.json").write_text("{}")
    for each in (folder, other):
        append_to_journal(each, trial(12, accuracy=80.0))
    shown.refresh.click()
    assert "is not a manifest of a sweep" in shown.message.value and "13 architectures" in shown.heading.value


def test_an_architecture_that_is_none_leaves_the_rest_alive(folder):
    shown = Explorer(Results(folder))
    shown.architecture.value = "3"
    assert shown.detail.layout.display is None
    shown.architecture.value = "|what~0|"
    assert "is not an architecture" in shown.message.value and shown.detail.layout.display == "none"
    shown.of.value = "snip"
    assert shown.figure.layout.yaxis.title.text == "snip" and not len(shown.figure.data[2].customdata)
    append_to_journal(folder, trial(12, "shortreg(epochs=9)", score=0.4, accuracy=80.0))
    shown.refresh.click()
    assert "36 rows" in shown.heading.value and "36 rows" in shown.table.value


def test_an_architecture_without_a_cell_has_its_ranks(folder, monkeypatch):
    monkeypatch.setattr("fearlib.explorer.widgets.has_cell", lambda _: False)
    shown = Explorer(Results(folder))
    shown.architecture.value = "3"
    assert shown.cell.layout.display == "none" and "snip" in shown.ranks.value
    assert list(shown.figure.data[2].customdata) == [3]


def test_the_scores_of_another_folder_stand_beside(rows):  # noqa: F811
    """Every value under its own architecture, of those that either folder has."""
    scores = score_table(rows)
    others = scores.loc[20:].assign(**{TRUTH: -scores[TRUTH]})
    others.loc[99] = {"arch": str(Architecture.from_index(99)), TRUTH: 1.0, "fear": 0.5}
    both = beside(scores, others, "there")
    assert list(both.index) == [*range(40), 99] and both.arch[99] == others.arch[99]
    assert both.loc[:39, scores.columns].equals(scores)
    for axis in (TRUTH, "fear"):
        assert both[f"there: {axis}"].dropna().equals(others[axis].dropna())
    with pytest.raises(InputError, match="there has no architecture in common"):
        beside(scores, others.set_index(others.index + 100), "there")


def test_a_combination_is_that_of_the_ranks(rows):  # noqa: F811
    """Written out: from 1, the worst, a missing score having 1, among those that have a score at all."""
    scores = score_table(rows)
    scores.loc[[3, 30], "synflow"] = np.nan
    some = [index for index in scores.index if not scores.loc[index, ["fear", "synflow"]].isna().all()]
    assert 3 not in some and 30 in some

    def rank(method, index):
        value, values = scores.loc[index, method], [each for each in scores.loc[some, method] if each == each]
        missing = len(some) - len(values)
        if value != value:
            return 1
        return missing + sum(each < value for each in values) + (1 + sum(each == value for each in values)) / 2

    for how, of_ranks in (
        ("rank product", lambda shares: sum(np.log(shares))),
        ("rank mean", lambda shares: sum(shares) / len(shares)),
    ):
        column = with_combination(scores, ["fear", "synflow"], how)[f"{how} of fear, synflow"]
        assert set(column.dropna().index) == set(some)
        for index in some:
            shares = [rank(method, index) / len(some) for method in ("fear", "synflow")]
            assert column[index] == pytest.approx(of_ranks(shares), abs=1e-9)


def test_a_method_in_two_folders_is_compared_where_both_have_its_score(rows):  # noqa: F811
    scores = score_table(rows)
    others = scores.loc[10:].assign(fear=scores.fear**2 + scores.synflow, **{TRUTH: scores[TRUTH] % 7})
    table = same_methods(scores, others.drop(columns="synflow")).set_index("method")
    assert "synflow" not in table.index
    both = scores.loc[10:].index[scores.loc[10:].fear.notna() & others.fear.notna()]
    assert table.n["fear"] == len(both)
    for column, one, other in (
        ("here", scores.fear, scores[TRUTH]),
        ("there", others.fear, others[TRUTH]),
        ("together", scores.fear, others.fear),
    ):
        assert table[column]["fear"].startswith(f"{stats.spearmanr(one[both], other[both]).statistic:.2f} (")


def test_the_newest_folder_is_that_whose_last_command_began_last(tmp_path):
    """As its manifest says, whatever the dates of the files."""
    for name, *started in (("b", "2026-01-02"), ("c", "2026-03-01", "2026-01-03"), ("a",), ("d", "2026-01-01")):
        manifest = make(tmp_path / name, [trial(0)]) / "manifest.json"
        held = json.loads(manifest.read_text()) | {"sittings": [{"started": each} for each in started]}
        manifest.write_text(json.dumps(held))
    folders = newest_first(tmp_path)
    assert [folder.name for folder in folders] == ["c", "b", "d", "a"]
    assert folder_to_open("newest", folders) == tmp_path / "c" and folder_to_open("b", folders).name == "b"
    with pytest.raises(InputError, match="no results folder is here yet"):
        folder_to_open("newest", newest_first(tmp_path / "absent"))


def test_the_widgets_open_another_folder_and_one_beside(folder):
    records = [trial(index, score=(index * 3 % 13 + 1) / 20, accuracy=50.0 - index) for index in range(8)]
    other = make(folder.parent / "other", records)
    foreign = make(folder.parent / "foreign", [trial(100, accuracy=50.0)])
    shown = Explorer(Results(folder), [other, foreign, folder])
    assert set(shown.folder.options) == {"sweep", "other", "foreign"} and shown.compared.value == ""
    shown.beside.value = other
    assert "shortreg(epochs=1)" in shown.compared.value and "<td>8</td>" in shown.compared.value
    shown.of.value, shown.against.value = "shortreg(epochs=1)", "other: shortreg(epochs=1)"
    assert "n = 8" in shown.agreement.value and sum(len(trace.x) for trace in shown.figure.data) == 8
    shown.combined.value = ("snip", "shortreg(epochs=1)")
    assert shown.of.value == "rank product of shortreg(epochs=1), snip" in shown.agreement.value
    shown.how.value = "rank mean"
    assert shown.of.value == "rank mean of shortreg(epochs=1), snip" == shown.figure.layout.yaxis.title.text
    assert "rank product of shortreg(epochs=1), snip" not in shown.of.options
    shown.beside.value = foreign
    assert "foreign has no architecture in common" in shown.message.value
    append_to_journal(shown.results.folder, trial(17, score=0.4, accuracy=70.0))
    shown.refresh.click()
    assert any("other" in column for column in shown.scores) and "foreign" not in " ".join(shown.scores)
    shown.folder.value = other
    assert "8 architectures" in shown.heading.value and shown.message.value == shown.compared.value == ""
    assert shown.beside.value == "" and shown.of.value == "shortreg(epochs=1)"
    append_to_journal(other, trial(9, score=0.9, accuracy=10.0))
    shown.refresh.click()
    assert "9 architectures" in shown.heading.value


def test_a_notebook_shows_its_table_as_trials_finish(tmp_path, monkeypatch):
    """Of all trials in the folder, those of an earlier command too; at most so often, and once more at the end."""
    seen = []
    view = SimpleNamespace(update=seen.append)
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: view)
    sweep = make(tmp_path / "sweep", [trial(index, score=index / 10, accuracy=50.0 + index) for index in range(3)])
    for every, expected in ((0.0, [4, 5, 6, 6]), (60.0, [7, 9])):
        seen.clear()
        with shown_while_it_runs(sweep, every=every) as after_trial:
            for index in range(expected[0] - 1, expected[-1]):
                append_to_journal(sweep, trial(index, score=index / 10, accuracy=50.0 + index))
                after_trial(None)
        assert [table.n.item() for table in seen] == expected
    assert seen[-1].spearman.item().startswith("1.00 (")
