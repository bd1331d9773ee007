"""The ledger's rule: the sample that a claim is judged on, its verdict, and how many networks would decide it."""

import math

from fearlib.errors import InputError

TOLERANCE = 0.08  # between the paper's value and ours at the paper's scale
NEAR_ZERO, SMALL = 0.1, 0.2
UNITS = {"correlation": 1, "ratio": 1, "points": 5}  # how many times these; a ratio is judged by its logarithm
NO_WORSE = SMALL * UNITS["points"]  # percentage points of accuracy that no worse may be worse
ENOUGH, ENOUGH_IN_TOP = 100, 20  # architectures of a sample, and in the top that a claim speaks of
_ROUNDING = 1e-9  # a perfect correlation's resamples differ in their last digits
VERDICTS = {
    "reproduced": "at the paper's scale, the paper's value lies in our 95% interval or within "
    f"{TOLERANCE} of our estimate",
    "direction holds": "our whole interval lies on the paper's side of zero; or between "
    f"-{SMALL} and {SMALL}, where the paper's value is {NEAR_ZERO} from zero at most",
    "direction fails": "our whole interval lies on the other side of zero; or beyond "
    f"-{SMALL} or {SMALL}, where the paper's value is {NEAR_ZERO} from zero at most",
    "inconclusive": "our interval allows both",
    "too few networks": f"fewer than {ENOUGH_IN_TOP} architectures have a score in the claim's top",
    "not run": "nothing was measured yet",
}
RULES = (
    "A ratio of costs is judged by its logarithm. For percentage points of accuracy these bounds are "
    f"{UNITS['points']} times as large.",
    f"Judged is the largest scale with {ENOUGH} architectures, and with {ENOUGH_IN_TOP} that have a score in the "
    "claim's top. Where none has so many, it is the one with the most there.",
    "A smaller sample at a larger scale stands beside it.",
    "Of a share of the top what is beyond chance is judged.",
    f"No worse is what is less than {NO_WORSE:g} percentage point worse.",
    "The values of ZC are those that Abdelfattah et al. (2021) published.",
    "How many architectures would decide holds if our estimate stays as it is.",
)


def sample_to_judge(lines: list[dict]) -> tuple[dict, list[dict]]:
    """Of a claim's measurements the one that is judged, and those at a larger scale that stand beside it.

    Judged is the largest scale with `ENOUGH` architectures measured (`architectures`) and `ENOUGH_IN_TOP` with a
    score in the claim's top (`n`); where none has, the one with the most there. `paper_scale` tells the scales
    apart.
    """
    by_scale = sorted(lines, key=lambda line: (line["paper_scale"], line["n"]), reverse=True)
    enough = [line for line in by_scale if line["architectures"] >= ENOUGH and line["n"] >= ENOUGH_IN_TOP]
    judged = enough[0] if enough else max(by_scale, key=lambda line: line["n"])
    return judged, [line for line in by_scale if line["paper_scale"] > judged["paper_scale"]]


def verdict(
    paper: float,
    ours: float,
    low: float,
    high: float,
    paper_scale: bool,
    n: float = math.inf,
    unit: str = "correlation",
    beyond: float = 0.0,
) -> str:
    """One of `VERDICTS` for the paper's value and ours, with our 95% interval `low`..`high`.

    The `unit` is one of `UNITS`: a correlation, a share or a difference of two; a ratio of costs, judged by its
    logarithm; or a difference of accuracies in percentage points. The verdict is on what lies `beyond` a value,
    which a ratio does not have. `n` architectures are in the top that the claim is about. For a claim in words
    `paper` is its direction, +inf or -inf. Raises InputError if the interval does not hold the estimate, or if
    the paper's value is not known.
    """
    if math.isnan(paper):
        raise InputError("a verdict needs the paper's value, or +inf or -inf for its direction alone.")
    if math.isnan(ours) and not n < ENOUGH_IN_TOP:
        return "not run"
    if not n >= ENOUGH_IN_TOP:  # nor is NaN enough
        return "too few networks"
    if not low - _ROUNDING <= ours <= high + _ROUNDING:
        raise InputError(f"the estimate {ours} is not within its interval {low}..{high}.")
    paper, ours, low, high = _from_zero(unit, beyond, paper, ours, low, high)
    tolerance, near_zero, small = (bound * UNITS[unit] for bound in (TOLERANCE, NEAR_ZERO, SMALL))
    if paper_scale and (low <= paper <= high or abs(paper - ours) <= tolerance):
        return "reproduced"
    if abs(paper) <= near_zero:
        if -small <= low and high <= small:
            return "direction holds"
        return "direction fails" if low > small or high < -small else "inconclusive"
    if low <= 0 <= high:
        return "inconclusive"
    return "direction holds" if (ours > 0) == (paper > 0) else "direction fails"


def architectures_to_decide(
    paper: float,
    ours: float,
    low: float,
    high: float,
    n: float,
    top: float = 100,
    unit: str = "correlation",
    beyond: float = 0.0,
) -> float:
    """About how many architectures in all would decide an inconclusive claim, if our estimate stayed as it is.

    n x (half-width / distance)^2, over the share of all that the `top` percent are: an interval narrows with the
    root of n, and `distance` is how far the estimate lies from the bound that it has to leave: zero, or `SMALL`
    where the paper's value is near zero. The other arguments are those of `verdict`. Infinite at the bound itself.
    """
    paper, ours, low, high = _from_zero(unit, beyond, paper, ours, low, high)
    distance = abs(ours)
    if abs(paper) <= NEAR_ZERO * UNITS[unit]:
        distance = abs(SMALL * UNITS[unit] - distance)
    return n * ((high - low) / 2 / distance) ** 2 / (top / 100) if distance else math.inf


def _from_zero(unit: str, beyond: float, *values: float) -> tuple[float, ...]:
    if unit not in UNITS:
        raise InputError(f"unknown unit {unit!r}: the units are {', '.join(UNITS)}.")
    if unit != "ratio":
        return tuple(value - beyond for value in values)
    if beyond or min(values) <= 0:
        raise InputError("ratios must be positive, and are judged beyond 1 alone.")
    return tuple(map(math.log, values))
