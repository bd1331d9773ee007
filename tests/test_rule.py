"""The ledger's rule: verdicts, the sample that is judged, and how many architectures would decide a claim."""

import itertools
import math
import random

import pytest

from fearlib.errors import InputError
from fearlib.report.rule import UNITS, VERDICTS, architectures_to_decide, sample_to_judge, verdict


@pytest.mark.parametrize(
    "paper, ours, low, high, paper_scale, expected",
    [
        (0.58, 0.55, 0.5, 0.6, True, "reproduced"),  # inside the interval
        (0.74, 0.80, 0.77, 0.82, True, "reproduced"),  # outside it, within the tolerance
        (0.36, 0.59, 0.55, 0.64, True, "direction holds"),
        (0.74, 0.80, 0.77, 0.82, False, "direction holds"),  # the same at a reduced scale
        (0.55, -0.3, -0.5, -0.1, True, "direction fails"),
        (0.55, 0.1, -0.1, 0.3, False, "inconclusive"),
        (-0.41, -0.3, -0.4, -0.2, False, "direction holds"),
        (-0.41, 0.3, 0.2, 0.4, False, "direction fails"),
        (-0.02, 0.05, -0.15, 0.19, False, "direction holds"),  # small, as the paper's
        (-0.02, 0.7, 0.6, 0.8, False, "direction fails"),
        (-0.02, 0.1, -0.1, 0.3, False, "inconclusive"),
        (0.1, 0.5, 0.4, 0.6, False, "direction fails"),
        (math.inf, 0.2, 0.1, 0.3, True, "direction holds"),
        (-math.inf, 0.2, 0.1, 0.3, True, "direction fails"),
        (0.55, math.nan, math.nan, math.nan, False, "not run"),
    ],
)
def test_verdict(paper, ours, low, high, paper_scale, expected):
    assert verdict(paper, ours, low, high, paper_scale) == expected


@pytest.mark.parametrize(
    "unit, beyond, paper, ours, low, high, paper_scale, expected",
    [
        ("ratio", 0, 0.80, 0.90, 0.85, 0.95, False, "direction holds"),  # cheaper, as the paper's
        ("ratio", 0, 0.80, 1.30, 1.10, 1.50, False, "direction fails"),
        ("ratio", 0, 0.80, 0.95, 0.85, 1.05, False, "inconclusive"),
        ("ratio", 0, 0.80, 0.86, 0.85, 0.87, True, "reproduced"),  # 7.5% more
        ("ratio", 0, 0.80, 0.90, 0.85, 0.95, True, "direction holds"),  # 12.5% more
        ("ratio", 0, 0.95, 1.15, 1.10, 1.20, False, "direction holds"),  # about as dear, as the paper's
        ("ratio", 0, 0.95, 1.50, 1.40, 1.60, False, "direction fails"),
        ("ratio", 0, 3.84, 2.00, 1.50, 2.50, False, "direction holds"),
        ("points", 0, -0.13, 0.30, -0.40, 0.90, False, "direction holds"),  # within one point
        ("points", 0, -0.13, -1.60, -2.00, -1.20, False, "direction fails"),
        ("points", 0, -0.13, -0.60, -1.20, 0.10, False, "inconclusive"),
        ("points", 0, -0.13, 0.20, 0.00, 0.40, True, "reproduced"),
        ("points", -1, math.inf, -0.30, -0.80, 0.20, False, "direction holds"),  # no worse
        ("points", -1, math.inf, 2.00, 1.00, 3.00, False, "direction holds"),  # even better
        ("points", -1, math.inf, -1.60, -2.00, -1.20, False, "direction fails"),
        ("points", -1, math.inf, -0.80, -1.20, -0.40, False, "inconclusive"),
        ("correlation", 0.4, 0.9, 0.5, 0.3, 0.6, False, "inconclusive"),  # what chance gives lies in our interval
        ("correlation", 0.4, 0.9, 0.6, 0.5, 0.7, False, "direction holds"),
    ],
)
def test_verdict_in_other_units_and_beyond_a_value(unit, beyond, paper, ours, low, high, paper_scale, expected):
    assert verdict(paper, ours, low, high, paper_scale, unit=unit, beyond=beyond) == expected


def test_a_top_of_few_gets_no_verdict():
    for paper, n in itertools.product((0.5, -0.5, 0.01, math.inf), (2, 19)):
        assert verdict(paper, 0.5, 0.4, 0.6, True, n) == "too few networks"
    assert verdict(0.5, math.nan, math.nan, math.nan, True, 2) == "too few networks"
    assert verdict(0.5, 0.5, 0.4, 0.6, True, math.nan) == "too few networks"
    assert verdict(0.5, 0.5, 0.4, 0.6, True, 20) == "reproduced"


def test_a_mirrored_claim_gets_the_same_verdict():
    """And so does one of accuracies, five times as large, and one of the ratio whose logarithm it is."""
    random_ = random.Random(0)
    seen = set()
    for paper_scale, _ in itertools.product((True, False), range(500)):
        paper, *ours = (random_.uniform(-1, 1) for _ in range(4))
        low, estimate, high = sorted(ours)
        found = verdict(paper, estimate, low, high, paper_scale)
        assert found == verdict(-paper, -estimate, -high, -low, paper_scale)
        five_times = (5 * value for value in (paper, estimate, low, high))
        assert found == verdict(*five_times, paper_scale, unit="points")
        ratios = map(math.exp, (paper, estimate, low, high))
        assert found == verdict(*ratios, paper_scale, unit="ratio")
        assert paper_scale or found != "reproduced"
        seen.add(found)
    assert seen == set(VERDICTS) - {"not run", "too few networks"}


def test_verdict_refuses_what_is_no_interval():
    with pytest.raises(InputError, match="not within its interval"):
        verdict(0.5, 0.9, 0.1, 0.2, True)
    with pytest.raises(InputError, match="paper's value"):
        verdict(math.nan, 0.1, 0.0, 0.2, True)
    for unit, beyond, low in (("ratio", 0.0, -0.1), ("ratio", 0.5, 0.1)):
        with pytest.raises(InputError, match="ratios must be positive"):
            verdict(0.5, 0.3, low, 0.4, True, unit=unit, beyond=beyond)
    with pytest.raises(InputError, match="unknown unit 'seconds'"):
        verdict(0.5, 0.3, 0.2, 0.4, True, unit="seconds")


def sample(paper_scale, architectures, n):
    return {"paper_scale": paper_scale, "architectures": architectures, "n": n}


@pytest.mark.parametrize(
    "samples, judged, beside",
    [
        ([sample(False, 164, 159)], 0, []),
        ([sample(True, 1000, 990), sample(False, 1000, 999)], 0, []),  # the larger scale, of two with enough
        ([sample(False, 164, 159), sample(True, 100, 97)], 1, []),
        ([sample(True, 99, 97), sample(False, 164, 159)], 1, [0]),  # one architecture too few
        ([sample(False, 240, 24), sample(True, 150, 15)], 0, [1]),  # enough, but not in this top
        ([sample(False, 164, 16), sample(True, 150, 19)], 1, []),  # neither: where there are most
        ([sample(False, 60, 56), sample(True, 28, 25)], 0, [1]),
        ([sample(True, 28, 25)], 0, []),
        ([sample(False, 30, 25), sample(True, 28, 25)], 1, []),  # as many: the larger scale
    ],
)
def test_the_largest_scale_with_enough_is_judged(samples, judged, beside):
    assert sample_to_judge(samples) == (samples[judged], [samples[place] for place in beside])
    assert sample_to_judge(samples[::-1]) == (samples[judged], [samples[place] for place in beside])


@pytest.mark.parametrize("unit", UNITS)
def test_with_as_many_architectures_a_claim_is_just_decided(unit):
    """Its interval then being as much narrower as the root of n says; with a few less it is not decided yet."""
    random_, decided = random.Random(1), []
    while len(decided) < 200:
        paper, ours = random_.choice((random_.uniform(-1, 1), 0.05, math.inf)), random_.uniform(-0.6, 0.6)
        half, n, top = random_.uniform(0.05, 0.6), random_.randint(20, 200), random_.choice((10, 50, 100))

        def in_unit(*values):
            return [math.exp(value) if unit == "ratio" else value * UNITS[unit] for value in values]

        def at(n, paper=paper, ours=ours, half=half, before=n):
            narrower = half * math.sqrt(before / n)
            return verdict(*in_unit(paper, ours, ours - narrower, ours + narrower), False, n, unit=unit)

        if at(n) != "inconclusive":
            continue
        needed = architectures_to_decide(*in_unit(paper, ours, ours - half, ours + half), n, top, unit)
        of_top = needed * top / 100
        assert at(of_top * 1.001) != "inconclusive" and at(max(of_top * 0.999, 20)) == "inconclusive"
        decided.append(at(of_top * 1.001))
    assert set(decided) == {"direction holds", "direction fails"}


def test_at_the_bound_no_number_decides():
    assert architectures_to_decide(0.5, 0.0, -0.1, 0.1, 50) == math.inf
    assert architectures_to_decide(math.inf, -1.0, -1.5, -0.5, 50, unit="points", beyond=-1.0) == math.inf
    assert architectures_to_decide(math.inf, -0.5, -1.5, 0.5, 50, unit="points", beyond=-1.0) == pytest.approx(200)
