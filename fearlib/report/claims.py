"""What the paper says beside what was measured, and a verdict by one stated rule."""

import math

import pandas as pd

from fearlib.errors import InputError

TOLERANCE = 0.08  # between two correlations at the paper's scale
NEAR_ZERO, SMALL = 0.1, 0.2
_ROUNDING = 1e-9  # a perfect correlation's resamples differ in their last digits
VERDICTS = {
    "reproduced": "at the paper's scale, the paper's value lies in our 95% interval or within "
    f"{TOLERANCE} of our estimate",
    "direction holds": "our whole interval lies on the paper's side of zero; or between "
    f"-{SMALL} and {SMALL}, where the paper's value is {NEAR_ZERO} from zero at most",
    "direction fails": "our whole interval lies on the other side of zero; or beyond "
    f"-{SMALL} or {SMALL}, where the paper's value is {NEAR_ZERO} from zero at most",
    "inconclusive": "our interval allows both",
    "not run": "nothing was measured yet",
}
COLUMNS = (
    "id", "source", "claim", "paper", "ours", "low", "high", "verdict", "n", "seeds", "preset", "data",
    "command", "missing",
)  # fmt: skip


def verdict(paper: float, ours: float, low: float, high: float, paper_scale: bool) -> str:
    """One of `VERDICTS` for a correlation, or for a difference between two, with our 95% interval `low`..`high`.

    For a claim in words `paper` is its direction, +inf or -inf. Raises InputError if the interval does not hold
    the estimate, or if the paper's value is not known.
    """
    if math.isnan(paper):
        raise InputError("a verdict needs the paper's value, or +inf or -inf for its direction alone.")
    if math.isnan(ours):
        return "not run"
    if not low - _ROUNDING <= ours <= high + _ROUNDING:
        raise InputError(f"the estimate {ours} is not within its interval {low}..{high}.")
    if paper_scale and (low <= paper <= high or abs(paper - ours) <= TOLERANCE):
        return "reproduced"
    if abs(paper) <= NEAR_ZERO:
        if -SMALL <= low and high <= SMALL:
            return "direction holds"
        return "direction fails" if low > SMALL or high < -SMALL else "inconclusive"
    if low <= 0 <= high:
        return "inconclusive"
    return "direction holds" if (ours > 0) == (paper > 0) else "direction fails"


def ledger(claims: pd.DataFrame, measured: list[dict], missing: dict[str, str]) -> pd.DataFrame:
    """A line for every claim, in the order of `claims`, with `COLUMNS`.

    `claims` has `id`, `source`, `claim` and `paper`. A line of `measured` names its claim by `id` and has `ours`,
    `low`, `high`, `paper_scale` and what it rests on (`n`, `seeds`, `preset`, `data`, `command`); and `chance`,
    what a random score would have, where that is not zero: the verdict is on what is beyond it. `missing` says
    what claims that were not measured lack, by their id or the parts of it (`T2` of `T2.fear`) before a point.
    Raises InputError for a measurement of no claim or of one that was measured already, and where nothing says
    what is missing.
    """
    by_id = {line["id"]: line for line in measured}
    unknown = sorted(set(by_id) - set(claims.id))
    if unknown or len(by_id) < len(measured):
        raise InputError(
            f"measurements of no claim: {', '.join(unknown)}." if unknown else "a claim is measured twice."
        )
    nothing = dict.fromkeys(("ours", "low", "high"), math.nan) | {"paper_scale": False, "chance": 0.0}
    lines = []
    for claim in claims.to_dict("records"):
        line = claim | nothing | by_id.get(claim["id"], {})
        beyond = (line[key] - line["chance"] for key in ("paper", "ours", "low", "high"))
        line["verdict"] = verdict(*beyond, line["paper_scale"])
        if line["verdict"] == "not run":
            line["missing"] = _what_is_missing(claim["id"], missing)
        lines.append(line)
    return pd.DataFrame(lines, columns=COLUMNS)


def _what_is_missing(claim: str, missing: dict[str, str]) -> str:
    beginnings = [beginning for beginning in missing if f"{claim}.".startswith(f"{beginning}.")]
    if not beginnings:
        raise InputError(f"{claim} was not measured, and nothing says what is missing.")
    return missing[max(beginnings, key=len)]
