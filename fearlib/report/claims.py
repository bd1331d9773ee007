"""What the paper says beside what was measured: the ledger, its lines and its page."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd

from fearlib.errors import InputError, require
from fearlib.ranking.estimate import Estimate
from fearlib.ranking.tables import markdown
from fearlib.report.rule import RULES, VERDICTS, architectures_to_decide, sample_to_judge, verdict
from fearlib.spaces.nats import SPACE_SIZE

CLAIMS = "claims.csv"  # in the results
MAX_CLAIMS_BYTES = 2**24
STAND_IN = " [on a stand-in]"  # after a claim that was measured on other images than its own
COLUMNS = (
    "id", "source", "claim", "unit", "paper", "beyond", "ours", "low", "high", "verdict", "n", "architectures",
    "seeds", "preset", "dataset", "data", "beside", "to_decide", "looked_into", "command", "missing",
)  # fmt: skip
FAILURES = Path("findings", "fails.md")  # in the results: what was looked into where a direction fails
_OF_THE_RULE = ("paper", "ours", "low", "high", "n", "unit", "beyond")
_NOTHING = dict.fromkeys(("ours", "low", "high", "n"), math.nan) | {
    "paper_scale": False, "stand_in": False, "beyond": 0.0, "top": 100, "unit": "correlation", "beside": "",
}  # fmt: skip
_PAGE = """# The claims ledger

Made by `analysis/claims.ipynb`. The commands take the architectures of our own sweeps, in their order, and the
benchmark's accuracies that those hold; name another folder to run them anew. What was measured on the images of
a stand-in says so, and is never `reproduced`.

{counts}

Where the direction holds, {outside} of the {values} values that the paper gives lie outside our interval.

{rules}

Data, and the fingerprints that `fear data` says:

{copies}

{lines}"""


def ledger(
    claims: pd.DataFrame, measured: list[dict], missing: dict[str, str], looked_into: dict[str, str] | None = None
) -> pd.DataFrame:
    """A line for every claim, in the order of `claims`, with `COLUMNS`.

    `claims` as `ledger_claims` makes them. A line of `measured` names its claim by `id` and has `ours`, `low`,
    `high`, `paper_scale`, and what it rests on: `n`, `architectures`, `seeds`, `preset`, `dataset`, `data`,
    `command`. It may also have the `top` that the claim is about (100), what the verdict is `beyond` (what the
    claim has), a text to show `beside` it, and `stand_in`, whether the images are others than the claim's: the
    claim then says so, and is never "reproduced". There may be one at each scale. `missing` says what claims that
    were not measured lack, and `looked_into` where to read on about those whose direction fails: by their id or
    the parts of it (`T2` of `T2.fear`) before a point. Raises InputError for a measurement of no claim, or of one
    that was measured already at this scale, and where nothing says what is missing.
    """
    by_id = _by_claim(measured, claims)
    lines = []
    for claim in claims.to_dict("records"):
        judged, larger = sample_to_judge(by_id[claim["id"]]) if claim["id"] in by_id else ({}, [])
        line = _NOTHING | claim | judged
        rule = {key: line[key] for key in _OF_THE_RULE}
        line["verdict"] = verdict(paper_scale=line["paper_scale"] and not line["stand_in"], **rule)
        line["claim"] += STAND_IN if line["stand_in"] else ""
        line["beside"] = "; ".join([*map(_sample, larger), *filter(None, [line["beside"]])])
        if line["verdict"] == "not run":
            line["missing"] = _by_beginning(claim["id"], missing)
            if line["missing"] is None:
                raise InputError(f"{claim['id']} was not measured, and nothing says what is missing.")
        elif line["verdict"] == "inconclusive":
            line["to_decide"] = architectures_to_decide(top=line["top"], **rule)
        elif line["verdict"] == "direction fails":
            line["looked_into"] = _by_beginning(claim["id"], looked_into or {})
        lines.append(line)
    return pd.DataFrame(lines, columns=COLUMNS)


def _by_claim(measured: list[dict], claims: pd.DataFrame) -> dict[str, list[dict]]:
    by_id: dict[str, list[dict]] = {}
    for line in measured:
        by_id.setdefault(line["id"], []).append(line)
    if unknown := sorted(set(by_id) - set(claims.id)):
        raise InputError(f"measurements of no claim: {', '.join(unknown)}.")
    for claim, lines in by_id.items():
        if len({line["paper_scale"] for line in lines}) < len(lines):
            raise InputError(f"{claim} is measured twice at one scale.")
    return by_id


def _by_beginning(claim: str, texts: dict[str, str]) -> str | None:
    """The text of the longest key that is the claim's id, or its beginning up to a point."""
    beginnings = [beginning for beginning in texts if f"{claim}.".startswith(f"{beginning}.")]
    return texts[max(beginnings, key=len)] if beginnings else None


def _sample(line: dict) -> str:
    return f"{line['preset']}, n={line['n']}: {Estimate.of(line, 'ours')}"


def read_failures(results: str | Path) -> dict[str, str]:
    """Where to read on of a claim whose direction fails: a link within `results`, by the id or its beginning.

    They are those that the headings of `FAILURES` have in code.
    """
    path = Path(results) / FAILURES
    headings = re.findall(r"^## (.+)$", path.read_text(), re.M) if path.exists() else []
    return {
        claim: f"{FAILURES.as_posix()}#{_anchor(heading)}"
        for heading in headings
        for claim in re.findall(r"`([^`]+)`", heading)
    }


def _anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def count_verdicts(book: pd.DataFrame) -> pd.DataFrame:
    """How many `claims` of a ledger have each `verdict`, `of` which exhibits, and `what it says`."""
    counts = book.verdict.value_counts()
    exhibits = book.id.str.partition(".")[0].groupby(book.verdict).value_counts(sort=False)
    return pd.DataFrame(
        {
            "verdict": VERDICTS.keys(),
            "claims": [counts.get(name, 0) for name in VERDICTS],
            "of": [", ".join(f"{n} {which}" for which, n in exhibits.get(name, {}).items()) for name in VERDICTS],
            "what it says": VERDICTS.values(),
        }
    )


def shown_values(line: dict) -> dict[str, str]:
    """What a ledger's line shows as texts, empty where there is nothing.

    These are `paper`, `ours` with its interval, `n`, and `beside`, with how many architectures would decide it.
    """
    above = {math.inf: "above", -math.inf: "below"}.get(line["paper"])
    notes = [_to_decide(line["to_decide"]), line["beside"]]
    return {
        "paper": f"{above} {line['beyond']:g}" if above else f"{line['paper']:.3g}",
        "ours": "" if math.isnan(line["ours"]) else str(Estimate.of(line, "ours")),
        "n": "" if math.isnan(line["n"]) else f"{line['n']:.0f}",
        "beside": "; ".join(note for note in notes if isinstance(note, str) and note),
    }


def _to_decide(needed: float) -> str:
    """To two digits; or more than the search space has."""
    if math.isnan(needed):
        return ""
    about = f"about {float(f'{needed:.2g}'):,.0f}" if needed <= SPACE_SIZE else f"more than {SPACE_SIZE:,}"
    return f"{about} architectures would decide"


def shown_ledger(book: pd.DataFrame) -> pd.DataFrame:
    """The ledger as texts to read."""
    return pd.DataFrame([_shown(line) for line in book.to_dict("records")])


def ledger_page(book: pd.DataFrame) -> str:
    """The ledger as a page of Markdown, the verdicts counted above it."""
    require("tabulate", "print tables")
    values = book[(book.verdict == "direction holds") & np.isfinite(book.paper)]
    copies: dict[str, list[str]] = {}
    for source, _, fingerprint in (data.rpartition(", ") for data in sorted(book.data.dropna().unique())):
        copies.setdefault(source, []).append(fingerprint)
    return _PAGE.format(
        copies="\n".join(f"- {source}: {', '.join(prints)}" for source, prints in copies.items()),
        outside=(~values.paper.between(values.low, values.high)).sum(),
        values=len(values),
        counts=count_verdicts(book).to_markdown(index=False),
        rules="\n".join(f"- {rule}" for rule in RULES),
        lines=markdown(shown_ledger(book)),
    )


def _shown(line: dict) -> dict[str, str]:
    run, values = line["verdict"] != "not run", shown_values(line)
    read_on = f"[looked into]({line['looked_into']})" if isinstance(line["looked_into"], str) else ""
    return {
        "id": line["id"],
        "claim": line["claim"],
        "paper": values["paper"],
        "ours (95%)": values["ours"],
        "verdict": line["verdict"],
        "n": values["n"],
        "seed": line["seeds"] if run else "",
        "preset": line["preset"] if run else "",
        "beside it": "; ".join(filter(None, (read_on, values["beside"]))),
        "measured by, or what is missing": f"`{line['command']}`" if run else line["missing"],
    }
