"""The page: one file with the ledger, every table, figure and sweep, that needs no network."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pandas as pd

from fearlib.errors import InputError, require
from fearlib.files.outside import user_path
from fearlib.files.tables import read_csv
from fearlib.files.write import check_place, replace_file
from fearlib.report.account import accounts
from fearlib.report.captioned import add_sweeps, figures, tables
from fearlib.report.claims import CLAIMS, COLUMNS, MAX_CLAIMS_BYTES, shown_values
from fearlib.report.rule import RULES, VERDICTS
from fearlib.report.scores import MOST, scores
from fearlib.report.sections import further_sections, paper_sections

NUMBERS = ("paper", "beyond", "ours", "low", "high", "n", "architectures", "to_decide")  # columns of the ledger
OPENING = "paper_beside_ours"  # the figure that the page opens with
MAX_BYTES = 8_000_000  # of the page
TEMPLATES = Path(__file__).parent


def write_report(results: Path, output: Path) -> int:
    """Write the page of the results in a folder to the file `output`, and return its size in bytes.

    The same results give the same bytes. Raises InputError if there are no results, something in them cannot be
    read, or the page would be larger than `MAX_BYTES`.
    """
    check_place(output)
    page = render(user_path(results)).encode()
    if len(page) > MAX_BYTES:
        raise InputError(
            f"the report would have {len(page) / 1e6:.1f} MB, and no more than {MAX_BYTES / 1e6:g} are allowed: "
            f"take figures or sweeps out of {results}."
        )
    replace_file(output, page)
    return len(page)


def render(results: Path) -> str:
    """The page as text."""
    jinja2 = require("jinja2", "make a report")
    if not results.is_dir():
        raise InputError(f"{results} is not a folder of results: run this in the repository's folder.")
    claims = read_claims(results)
    sweeps, of_tables = accounts(results), tables(results)
    of_figures, measured = figures(results), scores(results)
    numbers = {table["name"]: table["n"] for table in of_tables}
    for each in (*of_tables, *of_figures):
        add_sweeps(each, sweeps, numbers)
    captioned = [each for each in (*of_figures, *of_tables) if each["name"] != OPENING]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters["anchor"] = lambda name: re.sub(r"[^\w.-]", "-", name)
    style, script = ((TEMPLATES / name).read_text() for name in ("page.css", "page.js"))
    return environment.get_template("page.html").render(
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=_json(measured),
        claims=claims,
        verdicts=_verdicts(claims),
        rules=RULES,
        sources=list(dict.fromkeys(claim["source"] for claim in claims)),
        opening=[figure for figure in of_figures if figure["name"] == OPENING],
        counts={"claims": len(claims), "tables": len(of_tables), "figures": len(of_figures)},
        exhibits=paper_sections(claims, captioned, sweeps),
        beyond=further_sections(claims, captioned, sweeps),
        sweeps=sweeps,
        most=MOST,
        architectures=sum(map(len, measured["architectures"].values())),
        latest=max((sweep["latest"] for sweep in sweeps), default="")[:10],
    )


def read_claims(results: Path) -> list[dict]:
    """The lines of the ledger as texts to show, each with the `folder` that it rests on.

    Raises InputError if there is no ledger, or it lacks a column.
    """
    path = results / CLAIMS
    if not path.exists():
        raise InputError(
            f"{results} holds no {CLAIMS}: the report is of the repository's results/, and analysis/claims.ipynb "
            "makes its ledger; of one sweep, fear table prints the ranking."
        )
    book = read_csv(path, MAX_CLAIMS_BYTES, COLUMNS)
    for column in NUMBERS:
        if book[column].dtype.kind not in "iuf":
            raise InputError(f"{path} is not a ledger: every {column} must be a number or nothing.")
    return [_shown(line) for line in book.to_dict("records")]


def _shown(line: dict) -> dict:
    texts = {
        key: "" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value)
        for key, value in line.items()
    }
    folder = re.match(r"fear rank results/([\w.-]+)", texts["command"])
    return texts | shown_values(line) | {"folder": folder[1] if folder else ""}


def _verdicts(claims: list[dict]) -> list[dict]:
    found = [claim["verdict"] for claim in claims]
    known = VERDICTS | {verdict: "" for verdict in found if verdict not in VERDICTS}
    return [{"name": name, "claims": found.count(name), "meaning": meaning} for name, meaning in known.items()]


def _json(value: dict) -> str:
    """For a script element: no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(text: str) -> str:
    """By which a browser recognises the page's own style and script, and refuses any other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
