"""Whatever shows results on a stand-in says that it is one."""

import shutil

import pandas as pd
import pytest
from test_cli import ZERO_COST, run  # noqa: F401
from test_report import small  # noqa: F401
from test_tinyimagenet import write_arrays
from typer.testing import CliRunner

from fearlib import ranking_table, read_rows
from fearlib.cli.commands import app
from fearlib.explorer.views import static_view
from fearlib.figures import scatter
from fearlib.ranking.tables import save_table
from fearlib.report import page as report
from fearlib.report.account import provenance
from fearlib.sweeps.reader import Results

NAME = "tinyimagenet16-120"
SHOWN = f"{NAME} (stand-in for imagenet16-120)"
NOTE = f"{NAME} is a stand-in for imagenet16-120: the images are others"
TINY = {"channels": 1, "train_images": 250, "stage1_epochs": 1, "threshold": 0.001, "zero_cost_batch": 8}
COUNT = 4


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A folder for the data, one with a sweep, and what it said."""
    folder = tmp_path_factory.mktemp("stand_in")
    write_arrays(folder, 2)
    words = ["rank", folder / "sweep", "--dataset", "TinyImageNet16-120", "--folder", folder]
    words += ["--methods", "fear shortreg", "--truth", ZERO_COST, "--indices", ZERO_COST, "--count", COUNT]
    words += [word for item in TINY.items() for word in ("--set", "{}={}".format(*item))]
    said = CliRunner().invoke(app, list(map(str, words)))
    assert said.exit_code == 0, said.output
    return folder, folder / "sweep", said.stdout


def test_the_command_line(run, sweep):  # noqa: F811
    data, folder, said = sweep
    assert f"on {SHOWN}: preset=" in said and f"\n{NOTE}" in said
    rows, known = read_rows(folder), pd.read_csv(f"{ZERO_COST}/accuracies.csv").set_index("index")
    assert set(rows.dataset) == {NAME} and rows["index"].nunique() == COUNT
    assert rows.test_accuracy.tolist() == pytest.approx(known.imagenet16_120[rows["index"]].tolist(), abs=1e-3)
    index = rows["index"][0]
    for words, shown in (
        (("table", folder), NOTE),
        (("list",), SHOWN),
        (("show", index, "--results", folder), f"test accuracy on {SHOWN}: "),
        (("truth", "show", folder, index, "--dataset", NAME), f" {SHOWN} 200 epochs: "),
        (("data", NAME, "--folder", data, "--train-images", 250), "240 training and 240 test images"),
        (("data", NAME, "--folder", data), "a stand-in for ImageNet16-120"),
    ):
        code, out, err = run(*words)
        assert code == 0 and shown in out, (words, out, err)


def test_what_is_made_of_its_rows(sweep, small):  # noqa: F811
    """Tables, figures, the explorer, where numbers come from, and the page of everything."""
    _, folder, _ = sweep
    rows = read_rows(folder)
    save_table(ranking_table(rows), small / "tables" / NAME, rows=rows)
    assert (small / "tables" / f"{NAME}.md").read_text().splitlines()[-1].startswith(NOTE)
    assert SHOWN in scatter(rows).get_suptitle()
    assert SHOWN in static_view(Results(folder))
    assert provenance(folder).startswith(f"{SHOWN}: ")
    captions = pd.read_csv(small / "captions.csv")
    line = dict.fromkeys(captions, "") | {"kind": "table", "name": NAME, "caption": "All.", "folders": "mine"}
    pd.concat([captions, pd.DataFrame([line])]).to_csv(small / "captions.csv", index=False)
    before = report.render(small)
    assert before.count(NOTE) == 1 and SHOWN not in before
    shutil.copytree(folder, small / "mine")
    whole = report.render(small)
    assert whole.count(NOTE) == 2  # of the table's text, and of what it rests on
    assert whole.count(SHOWN) == 4  # in its table's section, twice in its own, and beside its plot
