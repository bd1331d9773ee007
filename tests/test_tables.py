from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fearlib import Architecture, InputError, ranking_table, read_rows
from fearlib.ranking.degradation import degradation_table, shown_degradation
from fearlib.ranking.finished import finished_architectures
from fearlib.ranking.so_far import spearman_so_far
from fearlib.ranking.tables import (
    common_table,
    compare_methods,
    format_ranking,
    nearest_shortreg,
    top_table,
)
from fearlib.spaces.darts import sample_genotypes
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.rows import ROW_COLUMNS


@pytest.fixture(scope="module")
def rows():
    """Forty architectures; `fear` scores all but five, `synflow` all, with two seeds for FEAR."""
    random = np.random.default_rng(0)
    accuracy = random.uniform(50, 94, 40)
    made = []
    for method, seeds, noise in (("fear", (0, 1), 3), ("synflow", (0,), 30), ("shortreg(epochs=10)", (0,), 5),
                                 ("shortreg(epochs=2)", (0,), 10)):  # fmt: skip
        for seed in seeds:
            for index in range(40):
                value = accuracy[index] + random.normal(0, noise)
                out = method == "fear" and index < 5
                made.append(
                    {
                        "space": "nats-tss", "index": index, "arch": str(Architecture.from_index(index)),
                        "dataset": "cifar10", "preset": "test", "method": method,
                        "score": np.nan if out else value, "seconds": 1.0 + index + seed,
                        "macs": 10**9 * (index + 1),
                        "seed": seed, "test_accuracy": accuracy[index],
                        "outcome": "below threshold" if out else "ok",
                    }
                )  # fmt: skip
    return pd.DataFrame(made, columns=ROW_COLUMNS)


def line_of(table, method):
    return table[table.method == method].iloc[0]


def with_infinities(rows):
    """Synflow's first is infinite, its second minus infinite; one of two seeds of FEAR on the eighth."""
    scores = rows.score.mask((rows.method == "synflow") & (rows["index"] == 0), np.inf)
    scores = scores.mask((rows.method == "synflow") & (rows["index"] == 1), -np.inf)
    scores = scores.mask((rows.method == "fear") & (rows["index"] == 7) & (rows.seed == 1), np.inf)
    return rows.assign(score=scores)


def test_an_infinite_score_counts_as_none(rows, tmp_path):
    """Everywhere: as if it were NaN. Of two seeds the other counts. Read from a file, its outcome says so."""
    given = with_infinities(rows)
    expected = given.assign(score=given.score.replace([np.inf, -np.inf], np.nan))
    for table in (ranking_table, top_table, common_table):
        pd.testing.assert_frame_equal(table(given, resamples=20), table(expected, resamples=20))
    pd.testing.assert_frame_equal(compare_methods(given, "fear"), compare_methods(expected, "fear"))
    ranking = ranking_table(given, resamples=20)
    assert (line_of(ranking, "synflow")["n"], line_of(ranking, "synflow")["out"]) == (38, 2)
    assert (line_of(ranking, "fear")["n"], line_of(ranking, "fear")["out"]) == (35, 5)
    kept = rows[(rows.method == "synflow") & (rows["index"] > 1)]
    assert line_of(ranking, "synflow").spearman == pytest.approx(
        stats.spearmanr(kept.score, kept.test_accuracy).statistic
    )
    given.to_csv(tmp_path / "rows.csv", index=False)
    read = read_rows(tmp_path)
    assert np.isfinite(read.score.dropna()).all() and read.score.isna().sum() == 10 + 3
    assert read.outcome.value_counts()["undefined: its score is infinite"] == 3


def test_ranking_against_scipy(rows):
    line = line_of(ranking_table(rows, resamples=200), "synflow")
    of_method = rows[rows.method == "synflow"]
    assert line.spearman == pytest.approx(stats.spearmanr(of_method.score, of_method.test_accuracy).statistic)
    assert line.kendall == pytest.approx(stats.kendalltau(of_method.score, of_method.test_accuracy).statistic)
    best = of_method.nlargest(8, "test_accuracy")
    assert line["top 20%"] == pytest.approx(stats.spearmanr(best.score, best.test_accuracy).statistic)
    assert line["common 20%"] == len(set(best["index"]) & set(of_method.nlargest(8, "score")["index"])) / 8
    assert line.low < line.spearman < line.high
    assert (line.n, line.out, line.gmacs) == (40, 0, 20.5)


def test_what_has_no_accuracy_takes_no_part(rows):
    """Unless nothing has one; then the scores are counted all the same."""
    few = rows.assign(test_accuracy=rows.test_accuracy.where(rows["index"] < 10))
    line = line_of(ranking_table(few, resamples=50), "fear")
    known = (
        few[(few.method == "fear") & few["index"].between(5, 9)]
        .groupby("index")[["score", "test_accuracy"]]
        .mean()
    )
    assert (line.n, line.out) == (5, 5)
    assert line.spearman == pytest.approx(stats.spearmanr(known.score, known.test_accuracy).statistic)
    none = line_of(ranking_table(rows.assign(test_accuracy=np.nan), resamples=50), "fear")
    assert (none.n, none.out) == (35, 5) and np.isnan(none.spearman)


def test_seeds_are_averaged_and_architectures_without_a_score_counted(rows):
    line = line_of(ranking_table(rows, resamples=50), "fear")
    assert (line.n, line.out) == (35, 5)
    mean = rows[(rows.method == "fear") & (rows["index"] >= 5)].groupby("index")[["score", "test_accuracy"]].mean()
    assert line.spearman == pytest.approx(stats.spearmanr(mean.score, mean.test_accuracy).statistic)
    assert line.seconds == pytest.approx(1 + 19.5 + 0.5)


def test_common_table_has_one_set_for_all(rows):
    shared = common_table(rows, resamples=50)
    assert set(shared.n) == {35} and set(shared.out) == {0}
    some = rows[(rows.method == "synflow") & (rows["index"] >= 5)]
    expected = stats.spearmanr(some.score, some.test_accuracy).statistic
    assert line_of(shared, "synflow").spearman == pytest.approx(expected)


def test_difference_between_two_methods_is_paired(rows):
    table = compare_methods(rows, "fear", resamples=200).set_index("than")
    line = table.loc["synflow"]
    shared = rows[rows["index"] >= 5]
    expected = []
    for method in ("fear", "synflow"):
        mean = shared[shared.method == method].groupby("index")[["score", "test_accuracy"]].mean()
        expected.append(stats.spearmanr(mean.score, mean.test_accuracy).statistic)
    assert line.n == 35 and line.difference == pytest.approx(expected[0] - expected[1])
    assert 0 < line.low < line.difference < line.high
    assert list(table.index) == ["shortreg(epochs=2)", "shortreg(epochs=10)", "synflow"]
    twin = pd.concat([rows, rows[rows.method == "synflow"].assign(method="snip")])
    same = compare_methods(twin, "synflow", 50, resamples=50).set_index("than").loc["snip"]
    assert same.difference == same.low == same.high == 0
    with pytest.raises(InputError, match="no scores of 'grasp': the methods are fear"):
        compare_methods(rows, "grasp")
    with pytest.raises(InputError, match="there are two rows of .*: rank each dataset, preset and search space"):
        compare_methods(pd.concat([rows, rows.assign(dataset="another")]), "fear")


def test_order_of_methods(rows):
    names = list(ranking_table(rows, resamples=10).method)
    assert names == ["fear", "shortreg(epochs=2)", "shortreg(epochs=10)", "synflow"]


def test_the_printed_table_says_n_and_the_interval(rows):
    table = ranking_table(rows, resamples=50)
    text = format_ranking(table)
    line = line_of(table, "fear")
    assert f"| {line.spearman:.2f} ({line.low:.2f}..{line.high:.2f})" in text
    assert "| fear                | 35  | 5 " in text


def test_full_training_is_ranked_by_the_benchmark_but_not_by_itself(rows):
    full = rows[rows.method == "synflow"].assign(method="full", score=lambda each: each.score / 100)
    line = line_of(ranking_table(pd.concat([rows, full]), resamples=50), "full")
    assert line.spearman == pytest.approx(stats.spearmanr(full.score, full.test_accuracy).statistic)
    own = full.score * 100
    own.index = full["index"]
    judged = pd.concat([rows, full]).assign(test_accuracy=lambda each: each["index"].map(own))
    table = ranking_table(judged, resamples=50)
    line = line_of(table, "full")
    assert line.drop(["method", "n", "out", "seconds", "gmacs"]).isna().all()
    assert (line.n, line.out, line.gmacs) == (40, 0, 20.5)
    assert line_of(table, "fear").spearman == pytest.approx(
        stats.spearmanr(
            *judged[judged.method == "fear"].groupby("index")[["score", "test_accuracy"]].mean().dropna().T.values
        ).statistic
    )


def test_missing_rows(tmp_path, rows):
    with pytest.raises(InputError, match="holds neither rows.csv.gz nor journal.jsonl"):
        read_rows(tmp_path)
    rows.drop(columns=["macs", "seed"]).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match=r"lacks the column\(s\) macs, seed"):
        read_rows(tmp_path)


def test_indices_from_rows(tmp_path, rows):
    rows.to_csv(tmp_path / "rows.csv", index=False)
    assert [architecture.index for architecture in read_indices(tmp_path / "rows.csv", 7)] == list(range(7))
    rows.drop(columns="index").to_csv(tmp_path / "rows.csv", index=False)
    assert [architecture.index for architecture in read_indices(tmp_path / "rows.csv", 7)] == list(range(7))
    rows.drop(columns=["index", "arch"]).to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match="neither a column index nor a column arch, but space, dataset"):
        read_indices(tmp_path / "rows.csv")


STRINGS = [str(Architecture.from_index(index)) for index in (9930, 77, 5)]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
@pytest.mark.parametrize(
    "write",
    [
        lambda table, path: table[["arch"]].to_csv(path, index=False),
        lambda table, path: table[["arch"]].to_csv(path),
        lambda table, path: table[["index"]].to_csv(path, index=False),
        lambda table, path: table.to_csv(path, index=False, sep=";", encoding="utf-8-sig"),
        lambda table, path: table.rename(columns={"arch": " Arch "}).to_csv(path, index=False, sep="\t"),
        lambda table, path: table.assign(arch=table.arch.str.replace("+", " + ")).to_csv(path, index=False),
        lambda table, path: pd.concat([table, table]).to_csv(path, index=False),
    ],
    ids=["arch", "arch after the rows' numbers", "index", "semicolons and a mark", "tabs", "blanks", "twice"],
)
def test_a_table_of_architectures(tmp_path, write, ending):
    path = tmp_path / f"chosen{ending}"
    write(pd.DataFrame({"index": [9930, 77, 5], "arch": STRINGS, "note": "a"}), path)
    assert [architecture.index for architecture in read_indices(path)] == [9930, 77, 5]


def test_an_index_that_contradicts_its_string_is_refused(tmp_path):
    """What `df.reset_index().to_csv()` makes: the rows' numbers, called index, beside other architectures."""
    path = tmp_path / "chosen.csv"
    pd.DataFrame({"arch": STRINGS}).reset_index().to_csv(path, index=False)
    with pytest.raises(InputError) as error:
        read_indices(path)
    assert str(path) in str(error.value) and STRINGS[0] in str(error.value)
    assert f"architecture 0 is {Architecture.from_index(0)}" in str(error.value)
    for line in ("77,", "77,nonsense", ",", "x,"):
        path.write_text(f"index,arch\n{line}\n")
        with pytest.raises(InputError, match="chosen.csv"):
            read_indices(path)
    path.write_text(f"index,index,arch\n77,5,{STRINGS[1]}\n")
    with pytest.raises(InputError, match="more than one column index"):
        read_indices(path)
    path.write_text(f"Index,INDEX,arch\n77,5,{STRINGS[1]}\n")
    with pytest.raises(InputError, match="more than one column index: Index, INDEX"):
        read_indices(path)


def test_a_text_of_architectures(tmp_path):
    """Indices, strings and NASLib's numbers, with comments, blanks and a byte order mark; of any space."""
    path = tmp_path / "chosen.txt"
    numbers = Architecture.from_string("(4, 0, 3, 1, 4, 3)").index
    text = f"# chosen\r\n{STRINGS[0]}  # best\r\n\r\n 77 3\t4 \r\n(4, 0, 3, 1, 4, 3)\n"
    text += STRINGS[2].replace("+", " + ")
    for mark in ("", "\ufeff"):
        path.write_text(mark + text, encoding="utf-8")
        assert [architecture.index for architecture in read_indices(path)] == [9930, 77, 3, 4, numbers, 5]
    path.write_text(f"77\n{STRINGS[1]}\n")
    with pytest.raises(InputError, match="names an architecture twice"):
        read_indices(path)
    for line in ("index,arch", f"5,{STRINGS[2]}", STRINGS[2] + STRINGS[2], "-5", "3.0", "9" * 5000, "\0"):
        path.write_text(f"3\n{line}\n")
        with pytest.raises(InputError, match="chosen.txt, line 2: ") as error:
            read_indices(path)
        assert len(str(error.value)) < 1000
    path.write_bytes(b"3\n\xff\xfe\n")
    with pytest.raises(InputError, match="chosen.txt is not a text"):
        read_indices(path)
    genotypes = sample_genotypes(2, 0)
    path.write_text(f" {genotypes[0]} # one\n{genotypes[1].index}\n")
    assert read_indices(path, space="darts") == genotypes


def test_indices_from_a_file(tmp_path):
    path = tmp_path / "indices.txt"
    path.write_text("3\n0\n15624\n")
    assert [a.index for a in read_indices(path)] == [3, 0, 15624]
    assert [a.index for a in read_indices(path, 2)] == [3, 0]
    for text, message in (
        ("# none\n", "indices.txt names no architecture"),
        ("3\nx\n", "line 2: 'x' is not an architecture"),
        ("3\n99999\n", "line 2: architecture index 99999"),
        ("3\n3\n", "names an architecture twice"),
        ("3\n", "has 1 architectures, but 2 were asked for"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_indices(path, 2)
    with pytest.raises(InputError, match="absent.txt is not a file"):
        read_indices(tmp_path / "absent.txt")


def test_indices_of_a_results_folder_in_the_order_of_its_sweep(tmp_path):
    folder = Path(__file__).parents[1] / "results" / "cifar10_paper"
    assert [a.index for a in read_indices(folder, 31)] == finished_architectures(folder)
    with pytest.raises(InputError, match="holds architectures of nats-tss, not of darts"):
        read_indices(folder, 3, "darts")
    with pytest.raises(InputError, match="not a readable manifest"):
        read_indices(tmp_path)


def test_top_table_against_scipy(rows):
    table = top_table(rows, (25, 100), resamples=50).set_index(["method", "top"])
    of_method = rows[rows.method == "synflow"]
    for percent, count in ((25, 10), (100, 40)):
        best = of_method.nlargest(count, "test_accuracy")
        line = table.loc[("synflow", percent)]
        assert line.spearman == pytest.approx(stats.spearmanr(best.score, best.test_accuracy).statistic)
        assert line.n == count and line.low < line.spearman < line.high
        chosen = set(of_method.nlargest(count, "score")["index"])
        assert line.common == len(chosen & set(best["index"])) / count
        assert line.gmacs == pytest.approx(best.macs.mean() / 1e9)
        assert line["seconds se"] == pytest.approx(stats.sem(best.seconds))
    assert table.loc[("fear", 100)].n == 35  # five have no score


def test_indices_of_another_space_are_refused(rows, tmp_path):
    rows.to_csv(tmp_path / "rows.csv")
    assert [a.index for a in read_indices(tmp_path / "rows.csv", 3)] == [0, 1, 2]
    with pytest.raises(InputError, match="holds architectures of nats-tss, not of darts"):
        read_indices(tmp_path / "rows.csv", 3, "darts")


def test_nearest_shortreg_is_on_the_front_and_nearest_in_log_cost():
    settings = [  # on the front: the first, second and fourth
        ("shortreg(epochs=1)", 1.0, 0.2), ("shortreg(epochs=2)", 10.0, 0.5), ("shortreg(epochs=3)", 25.0, 0.4),
        ("shortreg(epochs=4)", 100.0, 0.8), ("shortreg(epochs=5)", 40.0, float("nan")),
    ]  # fmt: skip
    lines = [("fear", cost, 0.6) for cost in (2.0, 30.0, 33.0)]
    made = [(name, top, cost, value) for top, (_, *_) in enumerate(lines) for name, cost, value in settings]
    made += [(name, top, cost, value) for top, (name, cost, value) in enumerate(lines)]
    table = pd.DataFrame(made, columns=["method", "top", "gmacs", "spearman"])
    table["common"], table["seconds"] = table.spearman, 2 * table.gmacs
    nearest = nearest_shortreg(table, "fear")
    each = nearest[nearest.value == "spearman"].set_index("top")
    assert each.setting.to_list() == ["shortreg(epochs=1)", "shortreg(epochs=2)", "shortreg(epochs=4)"]
    assert each.theirs.to_list() == [0.2, 0.5, 0.8] and set(each.ours) == {0.6}
    assert each["their seconds"].to_list() == [2, 20, 200] and each["our gmacs"].to_list() == [2, 30, 33]
    with pytest.raises(InputError, match="needs rows of fear and of shortreg"):
        nearest_shortreg(table[table.method == "fear"], "fear")


def degraded(rows):
    """`synflow` at two moments of two schedules, the second moment of the first one turned upside down."""
    parts = []
    for schedule in ("cosine", "constant"):
        for epoch, sign in (("0", 1), ("0.25", -1 if schedule == "cosine" else 1)):
            part = rows[rows.method == "synflow"].copy()
            part["method"], part["score"] = (
                f"synflow(epoch={epoch},epochs=2,schedule={schedule})",
                sign * part.score,
            )
            parts.append(part)
    return pd.concat([*parts, rows[rows.method == "fear"]])


def test_degradation_table_against_scipy(rows):
    table = degradation_table(degraded(rows), resamples=50).set_index(["schedule", "epoch"])
    of_method = rows[rows.method == "synflow"]
    expected = stats.spearmanr(of_method.score, of_method.test_accuracy).statistic
    assert set(table.measure) == {"synflow"} and set(table.n) == {40} and set(table["n 50%"]) == {20}
    assert table.spearman["cosine, 2 epochs"].to_dict() == pytest.approx({0: expected, 0.25: -expected})
    assert table.spearman["constant"].to_dict() == pytest.approx({0: expected, 0.25: expected})
    best = of_method.nlargest(20, "test_accuracy")
    expected = stats.spearmanr(best.score, best.test_accuracy).statistic
    assert table["top 50%"]["constant", 0.25] == pytest.approx(expected)
    with pytest.raises(InputError, match="there are no measures at moments of training"):
        degradation_table(rows)


def test_at_a_constant_rate_trainings_of_all_lengths_are_one():
    rows = [
        (index, f"{name}(epoch={epoch},epochs={epochs},schedule=constant)", score * (index % 4))
        for index in range(12)
        for epochs in ((1,) if index < 8 else (2,))
        for epoch in range(epochs + 1)
        for name, score in (("snip", 1 - epoch), ("zen", 1), ("train_top1", epoch))
    ]
    rows = pd.DataFrame(rows, columns=["index", "method", "score"])
    rows = rows.assign(test_accuracy=rows["index"] % 4, outcome="ok")
    table = degradation_table(rows, resamples=20)
    snip = table[table.measure == "snip"]
    assert set(table.measure) == {"snip", "train_top1"} and set(table.schedule) == {"constant"}
    assert dict(zip(snip.epoch, snip.n)) == {0: 12, 1: 12, 2: 4}
    assert snip.spearman.to_list() == pytest.approx([1, np.nan, -1], nan_ok=True)
    assert snip.train_top1.to_list() == [0, 1.5, 3]
    shown = shown_degradation(table)["Over all architectures"].set_index("measure")
    assert shown.n.to_dict() == {"snip": "12 to 1, 4 to 2", "train_top1": "12 to 1, 4 to 2"}
    assert shown["0"].to_dict() == {"snip": "1.00 (1.00..1.00)", "train_top1": ""}


def test_failed_trials_count_as_none_at_all(rows):
    """They are tried again: neither without a score, nor among the best by accuracy."""
    failed = rows[rows["index"] < 8].assign(score=np.nan, outcome="failed: no room", test_accuracy=99.0)
    failed = failed.assign(index=failed["index"] + 100)
    for table in (ranking_table, top_table):
        pd.testing.assert_frame_equal(table(pd.concat([rows, failed]), resamples=5), table(rows, resamples=5))


def test_what_is_looked_at_while_a_sweep_runs_is_the_ranking_so_far(rows):
    """Without measures in training, failed trials, and the truth beside itself."""
    full = rows[rows.method == "synflow"].assign(method="full", score=rows.test_accuracy / 100)
    moment = full.assign(method="snip(epoch=1,epochs=8,schedule=cosine)")
    failed = rows[rows["index"] < 8].assign(score=np.nan, outcome="failed: no room", test_accuracy=np.nan)
    failed = failed.assign(index=failed["index"] + 100)
    found = spearman_so_far(pd.concat([rows, full, moment, failed])).set_index("method")
    expected = ranking_table(rows, resamples=5).set_index("method")
    assert list(found.index) == ["fear", "full", *expected.index.drop("fear")] and found.spearman["full"] == "–"
    values = found.spearman[expected.index].str.split().str[0]
    assert values.to_list() == expected.spearman.map("{:.2f}".format).to_list()
    for name in ("n", "seconds"):
        pd.testing.assert_series_equal(found.loc[expected.index, name], expected[name], check_dtype=False)
