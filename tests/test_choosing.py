"""What is advised for a budget, on made-up scores, and what `fear choose` refuses."""

import math
import shlex
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from test_held_out import FEAR, LISTED, made_up

from fearlib.errors import InputError
from fearlib.ranking.candidates import SHORTREG
from fearlib.ranking.held_out import choices
from fearlib.report import choosing
from fearlib.report.choosing import answers, choose, coverage, duration, guide


@pytest.fixture
def measured(monkeypatch):
    """Sixty architectures with FEAR and short training, for 1000 x 10^9 macs, and measures, for 1 x 10^9 each."""
    of, place = made_up()
    of.scores[SHORTREG], of.macs[SHORTREG] = of.scores[FEAR].to_numpy()[::-1], 1e12
    rows = pd.DataFrame({"dataset": ["cifar10", "cifar100"]})
    for name, value in (("read_scores", rows), ("positions", place), ("read_combinations", LISTED)):
        monkeypatch.setattr(choosing, name, lambda *_, value=value: value)
    nothing = of._replace(scores=of.scores[[]])
    monkeypatch.setattr(choosing, "scores_of", lambda _, dataset: of if dataset == "cifar10" else nothing)
    monkeypatch.setattr(choosing, "choices", partial(choices, halvings=3))
    monkeypatch.setattr(choosing, "macs_a_second", lambda *_: 2e9)
    return of


def test_a_budget_is_answered_by_what_it_allows(measured, tmp_path):
    for gmacs, of_set, fear in ((10, "free measures", False), (3000, "FEAR", True)):
        (line,) = choose(gmacs, results=tmp_path, listed=tmp_path).to_dict("records")
        assert (line["dataset"], line["set"], line["n"]) == ("cifar10", of_set, 60)
        assert (FEAR in line["scores"]) == fear and line["cost"] <= gmacs
        assert math.isfinite(line["FEAR alone"])  # which all of these have


def test_the_answer_is_a_command_to_copy(measured, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])  # where the list is
    text = answers(3e12, "cifar10", tmp_path, "my list.csv")
    (line,) = choose(3000, "cifar10", tmp_path, tmp_path).to_dict("records")
    words = shlex.split(text.splitlines()[-1])
    assert words[:2] == ["fear", "funnel"] and words[words.index("--indices") + 1] == "my list.csv"
    assert tuple(words[words.index("--scores") + 1].split()) == line["scores"]
    assert f"{duration(line['cost'] / 2)} of a core" in text  # at 2 x 10^9 macs a second


@pytest.mark.parametrize(
    "gmacs, dataset, message",
    [
        (-1, None, "gmacs"),
        (math.nan, None, "gmacs"),
        (5, "imagenet16-120", "no rows on imagenet16-120: the datasets are cifar10, cifar100"),
        (math.inf, "cifar100", "too little was measured on cifar100 to say what ranks best"),
        (0.5, "cifar10", "nothing that costs so little was measured on cifar10"),
        (0.5, None, "0.5 x 10.9 macs: nothing that costs so little was measured there"),
    ],
)
def test_what_has_no_answer_is_refused(measured, tmp_path, gmacs, dataset, message):
    with pytest.raises(InputError, match=message):
        choose(gmacs, dataset, tmp_path, tmp_path)


def test_a_dataset_without_rows_has_perhaps_a_stand_in(measured, tmp_path, monkeypatch):
    rows = pd.DataFrame({"dataset": ["cifar10", "tinyimagenet16-120"]})
    monkeypatch.setattr(choosing, "read_scores", lambda _: rows)
    with pytest.raises(InputError, match="no rows on imagenet16-120, but on its stand-in tinyimagenet16-120: "):
        choose(5, "imagenet16-120", tmp_path, tmp_path)


def test_outside_the_repository_nothing_is_known(tmp_path):
    with pytest.raises(InputError, match="results does not exist: run this in the repository's folder"):
        choose(5, results=tmp_path / "results")


def held(*lines):
    columns = ["dataset", "set", "budget", "among", "spearman"]
    return pd.DataFrame(lines, columns=columns).assign(positions="all")


def test_the_guide_answers_on_the_first_set_that_the_budget_concerns():
    table = guide(
        held(
            ("cifar10", "free measures", "none", "combinations too", 0.1),
            ("cifar10", "free measures", "FEAR", "combinations too", 0.2),
            ("cifar10", "FEAR", "none", "combinations too", 0.3),
            ("cifar10", "FEAR", "FEAR", "single scores", 0.4),
            ("cifar10", "FEAR", "FEAR", "combinations too", 0.5),
            ("cifar10", "FEAR", "FEAR", "FEAR alone", 0.6),
            ("cifar100", "FEAR", "none", "combinations too", 0.7),
        )
    )
    assert list(zip(table.budget, table.dataset, table["set"], table.spearman)) == [
        ("none", "cifar10", "free measures", 0.1),
        ("none", "cifar100", "FEAR", 0.7),
        ("FEAR", "cifar10", "FEAR", 0.5),
    ]
    assert table["FEAR alone"].tolist()[2] == 0.6 and table["FEAR alone"].isna().tolist()[:2] == [True, True]


def test_what_was_measured_is_counted():
    table = pd.DataFrame({"dataset": ["cifar100", "cifar10", "cifar10"], "set": ["free measures", "FEAR", "FEAR"]})
    table = table.assign(positions=["all", "101 and up", "all"], n=[5, 3, 7])
    lines = {line.split("|")[1].strip(): line for line in coverage(table).splitlines()[2:]}
    assert lines["cifar10"].count("not measured") == 1 and "| 7 " in lines["cifar10"]
    assert lines["cifar100"].split("|")[2].strip() == "5"
    assert any(line.count("not measured") == 2 and "stand-in" in name for name, line in lines.items())


def test_durations_have_two_digits():
    shown = {0: "0 s", 0.123: "0.12 s", 51.7: "52 s", 119: "120 s", 486: "8.1 min", 4321: "72 min"}
    assert {seconds: duration(seconds) for seconds in shown} == shown


def test_a_budget_of_ones_own_is_answered_on_the_guides_sets():
    assert set(choosing.ANSWERING) == {name for names in choosing.ANSWERED_ON.values() for name in names}
