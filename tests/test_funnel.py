"""Funnels: step by step, against a sweep of everything, and a live one that is interrupted."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from fearlib import Architecture, InputError, preset, read_rows, run_sweep
from fearlib.funnel.funnel import run_funnel
from fearlib.funnel.plan import read_parts
from fearlib.ranking.combinations import az_nas, rank_mean, rank_product
from fearlib.search.evaluations import Evaluation, live, replay
from fearlib.search.random_orders import funnel_searches
from fearlib.search.searches import funnel_search
from fearlib.spaces.darts import sample_genotypes
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.presets import SMOKE
from fearlib.sweeps.rows import read_curves
from fearlib.sweeps.run import cached_dataset
from fearlib.sweeps.trial import run_trial

NAN, INF = math.nan, math.inf


def looked_up(scores, cost, seen=None):
    def evaluate(index, limit):
        if seen is not None:
            seen.append(index)
        return Evaluation(scores[index], INF, cost, cost / 2)

    return evaluate


def test_a_funnel_worked_by_hand():
    """Of six, the three with the best rank products of a and b are trained; the last of these gets no score."""
    a = {7: 1.0, 3: 6.0, 5: 5.0, 2: 4.0, 9: 3.0, 1: 2.0}
    b = {7: 6.0, 3: 5.0, 5: 3.0, 2: 4.0, 9: 1.0, 1: NAN}  # products: 6 30 15 16 6 2, 1 ranking lowest in b
    trained, seen = {3: 0.2, 5: NAN, 2: 0.9}, []
    screens = {"a": looked_up(a, 10), "b": looked_up(b, 2)}
    found = funnel_search(screens, looked_up(trained, 100, seen), [7, 3, 5, 2, 9, 1, 3], keep=3)
    assert seen == [3, 2, 5]
    # Among 3, 2 and 5: in a 3 1 2, in b 3 2 1, trained 2 3 1.
    assert (found.index, found.seen, found.dropped) == (3, 6, 1)
    assert found.score == pytest.approx(math.log(3 * 3 * 2 / 27))
    assert (found.screening_macs, found.macs, found.screening_seconds, found.seconds) == (72, 372, 36, 186)


def test_a_funnel_agrees_with_a_slow_account():
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = pd.DataFrame(rng.integers(0, 5, (12, 3)).astype(float), columns=["a", "b", "c"])
        table = table.mask(rng.random(table.shape) < 0.15)
        order = rng.permutation(12)[:9].tolist()
        screens = {name: looked_up(table[name], 1.0) for name in "ab"}
        for combine in (rank_product, rank_mean):
            found = funnel_search(screens, looked_up(table["c"], 5.0), order, keep=4, combine=combine)
            free = combine(table.loc[order, ["a", "b"]])
            kept = sorted(order, key=lambda index: -free[index])[:4]  # stable, as the search
            both = combine(table.loc[kept])
            scored = [index for index in kept if not math.isnan(table["c"][index])]
            best = max(scored, key=lambda index: both[index], default=None)
            assert (found.index, found.dropped) == (best, 4 - len(scored))
            assert found.macs == 2 * 9 + 5 * 4 and found.screening_macs == 18


def test_many_funnels_at_once_are_what_each_would_be():
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.integers(0, 4, (15, 3)).astype(float), columns=["a", "b", "c"])
    table = table.mask(rng.random(table.shape) < 0.2).set_axis(range(100, 115))
    screens = {name: looked_up(table[name], 3.0) for name in "ab"}
    evaluate = looked_up(table["c"], 7.0)
    orders = np.array([rng.permutation(15)[:9] for _ in range(60)])
    for keep in (1, 4, 20):
        many = funnel_searches(screens, evaluate, list(table.index), orders, keep)
        for line, order in zip(many.to_dict("records"), orders):
            one = funnel_search(screens, evaluate, table.index[order].tolist(), keep)
            assert line.pop("place") == (-1 if one.index is None else one.index - 100)
            assert line == {name: getattr(one, name.replace(" ", "_")) for name in line}
    assert (many.macs == 9 * (2 * 3 + 7)).all()


def test_what_a_funnel_refuses():
    one = {"a": looked_up({0: 1.0}, 1.0)}
    for keep in (0, -1, 2.5):
        with pytest.raises(InputError, match="integer of at least 1"):
            funnel_search(one, one["a"], [0], keep)
    with pytest.raises(InputError, match="at least one screen"):
        funnel_search({}, one["a"], [0], 1)
    nothing = funnel_search(one, looked_up({0: INF}, 1.0), [0], 1)
    assert nothing.index is None and math.isnan(nothing.score) and nothing.dropped == 1
    undefined = funnel_search(one, one["a"], [0], 1, combine=lambda table: table["a"] * math.nan)
    assert undefined.index is None and undefined.dropped == 0


def test_a_score_that_is_spelt_in_two_ways_is_one():
    one, *others = read_parts(
        ["smoke/fear(stage2_epochs=8)", "smoke(stage2_epochs=8)/fear"], "synthetic", "float32"
    )
    assert one.name == "smoke/fear(stage2_epochs=8)" and not others


def test_a_funnel_does_not_keep_more_than_there_are(tmp_path):
    with pytest.raises(InputError, match="keep is 3 of 2 architectures: leave it out to train all"):
        run_funnel(tmp_path, "synthetic", ["smoke/synflow", "smoke/fear"], ARCHITECTURES[:2], 3)
    assert not list(tmp_path.iterdir())


def test_a_funnel_whose_trainings_gave_no_score_has_no_best(tmp_path):
    never = "smoke(stage1_epochs=1,threshold=1,train_images=100)"
    found = run_funnel(tmp_path, "synthetic", [f"{never}/params", f"{never}/fear"], ARCHITECTURES[:2])
    assert found.best is None and len(found.ranking) == 2
    found = run_funnel(tmp_path, "synthetic", [f"{never}/params"], ARCHITECTURES[:2])
    assert found.best == found.ranking["index"][0]


def test_of_equal_scores_the_better_screened_wins():
    screen, trained = looked_up({5: 0.0, 7: 1.0}, 1.0), looked_up({5: 1.0, 7: 0.0}, 1.0)
    for order in ([5, 7], [7, 5]):
        assert funnel_search({"a": screen}, trained, order, 2).index == 7


SMALL = {"train_images": 100, "batch_size": 16, "threshold": 0.12, "stage1_epochs": 6, "zero_cost_batch": 8}
ARCHITECTURES = [Architecture.from_index(index) for index in (5, 0, 3, 6, 1, 7)]


@pytest.fixture
def small(monkeypatch):
    """`smoke` with SMALL, under its own name."""
    monkeypatch.setattr("fearlib.sweeps.presets.SMOKE", replace(SMOKE, **SMALL))
    return preset("smoke", "synthetic")


def test_a_live_funnel_is_its_replay_and_goes_on_where_it_was(tmp_path, small):
    """Six screened and three trained, cut short twice; then the same from a sweep of everything, and live."""
    scores = ["smoke/synflow", "smoke/jacob_cov", "smoke/fear"]
    call = (tmp_path / "mine", "synthetic", scores, ARCHITECTURES, 3)
    assert run_funnel(*call, time_budget=0).ranking is None
    found = run_funnel(*call)
    again = run_funnel(*call, time_budget=0)  # all is there
    pd.testing.assert_frame_equal(found.ranking, again.ranking)

    rows = run_sweep(
        tmp_path / "all", "synthetic", small, ["fear", "zero_cost(measures=synflow+jacob_cov)"], ARCHITECTURES
    )
    (fear,) = [method for method in rows.method.unique() if method.startswith("fear")]
    own = read_rows(tmp_path / "mine" / "synthetic_smoke")
    assert own[own.method == fear]["index"].nunique() == 3 and own[own.method == "synflow"]["index"].nunique() == 6
    curves, dataset = read_curves(tmp_path / "all"), cached_dataset("synthetic", None, 16, 100)
    screens = {name: replay(rows, curves, name, 100, 16) for name in ("synflow", "jacob_cov")}
    order = [each.index for each in ARCHITECTURES]
    replayed = funnel_search(screens, replay(rows, curves, fear, 100, 16), order, 3)
    alive = funnel_search(screens, live(fear, 0, dataset, small), order, 3)
    assert found.ranking["index"][0] == replayed.index == alive.index
    assert found.ranking.combined[0] * 3 == pytest.approx(replayed.score)
    assert found.costs.macs.tolist() == [replayed.screening_macs, replayed.macs - replayed.screening_macs]
    assert alive.macs == replayed.macs


def test_names_of_scores_are_those_of_their_rows(tmp_path, small):
    """In any order, and without what the settings supply."""
    scores = ["smoke/snip(batch_size=16,steps=2)", "smoke/snip(schedule=constant,epoch=1)"]
    found = run_funnel(tmp_path, "synthetic", scores, ARCHITECTURES[:2])
    shown = ["smoke/snip(steps=2,batch_size=16)", "smoke/snip(epoch=1,schedule=constant)"]
    assert list(found.ranking)[2:-1] == shown and found.ranking[shown].notna().all(axis=None)
    others = {"steps=2.0,batch_size=016": shown[0], "epoch=1.0,epochs=01,schedule=constant": shown[1]}
    others["epoch=1.0,epochs=02,schedule=cosine"] = "smoke/snip(epoch=1,epochs=2,schedule=cosine)"
    for other, name in others.items():
        found = run_funnel(tmp_path, "synthetic", [f"smoke/snip({other})"], ARCHITECTURES[:2])
        assert list(found.ranking)[2] == name
    own = run_funnel(tmp_path, "synthetic", ["smoke/snip(steps=2)"], ARCHITECTURES[:2])
    assert list(own.ranking)[2] == f"smoke/snip(steps=2,batch_size={small.batch_size})"


def test_a_moment_that_a_training_has_not_is_refused_before_any_runs(tmp_path, small):
    """A funnel takes the others."""
    steps = -(-len(cached_dataset("synthetic", None, 16, 100).train_labels) // small.batch_size)
    reached = [math.ceil(steps * part / 5) / steps for part in (1, 2, 3, 4)]
    for form, digits in (("schedule=constant", ".1g"), ("epochs=1,schedule=cosine", "g")):
        moments = list(dict.fromkeys(f"{moment:{digits}}" for moment in reached))
        missing = next(f"{tenths / 10:g}" for tenths in range(1, 10) if f"{tenths / 10:g}" not in moments)
        names = [f"smoke/snip(epoch={moment},{form})" for moment in (*moments, missing)]
        with pytest.raises(InputError, match=f"and in the first at {', '.join(moments)} of it."):
            run_funnel(tmp_path / form, "synthetic", ["smoke/synflow", names[-1]], ARCHITECTURES[:1])
        assert not (tmp_path / form).exists()
        found = run_funnel(tmp_path / form, "synthetic", names[:-1], ARCHITECTURES[:1])
        assert found.ranking[names[:-1]].notna().all(axis=None)


def test_other_measures_join_those_of_a_folder(tmp_path, small):
    """What it has is not measured again, and the funnel is that of a folder of its own."""
    run_funnel(tmp_path / "one", "synthetic", ["smoke/synflow", "smoke/params"], ARCHITECTURES[:2])
    before = read_journal(tmp_path / "one" / "synthetic_smoke")
    scores = ["smoke/synflow", "smoke/jacob_cov"]
    joined, apart = (
        run_funnel(tmp_path / name, "synthetic", scores, ARCHITECTURES[:3]) for name in ("one", "two")
    )
    pd.testing.assert_frame_equal(joined.ranking, apart.ranking)
    assert joined.costs.macs.tolist() == apart.costs.macs.tolist()
    after = read_journal(tmp_path / "one" / "synthetic_smoke")
    both = "zero_cost(measures=params+synflow) zero_cost(measures=jacob_cov)"
    assert after[:2] == before and len(after) == 6 and joined.costs.method.tolist() == [both]
    assert run_funnel(tmp_path / "one", "synthetic", scores, ARCHITECTURES[:3], time_budget=0).ranking is not None


def test_moments_that_two_trainings_have_count_once(tmp_path, small):
    """A constant rate for two epochs begins as one for one epoch: the costs are those of one, again and again."""
    scores = ["smoke/snip(epoch=1,schedule=constant)", "smoke/snip(epoch=2.0,epochs=2,schedule=constant)"]
    first, again = (run_funnel(tmp_path, "synthetic", scores, ARCHITECTURES[:3]) for _ in range(2))
    pd.testing.assert_frame_equal(first.costs, again.costs)
    pd.testing.assert_frame_equal(first.ranking, again.ranking)
    assert first.ranking[scores[0]].notna().all()
    rows = read_rows(tmp_path / "synthetic_smoke")
    of_one = rows[(rows.kind == "snip") & rows.method.str.contains("epochs=1") & (rows.moment == 1)]
    assert first.costs.macs[0] == of_one.macs.sum()


def test_a_dataset_has_one_folder_however_it_is_spelt_and_cells_are_of_nats_bench(tmp_path, small):
    for name in ("synthetic", "Synthetic"):
        run_funnel(tmp_path, name, ["smoke/synflow"], ARCHITECTURES[:1])
    assert [folder.name for folder in tmp_path.iterdir()] == ["synthetic_smoke"]
    with pytest.raises(InputError, match="takes architectures of nats-tss, not of darts"):
        run_funnel(tmp_path, "synthetic", ["smoke/synflow"], sample_genotypes(2, 0))


def test_scores_of_a_funnel(tmp_path, small):
    """Derived ones, several seeds, all kept; the ranking is the combination of the table."""
    scores = ["smoke/az_nas", "smoke/shortreg(epochs=1)", "smoke/train_top1(epoch=1,schedule=constant)"]
    found = run_funnel(tmp_path, "synthetic", scores, ARCHITECTURES[:2], how="mean", seeds=[2, 5])
    rows = read_rows(tmp_path / "synthetic_smoke")
    free = rows[rows.kind.str.startswith("az_") | (rows.method == "macs")]
    assert set(free.seed) == {2} and set(rows.seed) == {2, 5}
    wide = free[free.moment.isna()].pivot(index="index", columns="method", values="score")
    table = pd.DataFrame({"az": az_nas(wide)})
    for column, kind in (("short", "shortreg"), ("top1", "train_top1")):
        each = rows[(rows.kind == kind) & ~(rows.moment < 1)]
        table[column] = each.groupby("index").score.mean()
    expected = rank_mean(table)
    ranking = found.ranking.set_index("index")
    assert ranking.combined.to_dict() == pytest.approx(expected.to_dict())
    assert ranking.combined.is_monotonic_decreasing and list(found.costs.architectures) == [2, 2, 2]
    assert list(found.ranking)[:2] == ["index", "arch"] and list(found.ranking)[2:-1] == scores
    assert ranking["smoke/az_nas"].to_dict() == pytest.approx(az_nas(wide).to_dict())


def test_a_training_that_fails_is_said_and_tried_again(tmp_path, small, monkeypatch):
    call = (tmp_path, "synthetic", ["smoke/synflow", "smoke/fear"], ARCHITECTURES[:2])

    def fails(architecture, label, *rest):
        if label.startswith("fear"):
            raise MemoryError("no room")
        return run_trial(architecture, label, *rest)

    with monkeypatch.context() as patched:
        patched.setattr("fearlib.sweeps.run.run_trial", fails)
        with pytest.raises(InputError, match=r"lacks scores of smoke/fear\(.*they failed, as fear status says"):
            run_funnel(*call)
    assert len(run_funnel(*call).ranking) == 2


def test_a_funnel_takes_what_a_sweep_takes(tmp_path, small):
    """Things given twice, and accuracies of some architectures, perhaps of none that is kept."""
    some = ARCHITECTURES[:3]
    scores, truth = ["smoke/synflow", "smoke/shortreg(epochs=1)"], {some[0].index: 90.0}
    with pytest.warns(UserWarning, match="no test accuracy of 2 of 3 architectures"):
        found = run_funnel(tmp_path, "synthetic", scores, [*some, some[0]], keep=1, seeds=[0, 0], truth=truth)
    assert len(found.ranking) == 1 and list(found.costs.architectures) == [3, 1]
    assert read_rows(tmp_path / "synthetic_smoke").test_accuracy.dropna().unique() == [90.0]
    with pytest.raises(InputError, match="seeds is 3: it must be a list"):
        run_funnel(tmp_path, "synthetic", scores, some, seeds=3)


@pytest.mark.parametrize(
    "scores, more, message",
    [
        (["synflow"], {}, "'synflow' is no score's name"),
        (["smoke/synflaw"], {}, "no score's name"),
        (["smoke/zero_cost"], {}, "no score's name"),
        (["smoke/shortreg"], {}, "stands for shortreg.epochs=1., shortreg.epochs=2.: name one"),
        (["huge/synflow"], {}, "unknown preset"),
        (["smoke(space=darts)/synflow"], {}, "unknown setting 'space': the settings are channels"),
        (["smoke(precision=float32)/synflow"], {}, "the precision is one for the whole funnel"),
        ([], {}, "at least one score"),
        (["smoke/synflow"], {"how": "sum"}, "by product or mean, not by 'sum'"),
        (["smoke/fear"], {"keep": 2}, "no measure to choose by"),
        (["smoke/synflow"], {"keep": 0}, "at least 1"),
        (["smoke/synflow", "smoke/params"], {"keep": 2}, "keep says how many are trained, but no score trains"),
        (["smoke/snip(steps=4,batchsize=64)"], {}, "states batchsize: it may state steps, batch_size"),
        (["smoke/snip(epoch=0.2,schedule=constant,batch_size=32)"], {}, "states batch_size: it may state epoch"),
        (["smoke/snip(epoch=0.25,schedule=constant)"], {}, "whole epochs, and of the first its fifths"),
        (["smoke/snip(epoch=1.5,epochs=2,schedule=constant)"], {}, "moments are whole epochs"),
        (["smoke/snip(epoch=x,schedule=constant)"], {}, "moments are whole epochs"),
        (["smoke/snip(epoch=3,schedule=constant)"], {}, "a moment lies from 0 to the 1 epochs of the training"),
        (["smoke/snip(epoch=-1,schedule=constant)"], {}, "a moment lies from 0 to the 1 epochs"),
        (["smoke/snip(epoch=9,epochs=2,schedule=cosine)"], {}, "a moment lies from 0 to the 2 epochs"),
        (["smoke/snip(epoch=x,epochs=2,schedule=cosine)"], {}, "moments are whole epochs"),
        (["smoke/snip(epoch=1.5,epochs=2,schedule=cosine)"], {}, "moments are whole epochs"),
        (["smoke/synflow", "smoke/snip(epoch=1,epochs=x,schedule=cosine)"], {}, "epochs='x'"),
        (["smoke/synflow", "smoke/snip(steps=x)"], {}, "'x' is not a list of numbers"),
        (["smoke/synflow", "smoke/snip(steps=0)"], {}, "steps"),
        (["smoke/synflow", "smoke/fear(first_free_block=99)"], {}, "first_free_block"),
        (["smoke/synflow", "smoke/snip(steps=100000)"], {}, "steps"),
        (["smoke/synflow"], {"time_budget": math.nan}, "time_budget is nan: it must be a number of at least 0"),
        (["smoke/synflow"], {"time_budget": -5}, "time_budget is -5"),
    ],
)
def test_what_a_funnel_of_sweeps_refuses(tmp_path, scores, more, message):
    with pytest.raises(InputError, match=message):
        run_funnel(tmp_path, "synthetic", scores, ARCHITECTURES, **more)
    assert not list(tmp_path.iterdir())
