"""All sweeps as one table of scores: what is in it, against the folders' own rows."""

import gzip
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fearlib import Architecture, InputError, read_rows
from fearlib.ranking.every_score import (
    SCORES,
    columns_table,
    name_order,
    positions,
    read_scores,
    score_name,
    scores_of,
    wide_table,
    write_scores,
)
from fearlib.sweeps.indices import read_indices

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"


@pytest.fixture(scope="module")
def rows():
    return read_scores(RESULTS)


@pytest.mark.parametrize(
    "method, name",
    [
        ("fear(stage2_epochs=24)", "compact/fear(stage2_epochs=24)"),
        ("snip", "compact/snip"),
        ("snip(epoch=0.204082,epochs=1,schedule=constant)", "compact/snip(epoch=0.2,schedule=constant)"),
        # The first of 16 steps that reaches 0.2.
        ("snip(epoch=0.25,epochs=1,schedule=constant)", "compact/snip(epoch=0.2,schedule=constant)"),
        ("snip(epoch=1,epochs=4,schedule=constant)", "compact/snip(epoch=1,schedule=constant)"),
        ("snip(epoch=2,epochs=4,schedule=constant)", "compact/snip(epoch=2,epochs=4,schedule=constant)"),
        ("snip(epoch=0.2,epochs=8,schedule=cosine)", "compact/snip(epoch=0.2,epochs=8,schedule=cosine)"),
    ],
)
def test_names(method, name):
    assert score_name("compact", method) == name


def test_a_cell_is_what_the_sweep_measured(rows):
    """Every architecture and dataset once; of several seeds the lowest; no score and nothing measured differ."""
    wide = wide_table(rows, RESULTS)
    assert not wide.duplicated(["dataset", "index"]).any() and wide.columns.is_unique
    assert list(wide.columns[7:]) == sorted(wide.columns[7:], key=name_order)
    for folder in ("cifar10_compact", "zero_cost_cifar10", "cifar100_compact"):
        own = read_rows(RESULTS / folder)
        own = own[(own.seed == 0) & ~own.failed]
        table = wide[wide.dataset == own.dataset.iloc[0]].set_index("index")
        for method, each in own.groupby("method"):
            expected = each.set_index("index").score.fillna(-math.inf)
            found = table[score_name(each.preset.iloc[0], method)]
            pd.testing.assert_series_equal(found[expected.index], expected, check_names=False)
            accuracy = each.set_index("index").test_accuracy
            pd.testing.assert_series_equal(table.test_accuracy[accuracy.index], accuracy, check_names=False)
    table = wide[wide.dataset == "cifar10"].set_index("index")["compact/shortreg(epochs=1)"]
    measured = read_rows(RESULTS / "cifar10_compact").query("method == 'shortreg(epochs=1)'")
    assert set(table.index[table.notna()]) == set(measured["index"]) and len(measured) == 100
    assert [str(Architecture.from_index(index)) for index in wide["index"][:20]] == list(wide.arch[:20])


def test_what_is_left_out(rows):
    moments = rows.moment.dropna()
    assert 0 < moments.min() and moments.max() <= 1 and not rows.kind[moments.index].isin(["params", "zen"]).any()
    assert not (rows.kind == "full").any() and not rows.failed.any() and set(rows.space) == {"nats-tss"}
    assert not rows.duplicated(["dataset", "index", "name"]).any()


def test_accuracies_after_less_training_are_the_benchmarks(rows):
    wide = wide_table(rows, RESULTS)
    beside = pd.read_csv(RESULTS / "zero_cost_cifar10" / "accuracies.csv", index_col="index")
    for dataset in ("cifar10", "cifar100"):
        table = wide[(wide.dataset == dataset) & wide.position.notna()].set_index("index")
        np.testing.assert_allclose(table.test_accuracy_12ep, beside[f"{dataset}_12ep"][table.index])
        np.testing.assert_allclose(table.test_accuracy, beside[dataset][table.index])
    table = wide[wide.dataset == "cifar10"].set_index("index")
    np.testing.assert_allclose(table.valid_accuracy[beside.index], beside.cifar10_valid_val)
    others = wide[wide.dataset == "synthetic"]
    assert others.test_accuracy_12ep.isna().all() and others.valid_accuracy.isna().all()


def test_the_committed_table_is_that_of_the_folders(rows, tmp_path):
    """To the byte, before it is packed; and packed it is the same every time."""
    packed = []
    for _ in range(2):
        write_scores(rows, tmp_path, RESULTS)
        packed.append((tmp_path / SCORES).read_bytes())
    assert packed[0] == packed[1]
    assert gzip.decompress(packed[0]) == gzip.decompress((RESULTS / SCORES).read_bytes())


def test_positions_are_those_of_the_papers_list():
    place = positions(RESULTS)
    first = set(read_rows(RESULTS / "degradation_cifar10")["index"])  # the first hundred
    assert sorted(place) == list(range(1, 1001)) and set(place.index[place <= 100]) == first
    for name in (
        "zero_cost_tinyimagenet16-120",
        "early_cifar100",
    ):  # one worker, in order
        order = [architecture.index for architecture in read_indices(RESULTS / name)]
        assert list(place.index[: len(order)]) == order


def test_costs_are_means_over_what_was_measured(rows):
    place = positions(RESULTS)
    table = columns_table(rows, place.index).set_index(["score", "dataset"])
    own = read_rows(RESULTS / "zero_cost_cifar10")
    whole = read_rows(RESULTS / "zero_cost_whole_space")
    both = pd.concat([own[own.seed == 0], whole]).query("method == 'jacob_cov'").drop_duplicates("index")
    line = table.loc["paper/jacob_cov", "cifar10"]
    assert (line.n, line.out) == (both.score.notna().sum(), both.score.isna().sum())
    of_list = both[both["index"].isin(place.index)]
    assert line.listed == len(of_list) == 1000 and line.gmacs == pytest.approx(of_list.macs.mean() / 1e9)
    assert line.folder == "zero_cost_cifar10 zero_cost_whole_space"
    fear = [read_rows(RESULTS / name) for name in ("cifar10_compact", "funnel_cifar10")]
    fear = pd.concat(fear).query("method == 'fear(stage2_epochs=24)' and seed == 0")
    line, of_list = table.loc["compact/fear(stage2_epochs=24)", "cifar10"], fear[fear["index"].isin(place.index)]
    assert line.n + line.out == len(fear) > len(of_list) == line.listed
    assert line.gmacs == pytest.approx(of_list.macs.mean() / 1e9) and line.gmacs < fear.macs.mean() / 1e9 - 100
    each = scores_of(rows, "cifar10")
    assert each.macs["paper/jacob_cov"].mean() == pytest.approx(both.macs.mean())


def test_a_folder_without_sweeps_is_refused(tmp_path):
    with pytest.raises(InputError, match="no results of sweeps"):
        read_scores(tmp_path)
