"""Every decimal number of the README, of results/README.md and of the findings is a link to its table, and agrees.

A link's definition, at the end of the document, names a file and after `#` the row's cells, and last the column:
`[label]: <tables/x.csv#method=synflow&top=50&spearman>`, of JSON the path alone, as `live.macs`. A factor may
follow, `macs/1e12`. A header of a table in the document links all cells below it; `{header}` in its definition
stands for the row's cell under that other header. What is no result stands in code: `0.4`. The tables between
`<!-- name -->` and `<!-- /name -->` are held by other tests.
"""

import json
import re
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
FINDINGS = sorted(f"results/findings/{path.name}" for path in (ROOT / "results" / "findings").glob("*.md"))
COMPLETE = ("README.md", "results/README.md", *FINDINGS)
DOCUMENTS = (*COMPLETE, "docs/decisions.md", "docs/commands.md")
DEFINITION = r"^\[([^\]]+)\]: <([^>]+)>\n?"
LINK = r"\[([^\]\[]+)\]\[([^\]]+)\]"
DECIMAL = r"[+-]?\d+\.\d+"
NUMBER = rf"[+-]?\d+(?:\.\d+)?(?: \({DECIMAL}\.\.{DECIMAL}\)| ± {DECIMAL})?"
NO_RESULT = (r"<!-- (\w+) -->.*?<!-- /\1 -->", r"```.*?```", r"`[^`]*`", r"\]\([^)]*\)")


@cache
def table(path):
    """All cells as they are written, by the columns' names."""
    if path.suffix == ".json":
        return pd.json_normalize(json.loads(path.read_text())).astype(str)
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    ((header, lines),) = tables_of(path.read_text())
    return pd.DataFrame(lines, columns=header)


def held(target, text):
    """What the target's cell says, in the form of the text: its digits, and an interval or error if it has one."""
    path, _, fragment = target.partition("#")
    *cells, column = fragment.split("&")
    column, factor = re.fullmatch(r"(.+?)((?:[*/][\de]+)?)", column).groups()
    rows = table(Path(path).resolve())
    for cell in cells:
        key, _, value = cell.partition("=")
        rows = rows[rows[key] == value]
    assert len(rows) == 1, f"{target} names {len(rows)} rows"
    row = rows.iloc[0]
    if re.fullmatch(rf"{DECIMAL} .+", row[column]):
        return row[column] if " " in text else row[column].split()[0]
    digits = len(text.split()[0].partition(".")[2])
    scale = float(factor[1:]) ** (1 if factor[0] == "*" else -1) if factor else 1

    def of(name):
        return f"{float(row[name if name in row else name.split()[-1]]) * scale:.{digits}f}"

    if "(" in text:
        return f"{of(column)} ({of(f'{column} low')}..{of(f'{column} high')})"
    error = f"{column} sd" if f"{column} sd" in row else f"{column} se"
    return f"{of(column)} ± {of(error)}" if "±" in text else of(column)


def tables_of(text):
    """The header and the lines of every table of a document, as cells."""
    for block in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        header, _, *lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        yield header, lines


def claims(document):
    """Every number that a document links, with its link's target."""
    text = (ROOT / document).read_text()
    targets = dict(re.findall(DEFINITION, text, re.MULTILINE))
    for name, label in re.findall(LINK, re.sub(DEFINITION, "", text, flags=re.MULTILINE)):
        if re.match(NUMBER, name) and "{" not in targets[label]:
            yield name, targets[label]
    for header, lines in tables_of(text):
        links = [re.fullmatch(LINK, cell) for cell in header]
        names = [link[1] if link else cell for link, cell in zip(links, header)]
        for line in lines:
            for link, cell in zip(links, line):
                if link and cell:
                    values = {name: value.strip("`") for name, value in zip(names, line)}
                    yield (
                        cell,
                        re.sub(r"\{([^}]+)\}", lambda place, values=values: values[place[1]], targets[link[2]]),
                    )


@pytest.mark.parametrize("document", DOCUMENTS)
def test_numbers_agree_with_the_tables_that_they_link(document, monkeypatch):
    monkeypatch.chdir((ROOT / document).parent)
    found = [(re.match(NUMBER, text)[0], target) for text, target in claims(document)]
    compared = [(text, held(target, text), target) for text, target in found]
    wrong = [f"{text}, where {target} has {right}" for text, right, target in compared if text != right]
    assert found and not wrong, "\n".join(wrong)


@pytest.mark.parametrize("document", COMPLETE)
def test_no_number_is_without_its_table(document):
    text = (ROOT / document).read_text()
    for pattern in (DEFINITION, *NO_RESULT):
        text = re.sub(pattern, " ", text, flags=re.DOTALL | re.MULTILINE)
    cells = [
        cell for header, lines in tables_of(text) for line in lines for name, cell in zip(header, line)
        if not re.fullmatch(LINK, name)
    ]  # fmt: skip
    prose = re.sub(r"^\|.*\|$", "", text, flags=re.MULTILINE)
    unlinked = re.sub(LINK, "", "\n".join([prose, *cells]))
    assert not (loose := re.findall(rf".{{0,20}}{DECIMAL}.{{0,20}}", unlinked)), loose
