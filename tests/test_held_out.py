"""Choosing a combination on one half of the architectures, against a slow account of the same."""

import math

import numpy as np
import pandas as pd
import pytest

from fearlib.errors import InputError
from fearlib.ranking.bootstrap import bootstrap_interval
from fearlib.ranking.candidates import SHORTREG, combined, comparison, comparisons, read_combinations
from fearlib.ranking.combination_tables import (
    SNIP_80,
    UNTRAINED,
    combinations_table,
    every_combination,
    few_steps_table,
    shown_few_steps,
)
from fearlib.ranking.combinations import az_nas, rank_mean, rank_product, vote
from fearlib.ranking.every_score import Scores
from fearlib.ranking.held_out import budgets, carried_over, choices, every_choice, held_out, quality, shared
from fearlib.ranking.statistics import common, ndcg, spearman, spearman_difference, top_spearman

FEAR = "compact/fear(stage2_epochs=24)"
MEASURES = ("synflow", "jacob_cov", "snip", "az_expressivity", "az_progressivity", "az_trainability", "macs")
LISTED = pd.DataFrame(
    [
        ("product", (FEAR, "paper/az_nas")),
        ("mean", (FEAR, "paper/synflow", "paper/vote")),
        ("product", ("paper/synflow", "paper/not_measured")),
    ],
    columns=["how", "scores"],
)


def made_up(size=60, seed=0):
    """Scores of one dataset, better and worse ones, with ties and missing ones."""
    rng = np.random.default_rng(seed)
    index = rng.permutation(10 * size)[:size]
    accuracy = pd.Series(rng.uniform(50, 95, size), index)
    names = [FEAR, *(f"paper/{name}" for name in MEASURES)]
    noise = dict(zip(names, np.linspace(3, 60, len(names))))
    scores = pd.DataFrame({name: accuracy + rng.normal(0, noise[name], size) for name in names}).round(0)
    scores = scores.mask(rng.random(scores.shape) < 0.1, -math.inf)
    macs = pd.DataFrame({name: 1e9 * (1000 if name == FEAR else 1) for name in names}, index)
    return Scores(scores, macs, accuracy), pd.Series(range(1, size + 1), rng.permutation(index))


def one_by_one(scores, how, names):
    """A candidate's scores from the functions that combine one table."""
    table = pd.DataFrame(index=scores.index)
    for name in names:
        preset, _, called = name.partition("/")
        if called in ("vote", "az_nas"):
            own = scores[[each for each in scores if each.startswith(f"{preset}/")]]
            own = own.set_axis([each.removeprefix(f"{preset}/") for each in own], axis=1)
            table[name] = {"vote": vote, "az_nas": az_nas}[called](own)
        else:
            table[name] = scores[name]
    return {"product": rank_product, "mean": rank_mean}[how](table)


def test_every_candidate_is_combined_as_one_alone_would_be():
    of, place = made_up()
    found = comparison(of, ["paper/synflow"], place, LISTED)
    assert list(found.scores.index) == list(place.index)
    assert len(found.candidates) == len(of.scores.columns) + 2 + 2  # two derived scores, two of the list
    values = combined(found.scores, found.candidates)
    for name, candidate in found.candidates.iterrows():
        expected = one_by_one(found.scores, candidate.how, candidate.scores)
        pd.testing.assert_series_equal(values[name].rank(), expected.rank(), check_names=False)
    costs = found.candidates.gmacs
    assert costs[f"{FEAR} * paper/az_nas"] == 1004 and costs["paper/vote"] == 3 and costs["paper/snip"] == 1


def test_quality_is_the_mean_of_both_correlations():
    of, place = made_up()
    found = comparison(of, [FEAR], place, LISTED)
    values, accuracy = combined(found.scores, found.candidates), found.accuracy.to_numpy()
    expected = [
        (spearman(values[name], accuracy) + top_spearman(values[name], accuracy, 50)) / 2 for name in values
    ]
    assert quality(values.to_numpy(), accuracy) == pytest.approx(expected)
    table = combinations_table(found).set_index("candidate")
    assert list(table.index) == list(values.columns[np.argsort(-np.array(expected), kind="stable")])
    assert table.spearman[FEAR] == pytest.approx(spearman(values[FEAR], accuracy))
    assert table.out[FEAR] == np.isinf(found.scores[FEAR]).sum() and table.low[FEAR] < table.spearman[FEAR]
    inputs = found.scores[["paper/synflow", "paper/jacob_cov", "paper/snip"]]
    assert table.out["paper/vote"] == np.isinf(inputs).any(axis=1).sum()


def test_the_choice_is_the_best_of_one_half_reported_on_the_other():
    (of, place), (other, _) = made_up(), made_up(seed=1)
    other = Scores(*(part.set_axis(of.accuracy.index) for part in other))  # the same architectures
    on, to = (comparison(each, [FEAR, "paper/synflow"], place, LISTED) for each in (of, other))
    rules = {"any": list(on.candidates.index), "free": ["paper/synflow", "paper/vote", "paper/az_nas"]}
    halves = held_out(on, to, rules, halvings=5, seed=3)
    rng, size = np.random.default_rng(3), len(on.scores)
    for halving in range(5):
        order = rng.permutation(size)
        first, rest = sorted(order[: size // 2]), sorted(order[size // 2 :])
        for rule, names in rules.items():
            worth = {}
            for name in names:
                score = one_by_one(on.scores.iloc[first], *on.candidates.loc[name, ["how", "scores"]])
                accuracy = on.accuracy.iloc[first]
                worth[name] = spearman(score, accuracy) + top_spearman(score, accuracy, 50)
            line = halves[(halves.halving == halving) & (halves.rule == rule)].iloc[0]
            assert line.chosen == max(worth, key=worth.get)
            score = one_by_one(to.scores.iloc[rest], *on.candidates.loc[line.chosen, ["how", "scores"]])
            accuracy = to.accuracy.iloc[rest]
            expected = [spearman(score, accuracy), top_spearman(score, accuracy, 50), common(score, accuracy, 10)]
            found = line[["spearman", "top 50%", "common 10%", "ndcg 10%"]].tolist()
            assert found == pytest.approx([*expected, ndcg(score, accuracy, 10)])


def test_choosing_among_noise_promises_nothing():
    """The best of many scores without meaning looks good on the architectures from which it was chosen alone."""
    rng = np.random.default_rng(0)
    names = [f"paper/{number}" for number in range(60)]
    scores = pd.DataFrame(rng.normal(size=(80, 60)), columns=names)
    of = Scores(scores, scores * 0, pd.Series(rng.uniform(50, 95, 80)))
    found = comparison(of, names[:1], pd.Series(range(80)), LISTED[:0])
    table = choices(found, found, {"none": 0.0}, halvings=40)
    assert list(table.among) == ["single scores", "combinations too"] and (table.candidates == 60).all()
    assert abs(table.spearman[0]) < 0.1 and abs(table["top 50%"][0]) < 0.15
    on_its_own = quality(combined(found.scores, found.candidates).to_numpy(), of.accuracy.to_numpy()).max()
    assert on_its_own > 0.15


def test_what_is_carried_over_was_chosen_on_the_first_and_is_reported_on_the_other():
    (of, place), (of_other, _) = made_up(), made_up()
    other = Scores(
        of_other.scores, of_other.macs, of_other.accuracy.sample(frac=1, random_state=1).set_axis(place.index)
    )
    one, two = comparison(of, [FEAR], place, LISTED), comparison(other, [FEAR], place, LISTED)
    table = carried_over({("a", "FEAR", "all"): one, ("b", "FEAR", "all"): two}, 5)
    alone = table[table.among == "FEAR alone"].set_index(["dataset", "on"]).spearman
    for key, pair in ((("a", "b"), (one, two)), (("b", "a"), (two, one))):
        expected = held_out(*shared(*pair), {"rule": [FEAR]}, 5).spearman.mean()
        assert alone[key] == pytest.approx(expected)
    assert alone["a", "b"] != pytest.approx(alone["b", "a"])


def test_budgets_bound_the_cost():
    of, place = made_up()
    found = comparison(of, [FEAR], place, LISTED)
    most = budgets(found)
    assert most == {"FEAR": 1050.0}  # nothing is free, and what a pass or an epoch costs is not known
    costs = {"free": 0, "paper/nwot": 2, "a little": 40, SHORTREG: 800, FEAR: 1000, "much": 5000}
    every = found._replace(candidates=pd.DataFrame({"gmacs": costs}))
    expected = {"none": 0, "a forward pass": 2, "an epoch": 50, "FEAR": 1050, "ten times FEAR": 10_000}
    assert budgets(every) == expected
    table = choices(found, found, {"none": 0.0, "a pass": 1.0, **most}, halvings=3).set_index(["budget", "among"])
    assert "none" not in table.index and (table.gmacs["a pass"] == 1).all()
    alone = table.loc["FEAR", "FEAR alone"]
    assert alone["ahead of FEAR"] == 0 and alone.share == 1 and alone["on all"] == FEAR
    assert alone["on all gmacs"] == 1000 and table["on all gmacs"]["a pass", "single scores"] == 1
    assert table.candidates["FEAR", "combinations too"] == len(found.candidates)


def test_what_a_choice_is_worth_is_told_of_every_halving():
    of, place = made_up()
    found = comparison(of, [FEAR], place, LISTED)
    line = choices(found, found, {"FEAR": 1050.0}, halvings=20).set_index("among").loc["single scores"]
    singles = [name for name, scores in found.candidates.scores.items() if len(scores) == 1]
    halves = held_out(found, found, {"chosen": singles, "alone": [FEAR]}, 20).set_index("halving")
    chosen, alone = (halves[halves.rule == rule] for rule in ("chosen", "alone"))
    for name, prefix, values in (
        ("spearman", "", chosen.spearman),
        ("top 50%", "top 50% ", chosen["top 50%"]),
        ("ahead of FEAR", "ahead of FEAR ", chosen.spearman - alone.spearman),
    ):
        assert line[name] == pytest.approx(values.mean()) and values.std() > 0
        ends = np.quantile(values, [0.025, 0.975])
        assert [line[f"{prefix}low"], line[f"{prefix}high"]] == pytest.approx(ends)
    counts = chosen.chosen.value_counts()
    assert len(counts) > 1 and (line.chosen, line.share) == (counts.idxmax(), counts.max() / 20)


def test_what_is_listed_twice_is_one_candidate():
    (of, place), pair = made_up(), ("paper/synflow", "paper/jacob_cov")
    listed = pd.DataFrame([("product", pair), ("product", pair), ("product", pair[:1])], columns=["how", "scores"])
    scores = Scores(of.scores, of.scores * 0, of.accuracy)
    two, one = (comparison(scores, [FEAR], place, each) for each in (listed, listed.iloc[:1]))
    pd.testing.assert_frame_equal(two.candidates, one.candidates)


def test_what_a_few_steps_add_is_paired():
    """Of single scores less three others, of a product with untrained measures less these."""
    (of, place), forty = made_up(), "paper/snip(steps=40,batch_size=64)"
    scores = of.scores.rename(columns={"paper/synflow": SNIP_80, "paper/jacob_cov": forty})
    rng = np.random.default_rng(1)
    scores = scores.assign(**{f"paper/{name}": rng.normal(size=len(scores)) for name in ("meco", "swap")})
    untrained = tuple(UNTRAINED.split(" * "))
    listed = pd.DataFrame([("product", (forty, *untrained)), ("product", untrained)], columns=["how", "scores"])
    found = comparison(Scores(scores, scores * 0, of.accuracy), [FEAR], place, listed)
    table = few_steps_table({("a", "a few steps", "all"): found, ("a", "FEAR", "all"): found})
    expected = [
        (SNIP_80, "paper/snip"),
        (SNIP_80, FEAR),
        *((forty, than) for than in ("paper/snip", SNIP_80, FEAR)),
    ]
    expected.append((f"{forty} * {UNTRAINED}", UNTRAINED))
    assert set(zip(table.score, table.than)) == set(expected) and len(table) == 6 and set(table.n) == {60}
    values, best = combined(found.scores, found.candidates), found.accuracy.nlargest(30).index
    for line in table.to_dict("records"):
        for name, kept in (("difference", found.accuracy.index), ("top 50%", best)):
            one, other = (spearman(values[line[of]][kept], found.accuracy[kept]) for of in ("score", "than"))
            assert line[name] == pytest.approx(one - other)
    line, pair = table.iloc[0], [values[table[of][0]] for of in ("score", "than")]
    low, high = bootstrap_interval(spearman_difference, *pair, found.accuracy)
    assert (line.low, line.high) == pytest.approx((low, high)) and low < line.difference < high
    assert few_steps_table({("a", "FEAR", "all"): found}).empty
    without = found.restricted(found.scores.index, found.candidates.index.drop([SNIP_80, UNTRAINED]))
    fewer = few_steps_table({("a", "a few steps", "all"): without})
    assert set(zip(fewer.score, fewer.than)) == {(forty, "paper/snip"), (forty, FEAR)}
    assert (shown_few_steps(fewer)[f"less `{UNTRAINED}`"] == "").all()
    shown = shown_few_steps(table).set_index("score")
    assert len(shown) == 3 and shown[f"less `{UNTRAINED}`"][forty] == ""
    for line in table.to_dict("records"):
        assert shown[f"less `{line['than']}`"][line["score"]].startswith(f"{line['difference']:+.2f} (")


def test_those_that_chose_the_preset_are_left_out_of_the_later_positions():
    (of, place), small = made_up(160), "compact/synflow"
    scores = of.scores.rename(columns={"paper/synflow": small}).assign(**{SHORTREG: of.accuracy})
    rows = scores.rename_axis("index").melt(var_name="name", value_name="score", ignore_index=False).reset_index()
    rows = rows.assign(dataset="cifar10", macs=1e9, test_accuracy=rows["index"].map(of.accuracy))
    found = comparisons(rows.assign(score=rows.score.replace(-math.inf, math.nan)), place, LISTED)
    assert list(found) == [("cifar10", "FEAR", "all"), ("cifar10", "FEAR", "101 and up")]
    for (_, _, positions), each in found.items():
        expected = place[place > 100] if positions == "101 and up" else place
        assert list(each.scores.index) == list(expected.index)


def test_a_comparison_takes_what_was_measured_on_all():
    of, place = made_up()
    of.scores.iloc[0, 0] = math.nan  # one architecture without a trial of FEAR
    without = comparison(of, ["paper/synflow"], place, LISTED)
    assert FEAR not in without.scores and len(without.scores) == 60
    fewer = comparison(of, [FEAR], place, LISTED)
    assert FEAR in fewer.scores and len(fewer.scores) == 59
    late = comparison(of, [FEAR], place[place > 30], LISTED)
    assert set(late.scores.index) == set(place.index[30:]) - {of.scores.index[0]}
    assert comparison(of, ["paper/meco"], place, LISTED) is None
    either = comparison(of, [("paper/meco", FEAR, "paper/snip")], place, LISTED)
    assert either.scores.equals(fewer.scores)  # the first that was measured
    assert comparison(of, [FEAR], place[:15], LISTED) is None


def test_two_datasets_share_architectures_and_candidates():
    (of, place), (other, _) = made_up(), made_up(seed=1)
    index = of.accuracy.index
    other = Scores(*(part.set_axis([*index[:40], *range(10_000, 10_020)]) for part in other))
    other.scores["paper/snip"] = math.nan
    places = pd.concat([place, pd.Series(range(100, 120), range(10_000, 10_020))])
    one, two = (comparison(each, [FEAR], places, LISTED) for each in (of, other))
    for found, accuracy in zip(shared(one, two), (of.accuracy, other.accuracy)):
        assert set(found.scores.index) == set(index[:40])
        assert found.accuracy.equals(accuracy[found.scores.index])
        assert not {"paper/snip", "paper/vote"} & set(found.candidates.index)
    assert shared(one, two._replace(scores=two.scores.iloc[:10])) is None


def test_a_list_of_combinations(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('how,scores\nproduct,"paper/a compact/fear(a=1,b=2)"\nmean,paper/a paper/b\n')
    listed = read_combinations(path)
    assert listed.scores.tolist() == [("paper/a", "compact/fear(a=1,b=2)"), ("paper/a", "paper/b")]
    path.write_text("how,scores\nsum,paper/a paper/b\n")
    with pytest.raises(InputError, match="combines by 'sum': it must be product or mean"):
        read_combinations(path)


@pytest.mark.parametrize("made", [every_choice, every_combination, carried_over])
def test_without_a_comparison_a_table_is_empty(made):
    assert made({}).empty
