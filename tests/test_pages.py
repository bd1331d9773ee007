"""Pages with tables that follow from the results are up to date, and `make reproduce` writes them anew."""

import re
from pathlib import Path

import pandas as pd
import pytest

from fearlib.errors import InputError
from fearlib.ranking.every_score import columns_table, positions, read_scores
from fearlib.report.pages import fill, pages

ROOT = Path(__file__).parents[1]
PAGES = pages(ROOT)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_what_follows_from_the_results(page, tmp_path):
    """And where results have changed, filling it changes nothing but its tables."""
    text, stale = (ROOT / page).read_text(), tmp_path / "page.md"
    assert len(PAGES[page]) == len(re.findall(r"<!-- /", text))
    stale.write_text(text)
    for name in PAGES[page]:
        stale.write_text(
            re.sub(rf"(<!-- {name} -->\n).*?(?=<!-- /{name} -->)", r"\1old\n", stale.read_text(), flags=re.S)
        )
    assert stale.read_text().count("\nold\n") == len(PAGES[page])
    fill(stale, PAGES[page])
    assert stale.read_text() == text


def test_a_page_without_the_place_is_refused(tmp_path):
    (tmp_path / "page.md").write_text("<!-- guide -->\n")
    with pytest.raises(InputError, match="has no place <!-- guide -->"):
        fill(tmp_path / "page.md", {"guide": "table"})


def moments(line):
    return re.search(r"after (.*?) epochs of training|$", line)[1].split(", ")


def test_the_page_of_the_scores_names_every_column():
    """Each column's label, without its moment, stands in the line of its preset and moment."""
    results = ROOT / "results"
    table = columns_table(read_scores(results), positions(results).index)
    text = PAGES["results/scores.md"]["columns"]
    pd.testing.assert_frame_equal(  # of which the page is made
        table.reset_index(drop=True), pd.read_csv(results / "tables" / "scores.csv"), rtol=1e-5
    )
    lines = text.splitlines()[2:]
    for line in table.itertuples():
        preset, _, label = line.score.partition("/")
        moment = re.search(r"epoch=([\d.]+)", label)
        shown = f"`{label.partition('(')[0]}(...)`" if moment else f"`{label}`"
        found = [
            each for each in lines
            if f"`{preset}/...`" in each and shown in each and (not moment or moment[1] in moments(each))
        ]  # fmt: skip
        assert found and any(line.dataset in each for each in found), line.score
