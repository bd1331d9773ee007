"""Pages of prose with tables in them that follow from the results: each stands between two marks."""

from pathlib import Path

from fearlib.errors import InputError
from fearlib.files.tables import read_csv
from fearlib.files.write import replace_file
from fearlib.report import reproduction
from fearlib.report.choosing import coverage
from fearlib.report.score_columns import groups_of_columns

MAX_BYTES = 2**24


def write_pages() -> None:
    """Put into the pages of the repository, the folder in which this runs, what its results say now."""
    for page, blocks in pages(Path()).items():
        fill(Path(page), blocks)


def pages(root: Path) -> dict[str, dict[str, str]]:
    """The tables of every page by the name of their place in it."""
    results = root / "results"
    columns = read_csv(results / "tables" / "scores.csv", MAX_BYTES)
    return {
        "docs/reproduce.md": reproduction.tables(results),
        "docs/choosing.md": {
            "guide": (results / "tables" / "choosing.md").read_text().strip(),
            "measured": coverage(read_csv(results / "tables" / "combinations.csv", MAX_BYTES)),
        },
        "results/scores.md": {"columns": groups_of_columns(columns)},
    }


def fill(page: Path, blocks: dict[str, str]) -> None:
    """Replace what stands from `<!-- name -->` to `<!-- /name -->`, of every block by its name.

    Raises InputError if the page has no such place.
    """
    text = page.read_text()
    for name, block in blocks.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if start not in text or end not in text:
            raise InputError(f"{page} has no place {start.strip()} ... {end}.")
        before, rest = text.split(start)
        text = f"{before}{start}{block}\n{end}{rest.split(end)[1]}"
    replace_file(page, text.encode())
