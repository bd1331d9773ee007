"""Searches against a slow account of what they should have done, and a live search against its replay."""

import dataclasses
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from fearlib import Architecture, preset
from fearlib.errors import InputError
from fearlib.report.searches import papers_t3, search_table, shown_t3
from fearlib.search.evaluations import Evaluation, live, replay
from fearlib.search.random_orders import random_search_table, random_searches
from fearlib.search.searches import local_search, random_search
from fearlib.sweeps.rows import read_curves
from fearlib.sweeps.run import cached_dataset, run_sweep

NAN, INF = math.nan, math.inf
BATCH, IMAGES = 4, 10  # steps of 4, 4 and 2 images


def made_up(rng, count=12):
    """Rows and curves of FEAR trials, a record a step, and what each trial is made of."""
    rows, curves, trials = [], [], {}
    for index in range(count):
        macs, seconds = int(rng.integers(5, 20)), rng.uniform(0.5, 1.5)
        steps, reached = int(rng.integers(1, 9)), index != 3
        images = [(BATCH, BATCH, 2)[step % 3] for step in range(steps)]
        score = rng.uniform() if reached else NAN
        trials[index] = {
            "macs": macs,
            "seconds": seconds,
            "images": images,
            "score": score,
            "stage2": 1000 * reached,
        }
        line = {"index": index, "method": "fear", "seed": 5}
        for step, number in enumerate(images):
            record = {"epoch": step, "images": number, "macs": macs * number, "seconds": seconds * number}
            curves.append(line | record | {"stage": 1})
        if reached:
            curves.append(line | {"epoch": 1, "images": 100, "macs": 1000, "seconds": 10, "stage": 2})
        total = sum(images) * macs + trials[index]["stage2"], sum(images) * seconds + 10 * reached
        rows.append(line | {"score": score, "macs": total[0], "seconds": total[1], "outcome": "ok"})
    return pd.DataFrame(rows), pd.DataFrame(curves).sample(frac=1, random_state=0), trials


def slowly(trials, order, ratio):
    """The search step by step, as a person would do it."""
    fastest, macs, seconds, kept = INF, 0, 0.0, {}
    for index in order:
        trial, spent = trials[index], 0
        for images in trial["images"]:
            spent += images * trial["macs"]
            seconds += images * trial["seconds"]
            if spent >= ratio * fastest:
                break
        macs += spent
        if spent < ratio * fastest and not math.isnan(trial["score"]):
            macs, seconds = macs + trial["stage2"], seconds + 10
            fastest, kept[index] = min(fastest, spent), trial["score"]
    return max(kept, key=kept.get, default=None), len(order) - len(kept), macs, seconds


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.2, 2.0, 4.0, INF])
def test_replay_costs_what_the_steps_until_the_cut_cost(ratio):
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows, curves, trials = made_up(rng)
        order = rng.permutation(len(trials))[:9].tolist()
        found = random_search(replay(rows, curves, "fear", IMAGES, BATCH), order, ratio)
        index, dropped, macs, seconds = slowly(trials, order, ratio)
        assert (found.index, found.dropped, found.seen) == (index, dropped, 9)
        assert found.macs == macs and found.seconds == pytest.approx(seconds)


def test_without_stages_nothing_is_dropped_by_the_ratio():
    rows = pd.DataFrame({"index": [7, 8, 9], "method": "synflow", "seed": 0, "score": [1.0, 3.0, 2.0]})
    rows["outcome"] = "ok"
    rows["macs"], rows["seconds"] = [10, 20, 30], [1.0, 2.0, 3.0]
    curves = pd.DataFrame(columns=["index", "method", "seed", "stage"])
    found = random_search(replay(rows, curves, "synflow", IMAGES, BATCH), [9, 8, 7], 1.2)
    assert dataclasses.astuple(found) == (8, 3.0, 3, 0, 60, 6.0, 0, 0)


def test_all_dropped_is_nothing_found():
    found = random_search(lambda index, limit: Evaluation(NAN, INF, 5.0, 1.0), [1, 2])
    assert (found.index, found.dropped, found.macs) == (None, 2, 10.0) and math.isnan(found.score)


def test_of_equal_scores_the_earlier_wins():
    def level(index, _):
        return Evaluation(1.0, INF, 1, 1)

    assert random_search(level, [4, 2, 9]).index == 4
    found = local_search(level, 7)
    assert found.index == 7 and found.seen == 1 + 6 * 4


def test_local_search_climbs_to_a_top_and_pays_once_for_each():
    scores = {}

    def evaluate(index, limit):
        assert index not in scores, "evaluated twice"
        scores[index] = float(Architecture.from_index(index).ops.count("nor_conv_3x3"))
        return Evaluation(scores[index], INF, 1.0, 1.0)

    start = Architecture(("none",) * 6)
    found = local_search(evaluate, start.index)
    assert Architecture.from_index(found.index) == Architecture(("nor_conv_3x3",) * 6) and found.score == 6
    assert found.seen == found.macs == len(scores)
    neighbours = {index: {n.index for n in Architecture.from_index(index).neighbours()} for index in scores}
    moves = [index for index in scores if neighbours[index] <= set(scores)]  # those whose surroundings were seen
    assert sorted(scores[index] for index in moves) == [0, 1, 2, 3, 4, 5, 6]


def test_local_search_leaves_a_dropped_start():
    start = Architecture.from_index(0)
    better = start.neighbours()[5].index
    scores = {start.index: NAN, better: 2.0}
    found = local_search(lambda index, limit: Evaluation(scores.get(index, 1.0), INF, 1.0, 1.0), start.index)
    assert found.index == better and found.dropped == 1


def test_live_search_agrees_with_its_replay(tmp_path):
    """Trials are measured without a limit, then searched live with limits: choice, drops and macs are the same."""
    small = {"train_images": 100, "batch_size": 16, "threshold": 0.12, "stage1_epochs": 6}
    settings = preset("smoke", "synthetic", **small, threshold_checks=3)
    architectures = [Architecture.from_index(index) for index in range(8)]
    rows = run_sweep(tmp_path / "sweep", "synthetic", settings, ["fear"], architectures, seeds=[3])
    curves = read_curves(tmp_path / "sweep")
    label = rows.method.iloc[0]
    dataset = cached_dataset("synthetic", None, settings.resolution, settings.train_images)
    order = [5, 0, 3, 6, 1, 7, 2, 4]
    dropped = []
    for ratio in (1.05, 2.0):
        replayed = random_search(replay(rows, curves, label, len(dataset.train_labels), 16), order, ratio)
        alive = random_search(live(label, 3, dataset, settings), order, ratio)
        assert dataclasses.replace(alive, seconds=0) == dataclasses.replace(replayed, seconds=0)
        dropped.append(replayed.dropped)
    assert dropped[0] > rows.score.isna().sum()  # the limits matter


def test_a_measure_scores_as_in_a_sweep(tmp_path):
    settings = preset("smoke", "synthetic", train_images=100, zero_cost_batch=8)
    architectures = [Architecture.from_index(index) for index in (4, 17)]
    rows = run_sweep(tmp_path, "synthetic", settings, ["zero_cost"], architectures, seeds=[3])
    dataset = cached_dataset("synthetic", None, settings.resolution, settings.train_images)
    for measure in ("synflow", "nwot", "params"):
        evaluate = live(f"zero_cost(measures={measure})", 3, dataset, settings)
        each = rows[rows.method == measure].set_index("index")
        for index in (4, 17):
            assert evaluate(index, INF).score == pytest.approx(each.score[index], rel=1e-6)
            assert evaluate(index, INF).macs == each.macs[index]
    with pytest.raises(InputError, match="unknown"):
        live("zero_cost(measures=synflaw)", 3, dataset, settings)


def test_replay_refuses_what_it_cannot_replay():
    rows, curves, _ = made_up(np.random.default_rng(0))
    with pytest.raises(InputError, match="no trials of shortreg"):
        replay(rows, curves, "shortreg", IMAGES, BATCH)
    for ratio in (0, -1.0, NAN):
        with pytest.raises(InputError, match="above 0 times the cheapest"):
            random_search(replay(rows, curves, "fear", IMAGES, BATCH), [0], ratio)
    rows.loc[2, ["outcome", "score", "macs"]] = ["failed: out of memory", NAN, NAN]
    with pytest.raises(InputError, match="architecture 2 has no trial"):
        random_search(replay(rows, curves, "fear", IMAGES, BATCH), [1, 2])
    with pytest.raises(InputError, match="all of one seed"):
        replay(pd.concat([rows, rows.assign(seed=6)]), curves, "fear", IMAGES, BATCH)
    with pytest.raises(InputError, match="architecture 99 has no trial of fear"):
        random_search(replay(rows, curves, "fear", IMAGES, BATCH), [99])


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.2, 4.0, INF])
def test_many_searches_at_once_are_what_each_would_be(ratio):
    """An architecture that an order has twice is searched as two that are alike."""
    rng = np.random.default_rng(4)
    rows, curves, trials = made_up(rng)
    evaluate, twice = replay(rows, curves, "fear", IMAGES, BATCH), sorted(trials) * 2
    each = {place: trials[index] for place, index in enumerate(twice)}
    orders = np.array([rng.permutation(len(twice))[:9] for _ in range(40)])
    for line, order in zip(random_searches(evaluate, twice, orders, ratio).itertuples(), orders):
        place, dropped, macs, seconds = slowly(each, order, ratio)
        assert (line.dropped, line.macs) == (dropped, macs) and line.seconds == pytest.approx(seconds)
        assert line.place == (-1 if place is None else place)
    with pytest.raises(InputError, match="above 0 times the cheapest"):
        random_searches(evaluate, twice, orders, 0)


def test_random_search_table_is_the_mean_over_orders():
    rows, curves, trials = made_up(np.random.default_rng(2))
    accuracy = pd.Series(np.random.default_rng(3).uniform(80, 95, len(trials)), index=sorted(trials))
    evaluate = replay(rows, curves, "fear", IMAGES, BATCH)
    searches = {("fear", ratio): partial(random_searches, evaluate, ratio=ratio) for ratio in (1.2, INF)}
    table = random_search_table(searches, accuracy, 7, 50, ("fear", INF), resamples=20, seed=1)
    rng = np.random.default_rng(1)
    orders = [accuracy.index[rng.permutation(len(trials))[:7]].tolist() for _ in range(50)]
    means = []
    for line, ratio in zip(table.itertuples(), (1.2, INF)):
        index, dropped, macs, seconds = zip(*(slowly(trials, order, ratio) for order in orders))
        found = [accuracy[i] for i in index]
        assert line.found == pytest.approx(np.mean(found)) and line.macs == pytest.approx(np.mean(macs))
        assert table.loc[line.Index, "found sd"] == pytest.approx(np.std(found, ddof=1))
        assert table.loc[line.Index, "macs sd"] == pytest.approx(np.std(macs, ddof=1))
        assert line.seconds == pytest.approx(np.mean(seconds)) and line.dropped == np.mean(dropped)
        assert table.loc[line.Index, "found low"] < line.found < table.loc[line.Index, "found high"]
        means.append((np.mean(found), np.mean(macs)))
    assert table.difference[0] == pytest.approx(means[0][0] - means[1][0])
    assert table.speedup[0] == pytest.approx(means[1][1] / means[0][1]) and table.speedup[0] > 1
    assert table["difference low"][0] < table.difference[0] < table["difference high"][0]
    assert list(table.loc[1, ["difference", "difference low", "difference high"]]) == [0, 0, 0]
    assert list(table.loc[1, ["speedup", "speedup low", "speedup high"]]) == [1, 1, 1]
    everything = random_search_table(dict([searches.popitem()]), accuracy, len(trials), orders=3, resamples=1)
    assert everything["found sd"][0] == pytest.approx(0, abs=1e-9) and everything.macs[0] == rows.macs.sum()
    with pytest.raises(InputError, match="cannot see 13 of 12"):
        random_search_table({}, accuracy, 13)
    for unusable in (accuracy.where(accuracy.index > 0), accuracy.where(accuracy.index > 0, INF)):
        with pytest.raises(InputError, match="test accuracy of every architecture"):
            random_search_table({}, unusable, 5)
    for wrong in ({"orders": 0}, {"orders": 1.5}, {"length": 1.5}, {"resamples": 0}, {"seed": -1}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}"):
            random_search_table({}, accuracy, **{"length": 5} | wrong)
    with pytest.raises(InputError, match="is not among the searches"):
        random_search_table({}, accuracy, 5, reference=("fear", INF))
    for sizes in ((0, 4), (-1, 4), (10, 0), (10.0, 4)):
        with pytest.raises(InputError, match="it must be an integer of at least 1"):
            replay(rows, curves, "fear", *sizes)


def test_two_sweeps_of_a_dataset_are_two_lines_of_t3():
    columns = ["found", "found sd", "macs", "macs sd"]
    columns += [f"{name}{end}" for name in ("difference", "speedup") for end in ("", " low", " high")]
    table = pd.DataFrame([("fear", 4.0), ("shortreg(epochs=50)", INF)], columns=["method", "ratio"])
    tables = {
        name: table.assign(n=9, length=4, preset="compact", dataset="cifar10", **dict.fromkeys(columns, value))
        for name, value in {"a": 1.5, "b": 2.5}.items()
    }
    rows = {name: each.drop(columns="ratio") for name, each in tables.items()}
    found = papers_t3(tables, rows, {"cifar10.fear.accuracy": 93.97})
    assert list(found.sweep) == ["a", "b"] and list(found["fear found"]) == [1.5, 2.5]
    assert list(found["fear paper found"]) == [93.97, 93.97]
    assert list(shown_t3(found).sweep) == ["a", "b"]
    of_preset = table.assign(method=["fear(stage2_epochs=24)", "shortreg(epochs=50)"], preset="compact")
    of_preset = pd.concat([of_preset, of_preset[:1].assign(method="fear(stage2_epochs=8)")])
    of_preset["dataset"] = "cifar10"
    searched = of_preset.assign(n=9, length=4, **dict.fromkeys(columns, 1.0)).drop(columns=["preset", "dataset"])
    assert papers_t3({"a": searched}, {"a": of_preset}, {}).FEAR[0] == "fear(stage2_epochs=24)"
    with pytest.raises(InputError, match="T3 is FEAR at 4 times the fastest: add 4 to the ratios"):
        papers_t3({"a": searched[searched.ratio != 4]}, {"a": of_preset}, {})
    with pytest.raises(InputError, match="needs rows of FEAR and of short training"):
        search_table("nowhere", of_preset[of_preset.method != "shortreg(epochs=50)"], [4])


def test_the_interval_of_a_search_is_that_of_the_mean_where_the_search_is_a_mean():
    """Of one architecture each, a search finds the mean accuracy, whose standard error is known."""
    accuracy = pd.Series(np.random.default_rng(5).normal(90, 2, 150))
    search = partial(random_searches, lambda index, limit: Evaluation(1.0, INF, 1.0, 1.0))
    table = random_search_table({("any", INF): search}, accuracy, 1, 20_000)
    half = (table["found high"] - table["found low"])[0] / 2
    with_orders = accuracy.std() * math.sqrt(1 / 150 + 1 / 100)  # and of a resample's hundred orders
    assert half == pytest.approx(1.96 * with_orders, rel=0.15)
    assert table.found[0] == pytest.approx(accuracy.mean(), abs=0.06)


def test_a_difference_that_rests_on_one_architecture_may_be_chance():
    """One search never finds the best of forty, and else they find the same: a third of the resamples lack it."""
    accuracy = pd.Series([*range(39), 100.0])
    blind = partial(random_searches, lambda index, limit: Evaluation(INF if index == 39 else index, INF, 1.0, 1.0))
    sees = partial(random_searches, lambda index, limit: Evaluation(index, INF, 1.0, 1.0))
    searches = {("blind", INF): blind, ("sees", INF): sees}
    table = random_search_table(searches, accuracy, 20, reference=("sees", INF))
    assert table["difference low"][0] < table.difference[0] < -20 and table["difference high"][0] == 0


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_dropped(wrong):
    scores = {0: 1.0, 1: wrong, 2: 2.0}
    found = random_search(lambda index, limit: Evaluation(scores[index], math.inf, 1.0, 1.0), [0, 1, 2])
    assert (found.index, found.score, found.seen, found.dropped) == (2, 2.0, 3, 1)
