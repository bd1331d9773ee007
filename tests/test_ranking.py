"""Statistics of a ranking against their definitions written out slowly, hand-worked and published examples."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fearlib.errors import InputError
from fearlib.ranking.bootstrap import bootstrap_interval
from fearlib.ranking.statistics import (
    average_cost,
    common,
    kendall,
    lead_over_best,
    ndcg,
    nearest_pareto,
    pareto_front,
    spearman,
    spearman_difference,
    top_cost_ratio,
    top_indices,
    top_spearman,
    top_spearman_difference,
)

pytestmark = pytest.mark.filterwarnings("error")

NAN, INF = math.nan, math.inf
TIED = st.sampled_from([-INF, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, INF, NAN])  # few values, so that ties abound
ANY = st.one_of(TIED, st.floats(-1e6, 1e6))
PERCENT = st.integers(0, 100)


def pairs(values, max_size=25):
    """Two lists of one length."""
    rows = st.lists(st.tuples(values, values), max_size=max_size)
    return rows.map(lambda rows: ([a for a, _ in rows], [b for _, b in rows]))


@st.composite
def rankings(draw, max_size=30):
    """Two orders of the same architectures, without ties."""
    size = draw(st.integers(1, max_size))
    return tuple(draw(st.permutations([float(i) for i in range(size)])) for _ in range(2))


# The definitions, slowly.


def slow_known(x, y):
    kept = [(a, b) for a, b in zip(x, y) if math.isfinite(a) and math.isfinite(b)]
    return [a for a, _ in kept], [b for _, b in kept]


def slow_ranks(values):
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


def slow_spearman(x, y):
    x, y = slow_known(x, y)
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return NAN
    middle = (len(x) + 1) / 2
    dx, dy = [r - middle for r in slow_ranks(x)], [r - middle for r in slow_ranks(y)]
    return sum(a * b for a, b in zip(dx, dy)) / math.sqrt(sum(a * a for a in dx) * sum(b * b for b in dy))


def slow_kendall(x, y):
    x, y = slow_known(x, y)
    if len(x) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
        return NAN
    balance = untied_x = untied_y = 0
    for i, j in itertools.combinations(range(len(x)), 2):
        sign_x, sign_y = (x[i] > x[j]) - (x[i] < x[j]), (y[i] > y[j]) - (y[i] < y[j])
        balance += sign_x * sign_y
        untied_x += sign_x != 0
        untied_y += sign_y != 0
    return balance / math.sqrt(untied_x * untied_y)


def slow_top(values, count):
    """Take the largest that is left, `count` times."""
    left = [i for i, v in enumerate(values) if math.isfinite(v)]
    top = []
    while left and len(top) < count:
        best = left[0]
        for i in left:
            if values[i] > values[best]:
                best = i
        left.remove(best)
        top.append(best)
    return top


def slow_count(accuracy, percent):
    return percent * sum(map(math.isfinite, accuracy)) // 100


def slow_common(scores, accuracy, percent):
    count = slow_count(accuracy, percent)
    if count == 0:
        return NAN
    ranked = [s if math.isfinite(a) else NAN for s, a in zip(scores, accuracy)]
    return len(set(slow_top(accuracy, count)) & set(slow_top(ranked, count))) / count


def slow_ndcg(scores, accuracy, percent):
    kept = [(s, a) for s, a in zip(scores, accuracy) if math.isfinite(a)]
    scores, accuracy = [s for s, _ in kept], [a for _, a in kept]
    count = slow_count(accuracy, percent)

    def gained(values):
        order = sorted(range(len(values)), key=lambda i: -values[i] if math.isfinite(values[i]) else INF)
        gains = [sum(other < accuracy[i] for other in accuracy) / len(accuracy) for i in order[:count]]
        return sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))

    return gained(scores) / gained(accuracy) if count and gained(accuracy) else NAN


def slow_front(cost, value):
    known = [i for i in range(len(cost)) if not (math.isnan(cost[i]) or math.isnan(value[i]))]

    def beats(i, j):
        no_worse = cost[i] <= cost[j] and value[i] >= value[j]
        return no_worse and (cost[i] < cost[j] or value[i] > value[j])

    return sorted((i for i in known if not any(beats(j, i) for j in known)), key=lambda i: (cost[i], i))


def same(expected):
    return pytest.approx(expected, abs=1e-9, nan_ok=True)


# Rank correlations.


def test_spearman_of_the_textbook_example():
    """Intelligence against hours of television: rho = 1 - 6 * 194 / (10 * 99) = -29/165."""
    intelligence = [106, 100, 86, 101, 99, 103, 97, 113, 112, 110]
    television = [7, 27, 2, 50, 28, 29, 20, 12, 6, 17]
    assert spearman(intelligence, television) == same(-29 / 165)


def test_ties_worked_by_hand():
    """Ranks 1.5 1.5 3 4 and 1 2.5 2.5 4: rho = 3.75 / 4.5. Four concordant pairs, one tied in each: 4 / 5."""
    x, y = [1, 1, 2, 3], [1, 2, 2, 3]
    assert spearman(x, y) == same(3.75 / 4.5)
    assert kendall(x, y) == same(4 / 5)


@given(pairs(ANY))
def test_spearman_is_its_definition(xy):
    assert spearman(*xy) == same(slow_spearman(*xy))


@given(pairs(ANY))
def test_kendall_is_its_definition(xy):
    assert kendall(*xy) == same(slow_kendall(*xy))


@pytest.mark.parametrize("correlation", [spearman, kendall])
class TestCorrelation:
    @given(xy=pairs(TIED))
    def test_is_symmetric_and_changes_sign_with_one_side(self, correlation, xy):
        x, y = xy
        assert correlation(y, x) == same(correlation(x, y))
        assert correlation(x, [-b for b in y]) == same(-correlation(x, y))

    @given(xy=pairs(TIED))
    def test_sees_only_the_order(self, correlation, xy):
        x, y = xy
        raised = [math.exp(a) if math.isfinite(a) else a for a in x]
        assert correlation(raised, [a**3 for a in y]) == same(correlation(x, y))

    @given(xy=pairs(ANY), data=st.data())
    def test_does_not_depend_on_the_order_of_the_pairs(self, correlation, xy, data):
        x, y = xy
        order = data.draw(st.permutations(range(len(x))))
        assert correlation([x[i] for i in order], [y[i] for i in order]) == same(correlation(x, y))

    def test_of_equal_and_of_reversed_orders(self, correlation):
        assert correlation([1, 5, 9, 10], [2, 3, 4, 50]) == same(1)
        assert correlation([1, 5, 9, 10], [50, 4, 3, 2]) == same(-1)

    def test_drops_pairs_with_nan_on_either_side(self, correlation):
        x, y = [1, NAN, 2, 3, 9, 4], [2, 7, 1, 5, NAN, 4]
        assert correlation(x, y) == same(correlation([1, 2, 3, 4], [2, 1, 5, 4]))

    def test_drops_pairs_with_an_infinity_on_either_side(self, correlation):
        x, y = [1, INF, 2, 3, -INF, 4, 9], [2, 7, 1, 5, 0, 4, INF]
        assert correlation(x, y) == same(correlation([1, 2, 3, 4], [2, 1, 5, 4]))

    @pytest.mark.parametrize(
        "x, y",
        [
            ([], []),
            ([1], [2]),
            ([1, 2], [3, 4]),
            ([1, 2, NAN], [3, 4, 5]),
            ([1, 1, 1, 1], [1, 2, 3, 4]),
            ([1, 2, 3, 4], [0.1, 0.1, 0.1, 0.1]),
            ([INF, INF, INF], [1, 2, 3]),
            ([1, 1, 1, 2], [1, 2, 3, NAN]),
            ([NAN, NAN, NAN], [1, 2, 3]),
        ],
    )
    def test_is_nan_where_it_is_not_defined(self, correlation, x, y):
        assert math.isnan(correlation(x, y))

    def test_matches_series_by_position(self, correlation):
        scores = pd.Series([1.0, 2.0, 3.0, None], index=[3, 2, 1, 0], dtype="Float64")
        accuracy = pd.Series([10, 30, 20, 40])
        assert correlation(scores, accuracy) == same(correlation([1, 2, 3], [10, 30, 20]))


# The top x%.


def test_count_is_the_exact_floor_for_every_whole_percent():
    for size in range(301):
        accuracy = np.arange(size)
        for percent in range(101):
            assert len(top_indices(accuracy, percent)) == math.floor(Fraction(percent, 100) * size)


@given(st.integers(0, 1000), st.integers(0, 300))
def test_count_is_the_exact_floor_of_the_decimal_as_written(tenths, size):
    percent = float(f"{tenths // 10}.{tenths % 10}")
    for given_percent in (percent, np.float64(percent), np.float32(percent)):
        assert len(top_indices(np.arange(size), given_percent)) == math.floor(Fraction(tenths, 1000) * size)


@pytest.mark.parametrize(
    "percent, size, count", [(30, 10, 3), (29, 100, 29), (0.3, 1000, 3), (12.5, 8, 1), (99, 1, 0)]
)
def test_count_where_floats_would_go_wrong(percent, size, count):
    assert len(top_indices(np.zeros(size), percent)) == count


@given(st.lists(ANY, max_size=25), PERCENT)
def test_top_is_the_largest_taken_one_by_one(accuracy, percent):
    assert top_indices(accuracy, percent).tolist() == slow_top(accuracy, slow_count(accuracy, percent))


def test_top_breaks_ties_by_position_and_counts_no_nan():
    assert top_indices([5, NAN, 9, 5, 9, 5], 60).tolist() == [2, 4, 0]
    assert top_indices([5, NAN, 9, 5, 9, 5], 100).tolist() == [2, 4, 0, 3, 5]
    assert top_indices([NAN, NAN], 100).tolist() == []


@pytest.mark.parametrize("percent", [-1, 100.5, NAN, INF, None, "ten", "1/0", True, [10]])
def test_percent_out_of_range(percent):
    for function in (
        lambda: top_indices([1, 2], percent),
        lambda: top_spearman([1, 2], [1, 2], percent),
        lambda: common([1, 2], [1, 2], percent),
        lambda: average_cost([1, 2], [1, 2], percent),
    ):
        with pytest.raises(InputError, match="a number in 0..100"):
            function()


@given(pairs(ANY), PERCENT)
def test_top_spearman_is_spearman_among_the_best(xy, percent):
    scores, accuracy = xy
    best = slow_top(accuracy, slow_count(accuracy, percent))
    expected = slow_spearman([scores[i] for i in best], [accuracy[i] for i in best])
    assert top_spearman(scores, accuracy, percent) == same(expected)


def test_top_spearman_looks_at_the_best_only():
    accuracy = [90, 80, 70, 60, 50, 40]
    scores = [1, 2, 3, -1, -2, -3]  # upside down among the three best
    assert top_spearman(scores, accuracy, 50) == same(-1)
    assert top_spearman(scores, accuracy, 100) == same(spearman(scores, accuracy))
    assert math.isnan(top_spearman(scores, accuracy, 40))


def test_common_worked_by_hand():
    accuracy = [90, 80, 70, 60, 50, 40, 30, 20, 10, 0]
    scores = [9, 1, 8, 0, 0, 7, 0, 0, 0, 0]
    assert common(scores, accuracy, 30) == same(2 / 3)
    assert common(scores, accuracy, 10) == 1
    assert math.isnan(common(scores, accuracy, 9))
    assert math.isnan(common([], [], 100))


@given(pairs(ANY), PERCENT)
def test_common_is_its_definition(xy, percent):
    assert common(*xy, percent) == same(slow_common(*xy, percent))


@given(rankings(), PERCENT, st.data())
def test_common_of_rankings_without_ties(xy, percent, data):
    scores, accuracy = xy
    share = common(scores, accuracy, percent)
    order = data.draw(st.permutations(range(len(scores))))
    assert common([scores[i] for i in order], [accuracy[i] for i in order], percent) == same(share)
    assert common(accuracy, scores, percent) == same(share)
    assert common(np.exp(scores), accuracy, percent) == same(share)
    assert common(scores, accuracy, 100) == 1
    if percent * len(scores) >= 100:
        assert common(np.exp(accuracy), accuracy, percent) == 1
        assert 0 <= share <= 1
    else:
        assert math.isnan(share)


def test_common_falls_short_where_scores_are_missing():
    accuracy = [4, 3, 2, 1]
    assert common([NAN, NAN, NAN, 1], accuracy, 50) == 0
    assert common([NAN, 1, NAN, NAN], accuracy, 50) == 1 / 2
    assert common([1, NAN, 2, 3], accuracy, 100) == 3 / 4


def test_common_ignores_entries_without_accuracy():
    assert common([9, 3, 2, 1], [NAN, 3, 2, 1], 34) == 1


def test_ndcg_worked_by_hand():
    """Of five, the two best by score are worth 1 and 4, those by accuracy 4 and 3."""
    found = ndcg([5.0, 1.0, 2.0, 3.0, 4.0], [20.0, 10.0, 30.0, 40.0, 50.0], 40)
    assert found == pytest.approx((1 + 4 / math.log2(3)) / (4 + 3 / math.log2(3)))


@given(pairs(ANY), PERCENT)
def test_ndcg_is_its_definition(xy, percent):
    assert ndcg(*xy, percent) == same(slow_ndcg(*xy, percent))


def test_average_cost_worked_by_hand():
    accuracy = [5, 90, 80, 10, 70, 60]
    cost = [1000, 2, 4, 1000, NAN, 9]
    mean, error = average_cost(cost, accuracy, 67)  # 2, 4, 9: deviations -3, -1, 4 from 5
    assert mean == same(5)
    assert error == same(math.sqrt((9 + 1 + 16) / 2) / math.sqrt(3))
    assert average_cost(cost, accuracy, 100)[0] == same(2015 / 5)


@pytest.mark.parametrize(
    "cost, percent, expected",
    [
        ([1, 2, 3], 0, (NAN, NAN)),
        ([NAN, NAN, NAN], 100, (NAN, NAN)),
        ([7, NAN, NAN], 100, (7, NAN)),
        ([7, 7, 7], 100, (7, 0)),
        ([7, INF, 7], 100, (INF, NAN)),
    ],
)
def test_average_cost_of_little(cost, percent, expected):
    assert average_cost(cost, [3, 2, 1], percent) == same(expected)


# Bootstrap.


def bivariate_normal(generator, size, correlation):
    x = generator.normal(size=size)
    return x, correlation * x + math.sqrt(1 - correlation**2) * generator.normal(size=size)


@pytest.mark.parametrize("confidence, fewest, most", [(0.95, 68, 79), (0.5, 26, 54)])
def test_interval_covers_the_true_correlation(confidence, fewest, most):
    """80 samples of 60 from a bivariate normal, whose Spearman correlation is 6/pi asin(r/2)."""
    generator = np.random.default_rng(1)
    truth = 6 / math.pi * math.asin(0.6 / 2)
    covered = 0
    for _ in range(80):
        sample = bivariate_normal(generator, 60, 0.6)
        low, high = bootstrap_interval(spearman, *sample, confidence=confidence, resamples=100)
        covered += low <= truth <= high
    assert fewest <= covered <= most


@pytest.mark.parametrize("seed", range(5))
def test_interval_contains_the_estimate(seed):
    x, y = bivariate_normal(np.random.default_rng(seed), 80, 0.7)
    for statistic in (spearman, kendall):
        low, high = bootstrap_interval(statistic, x, y, resamples=100)
        assert -1 <= low < statistic(x, y) < high <= 1


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("x, y", [([1, 2, 3, 4, 5], [2, 1, 3, 5, 4]), ([1, 2, 3, 4, NAN], [1, 4, 2, 3, 5])])
def test_interval_has_the_quantiles_of_all_resamples(x, y, confidence):
    """All 5^5 resamples of five pairs, those without a correlation left out."""
    draws = itertools.product(range(5), repeat=5)
    every = [slow_spearman([x[i] for i in draw], [y[i] for i in draw]) for draw in draws]
    defined = sorted(r for r in every if not math.isnan(r))
    assert 0 < len(defined) < len(every)
    low, high = bootstrap_interval(spearman, x, y, confidence=confidence, resamples=2000)
    tail = (1 - confidence) / 2
    for bound, level in ((low, tail), (high, 1 - tail)):
        below = sum(r < bound - 1e-9 for r in defined) / len(defined)
        not_above = sum(r <= bound + 1e-9 for r in defined) / len(defined)
        assert below - 0.02 <= level <= not_above + 0.02


def test_interval_of_a_mean_is_that_of_normal_theory():
    x = np.random.default_rng(0).normal(10, 2, size=400)
    low, high = bootstrap_interval(np.mean, x, resamples=4000)
    half_width = 1.96 * x.std() / math.sqrt(400)
    assert (low, high) == pytest.approx((x.mean() - half_width, x.mean() + half_width), abs=0.15 * half_width)


def test_ratio_of_the_costs_in_a_top_is_that_of_the_means_there():
    accuracy, cost, other = [4, 3, 2, 1], [1.0, 5.0, 100.0, np.nan], [2.0, 4.0, np.nan, 6.0]
    assert top_cost_ratio(cost, other, accuracy, 50) == (1 + 5) / (2 + 4)
    assert top_cost_ratio(cost, other, accuracy, 100) == pytest.approx((106 / 3) / (12 / 3))
    assert math.isnan(top_cost_ratio(cost, np.zeros(len(cost)), accuracy, 100))  # as of counting parameters
    assert math.isnan(top_cost_ratio(cost, [np.nan] * 4, accuracy, 50))


def test_interval_of_a_statistic_of_the_top():
    x, y = bivariate_normal(np.random.default_rng(0), 100, 0.9)
    low, high = bootstrap_interval(lambda scores, accuracy: common(scores, accuracy, 30), x, y, resamples=200)
    assert 0 <= low < common(x, y, 30) < high <= 1


@pytest.mark.parametrize(
    "statistic, count",
    [
        (spearman, 2),
        (spearman_difference, 3),
        (functools.partial(top_spearman, percent=30), 2),
        (functools.partial(top_spearman_difference, percent=50), 3),
    ],
)
@pytest.mark.parametrize("unknown", [0, 15, 34])
def test_interval_of_a_correlation_is_that_of_one_resample_at_a_time(statistic, count, unknown):
    arrays = np.random.default_rng(1).normal(size=(count, 40)).round(1)  # with ties
    arrays[0, :unknown] = NAN
    one_at_a_time = bootstrap_interval(lambda *drawn: statistic(*drawn), *arrays, resamples=200)
    assert bootstrap_interval(statistic, *arrays, resamples=200) == pytest.approx(
        one_at_a_time, abs=1e-12, nan_ok=True
    )


@pytest.mark.parametrize("percent", [100, 50])
def test_a_lead_is_over_whichever_other_is_best(percent):
    accuracy, *scores = np.random.default_rng(2).normal(size=(5, 40)).round(1)
    scores[0], scores[3] = scores[0] + accuracy, np.ones(40)  # the last one says nothing
    others = max(top_spearman(each, accuracy, percent) for each in scores[1:3])
    lead = lead_over_best(*scores, accuracy, percent=percent)
    assert lead == pytest.approx(top_spearman(scores[0], accuracy, percent) - others)
    assert math.isnan(lead_over_best(scores[0], scores[3], accuracy, percent=percent))
    with_rivals = bootstrap_interval(functools.partial(lead_over_best, percent=percent), *scores, accuracy)
    best = max(scores[1:3], key=lambda each: top_spearman(each, accuracy, percent))
    alone = bootstrap_interval(functools.partial(lead_over_best, percent=percent), scores[0], best, accuracy)
    assert with_rivals[0] <= alone[0] and with_rivals[1] <= alone[1]  # in no resample is it ahead by more


def test_a_reflected_interval_of_the_lead_over_many_covers_what_a_plain_one_does_not():
    rng, lead, covered = np.random.default_rng(5), functools.partial(lead_over_best, percent=100), []
    for _ in range(40):  # none of thirteen equal scores is ahead of the others
        accuracy = rng.normal(size=30)
        scores = accuracy + rng.normal(size=(13, 30))
        bounds = (
            bootstrap_interval(lead, *scores, accuracy, resamples=100, reflected=way) for way in (False, True)
        )
        covered.append([low < 0 < high for low, high in bounds])
    plain, reflected = np.mean(covered, axis=0)
    assert plain < 0.7 and reflected > 0.85


def test_a_reflected_interval_is_as_far_to_the_other_side():
    x, y = bivariate_normal(np.random.default_rng(0), 30, 0.5)
    low, high = bootstrap_interval(spearman, x, y)
    value = spearman(x, y)
    assert bootstrap_interval(spearman, x, y, reflected=True) == pytest.approx((2 * value - high, 2 * value - low))
    # All resamples but few lie below: a resample rarely has as many different entries as the data.
    low, high = bootstrap_interval(lambda drawn: float(np.unique(drawn).size), np.arange(30.0), reflected=True)
    assert low == 30 < high


def test_interval_of_as_many_distinct_values_as_a_byte_holds():
    assert bootstrap_interval(spearman, np.arange(128), np.arange(128), resamples=20) == pytest.approx((1, 1))


def test_interval_keeps_pairs_together_and_ignores_constant_resamples():
    assert bootstrap_interval(spearman, [1, 2, 3], [10, 20, 30]) == same((1, 1))
    assert bootstrap_interval(kendall, [1, 2, 3], [30, 20, 10]) == same((-1, -1))


def test_interval_depends_on_the_seed_alone():
    x, y = bivariate_normal(np.random.default_rng(0), 30, 0.5)
    first = bootstrap_interval(spearman, x, y, resamples=50, seed=3)
    assert bootstrap_interval(spearman, pd.Series(x), pd.Series(y), resamples=50, seed=3) == first
    assert bootstrap_interval(spearman, x, y, resamples=50, seed=4) != first


@pytest.mark.parametrize(
    "statistic, arrays",
    [
        (spearman, ([], [])),
        (np.mean, ([1],)),
        (spearman, ([1, 2], [1, 2])),
        (spearman, ([1, 1, 1, 1], [1, 2, 3, 4])),
        (spearman, ([NAN] * 5, range(5))),
        (lambda x: 0.0 if len(set(x)) == len(x) else NAN, (range(60),)),  # NaN in every resample
    ],
)
def test_interval_is_nan_where_there_is_none(statistic, arrays):
    low, high = bootstrap_interval(statistic, *arrays, resamples=20)
    assert math.isnan(low) and math.isnan(high)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, NAN])
def test_interval_refuses_other_confidences(confidence):
    with pytest.raises(InputError, match="between 0 and 1"):
        bootstrap_interval(np.mean, [1, 2, 3], confidence=confidence)


@pytest.mark.parametrize("wrong", [{"resamples": 0}, {"resamples": 10.5}, {"seed": -1}, {"seed": None}])
def test_interval_refuses_other_resamples_and_seeds(wrong):
    with pytest.raises(InputError, match="must be an integer of at least"):
        bootstrap_interval(np.mean, [1, 2, 3], **wrong)


# Cost against value.


def test_front_worked_by_hand():
    cost = [30, 10, 20, 20, 40, 5, NAN, 1]
    value = [0.8, 0.5, 0.7, 0.6, 0.8, 0.5, 0.9, NAN]
    assert pareto_front(cost, value).tolist() == [5, 2, 0]


def test_front_keeps_duplicates_and_only_those():
    assert pareto_front([2, 1, 2, 1, 1], [9, 5, 9, 5, 4]).tolist() == [1, 3, 0, 2]


def test_front_of_nothing():
    assert pareto_front([], []).tolist() == []
    assert pareto_front([NAN, 1], [1, NAN]).tolist() == []


@settings(max_examples=200)
@given(pairs(TIED))
def test_front_is_what_nothing_dominates(points):
    assert pareto_front(*points).tolist() == slow_front(*points)


@given(pairs(ANY), st.data())
def test_front_does_not_depend_on_the_order_of_the_points(points, data):
    cost, value = points
    order = data.draw(st.permutations(range(len(cost))))
    shuffled = pareto_front([cost[i] for i in order], [value[i] for i in order])
    assert sorted(order[i] for i in shuffled) == sorted(pareto_front(cost, value))


def test_nearest_is_measured_in_log_cost_and_on_the_front():
    cost, value = [10, 100, 45, 1000], [0.1, 0.2, 0.05, 0.3]
    assert nearest_pareto(cost, value, 40) == 1  # nearer to 10 in cost, to 100 in log cost; 45 is off the front
    assert nearest_pareto(cost, value, 30) == 0
    assert nearest_pareto(cost, value, 1e9) == 3
    assert nearest_pareto(cost, value, 1e-9) == 0


def test_nearest_takes_the_cheaper_of_two_equally_near():
    assert nearest_pareto([100, 1], [2, 1], 10) == 1
    assert nearest_pareto([49, 1], [2, 1], 7) == 1  # the two differences of rounded logarithms are not equal


@given(st.lists(st.tuples(st.integers(-9, 9), TIED), min_size=1, max_size=20), st.integers(-10, 10))
def test_nearest_among_powers_of_two(points, target):
    exponents, value = zip(*points)
    front = slow_front(exponents, value)
    cost = [2.0**e for e in exponents]
    if not front:
        with pytest.raises(InputError, match="front is empty"):
            nearest_pareto(cost, value, 2.0**target)
    else:
        nearest = min(front, key=lambda i: (abs(exponents[i] - target), exponents[i], i))
        assert nearest_pareto(cost, value, 2.0**target) == nearest


@pytest.mark.parametrize("target", [0, -1, NAN, INF])
def test_nearest_refuses_targets_without_a_logarithm(target):
    with pytest.raises(InputError, match="target cost"):
        nearest_pareto([1, 2], [1, 2], target)


@pytest.mark.parametrize("cost", [0, -3])
def test_nearest_refuses_costs_without_a_logarithm(cost):
    with pytest.raises(InputError, match="costs must be positive"):
        nearest_pareto([1, cost], [1, 2], 1)


# Arrays that are none.

TWO_ARRAYS = {
    "spearman": spearman,
    "kendall": kendall,
    "top_spearman": lambda x, y: top_spearman(x, y, 50),
    "common": lambda x, y: common(x, y, 50),
    "average_cost": lambda x, y: average_cost(x, y, 50),
    "bootstrap_interval": lambda x, y: bootstrap_interval(spearman, x, y),
    "pareto_front": pareto_front,
    "nearest_pareto": lambda x, y: nearest_pareto(x, y, 1),
}


@pytest.mark.parametrize("function", TWO_ARRAYS.values(), ids=TWO_ARRAYS)
@pytest.mark.parametrize(
    "x, y",
    [
        ([1, 2, 3], [1, 2]),
        ([[1, 2, 3]], [[1, 2, 3]]),
        ([[1, 2, 3]], [1, 2, 3]),
        (1.0, 2.0),
        (["a", "b", "c"], [1, 2, 3]),
        ([1, 2, 3], [[1], [2, 3], []]),
    ],
)
def test_arrays_that_do_not_fit(function, x, y):
    with pytest.raises(InputError, match="expected 1-d arrays"):
        function(x, y)


def test_single_arrays_that_do_not_fit():
    with pytest.raises(InputError, match="expected 1-d arrays"):
        top_indices([[1, 2]], 50)
    with pytest.raises(InputError, match="shapes given are: none"):
        bootstrap_interval(np.mean)


def test_difference_of_two_scores_and_its_interval():
    rng = np.random.default_rng(0)
    accuracy = rng.normal(size=30)
    one, other = accuracy + rng.normal(size=30), np.round(rng.normal(size=30), 1)  # the second with ties

    def slowly(one, other, accuracy):
        return stats.spearmanr(one, accuracy).statistic - stats.spearmanr(other, accuracy).statistic

    assert spearman_difference(one, other, accuracy) == pytest.approx(slowly(one, other, accuracy))
    fast = bootstrap_interval(spearman_difference, one, other, accuracy, resamples=200)
    assert fast == pytest.approx(bootstrap_interval(slowly, one, other, accuracy, resamples=200))
    other[3] = np.nan
    known = np.arange(30) != 3
    assert spearman_difference(one, other, accuracy) == pytest.approx(
        slowly(one[known], other[known], accuracy[known])
    )
