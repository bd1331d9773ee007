"""What the paper says beside what was measured, and a verdict by one stated rule."""

import math

import pandas as pd

from fearlib.errors import InputError, require
from fearlib.ranking.estimate import Estimate

STAND_IN = " [on a stand-in]"  # after a claim that was measured on other images than its own
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

_HEAD = """# The claims ledger

Made by `analysis/claims.ipynb`. The commands take the architectures of our own sweeps, in their order, and the
benchmark's accuracies that those hold; name another folder to run them anew. C2 rests on the zero-cost measures
of `zero_cost_DATASET`, too. What was measured on the images of a stand-in says so, and is never `reproduced`.
Data: {copies}.

"""


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
    what a random score would have, where that is not zero: the verdict is on what is beyond it; and `stand_in`,
    whether it was measured on other images than the claim's: the claim then says so, and the verdict is never
    "reproduced". `missing` says what claims that were not measured lack, by their id or the parts of it (`T2` of
    `T2.fear`) before a point.
    Raises InputError for a measurement of no claim or of one that was measured already, and where nothing says
    what is missing.
    """
    by_id = {line["id"]: line for line in measured}
    unknown = sorted(set(by_id) - set(claims.id))
    if unknown or len(by_id) < len(measured):
        raise InputError(
            f"measurements of no claim: {', '.join(unknown)}." if unknown else "a claim is measured twice."
        )
    nothing = dict.fromkeys(("ours", "low", "high"), math.nan)
    nothing |= {"paper_scale": False, "chance": 0.0, "stand_in": False}
    lines = []
    for claim in claims.to_dict("records"):
        line = claim | nothing | by_id.get(claim["id"], {})
        beyond = (line[key] - line["chance"] for key in ("paper", "ours", "low", "high"))
        line["verdict"] = verdict(*beyond, line["paper_scale"] and not line["stand_in"])
        line["claim"] += STAND_IN if line["stand_in"] else ""
        if line["verdict"] == "not run":
            line["missing"] = _what_is_missing(claim["id"], missing)
        lines.append(line)
    return pd.DataFrame(lines, columns=COLUMNS)


def _what_is_missing(claim: str, missing: dict[str, str]) -> str:
    beginnings = [beginning for beginning in missing if f"{claim}.".startswith(f"{beginning}.")]
    if not beginnings:
        raise InputError(f"{claim} was not measured, and nothing says what is missing.")
    return missing[max(beginnings, key=len)]


def published_values(claims: pd.DataFrame, beginning: str) -> dict[str, float]:
    """The paper's values of the claims whose id begins so, by the rest: `snip` of `ZC.cifar10.snip`."""
    of_them = claims[claims.id.str.startswith(f"{beginning}.")]
    return dict(zip(of_them.id.str.removeprefix(f"{beginning}."), of_them.paper.tolist()))


def count_verdicts(book: pd.DataFrame) -> pd.DataFrame:
    """How many `claims` of a ledger have each `verdict`, and `what it says`."""
    counts = book.verdict.value_counts()
    return pd.DataFrame(
        {
            "verdict": VERDICTS.keys(),
            "claims": [counts.get(name, 0) for name in VERDICTS],
            "what it says": VERDICTS.values(),
        }
    )


def shown_values(line: dict) -> dict[str, str]:
    """The numbers of a ledger's line as texts: `paper`, `ours` with its interval and `n`, empty where not run."""
    run = not math.isnan(line["ours"])
    return {
        "paper": {math.inf: "above 0", -math.inf: "below 0"}.get(line["paper"], f"{line['paper']:g}"),
        "ours": str(Estimate.of(line, "ours")) if run else "",
        "n": f"{line['n']:.0f}" if run else "",
    }


def shown_ledger(book: pd.DataFrame) -> pd.DataFrame:
    """The ledger as texts to read."""
    return pd.DataFrame([_shown(line) for line in book.to_dict("records")])


def ledger_page(book: pd.DataFrame) -> str:
    """The ledger as a page of Markdown, the verdicts counted above it."""
    require("tabulate", "print tables")
    counts = count_verdicts(book).to_markdown(index=False)
    lines = shown_ledger(book).to_markdown(index=False, disable_numparse=True)
    return f"{_HEAD.format(copies='; '.join(sorted(book.data.dropna().unique())))}{counts}\n\n{lines}\n"


def _shown(line: dict) -> dict[str, str]:
    run, values = line["verdict"] != "not run", shown_values(line)
    return {
        "id": line["id"],
        "claim": line["claim"],
        "paper": values["paper"],
        "ours (95%)": values["ours"],
        "verdict": line["verdict"],
        "n": values["n"],
        "seed": line["seeds"] if run else "",
        "preset": line["preset"] if run else "",
        "measured by, or what is missing": f"`{line['command']}`" if run else line["missing"],
    }
