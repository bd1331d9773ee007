"""What ranks best for a budget: the table of docs/choosing.md, and the answer to a budget of one's own."""

import shlex
from pathlib import Path

import pandas as pd

from fearlib.data.registry import DATASETS, shown_name, stands_for
from fearlib.errors import InputError, check_least
from fearlib.ranking.candidates import SETS, comparison, read_combinations
from fearlib.ranking.estimate import Estimate, texts
from fearlib.ranking.every_score import positions, read_scores, scores_of
from fearlib.ranking.held_out import choices
from fearlib.ranking.tables import markdown
from fearlib.report.reproduction import CORE, macs_a_second

LISTED = Path("analysis/combinations.csv")
_FREE, _LATER, _FEAR, _LITTLE = ("free measures", "later measures", "FEAR", "a little training")
ANSWERING = (_FREE, _LATER, _FEAR, _LITTLE)  # a budget of one's own, from the least costly on
USED = (_FREE, _LATER, _FEAR, "a few steps", _LITTLE)
# The sets on which a budget is answered: the first in which it allows something.
ANSWERED_ON = {
    "none": (_LATER, _FREE, _FEAR),
    "a forward pass": (_LATER, _FREE, _FEAR),
    "an epoch": (_LATER, _FREE, _FEAR),
    "FEAR": (_FEAR,),
    "ten times FEAR": (_LITTLE, _FEAR),
}
ALL, ALONE = "combinations too", "FEAR alone"


def guide(held: pd.DataFrame) -> pd.DataFrame:
    """The lines of `choices` that answer each budget on each dataset, with the Spearman of `FEAR alone` there.

    `held` has the `choices` of every `dataset`, `set` and `positions`.
    """
    whole, lines = held[held.positions == "all"], []
    for budget, sets in ANSWERED_ON.items():
        for dataset in whole.dataset.unique():
            of_dataset = whole[whole.dataset == dataset]
            answers = of_dataset[(of_dataset.budget == budget) & (of_dataset.among == ALL)].set_index("set")
            name = next((name for name in sets if name in answers.index), None)
            if name is not None:
                alone = of_dataset[(of_dataset["set"] == name) & (of_dataset.among == ALONE)].set_index("dataset")
                line = {"budget": budget, "dataset": dataset, "set": name} | answers.loc[name].to_dict()
                lines.append(line | {ALONE: alone.spearman.get(dataset)})
    return pd.DataFrame(lines)


def shown_guide(table: pd.DataFrame, macs_a_second: float) -> pd.DataFrame:
    """`guide` as texts to read; times are those of a machine of so many macs a second."""
    return pd.DataFrame(
        {
            "budget": table.budget,
            "at most, 10^9 macs": table["at most"].map("{:.3g}".format),
            "of a core, training": [duration(1e9 * gmacs / macs_a_second) for gmacs in table["at most"]],
            "dataset": table.dataset,
            "ranks best": [f"`{name}`" for name in table["on all"]],
            "costs": table["on all gmacs"].map("{:.3g}".format),
            "n": table.n,
            "Spearman, held out (95%)": texts(table, "spearman"),
            "better half (95%)": texts(table, "top 50%", "top 50% "),
            "FEAR alone there": table[ALONE].map("{:.2f}".format).replace("nan", ""),
        }
    )


def coverage(table: pd.DataFrame) -> str:
    """How many architectures each set of each dataset has, of `every_combination`, as Markdown.

    A column a set that is in the table, by the first of the scores that its architectures have.
    """
    counts = table[table.positions == "all"].groupby(["dataset", "set"]).n.first()
    names = {f"{name}: `{SETS[name][0]}`": name for name in USED if name in set(table["set"])}
    lines = [
        {"dataset": shown_name(dataset)}
        | {title: counts.get((dataset, name), "not measured") for title, name in names.items()}
        for dataset in DATASETS
        if dataset != "synthetic"
    ]
    return markdown(pd.DataFrame(lines))


def duration(seconds: float) -> str:
    """`0.8 s`, `12 s`, `4 min`: two digits."""
    value, unit = (seconds / 60, "min") if seconds >= 120 else (seconds, "s")
    return f"{float(f'{value:.2g}'):g} {unit}"


def choose(
    gmacs: float, dataset: str | None = None, results: str | Path = "results", listed: str | Path = LISTED
) -> pd.DataFrame:
    """What ranks best at `gmacs` (1e9 multiply-accumulates) an architecture at most: `choices`, a line a dataset.

    `dataset` is one of those measured in the folder `results`, None stands for all; `listed` is the list of
    combinations. A dataset is answered on the set of `SETS` that has what the budget allows. `how` and `scores`
    say what the best candidate `on all` is made of, and `cost` what it costs. Raises InputError for a budget below
    0, or where nothing was measured that it allows, or too little to compare.
    """
    check_least(0, gmacs=gmacs)
    for path in (Path(results), Path(listed)):
        if not path.exists():
            raise InputError(f"{path} does not exist: run this in the repository's folder.")
    rows, place, combinations = read_scores(results), positions(results), read_combinations(listed)
    lines, measured, is_compared = [], list(rows.dataset.unique()), False
    if dataset not in (None, *measured):
        stand_ins = "".join(f", but on its stand-in {name}" for name in measured if stands_for(name) == dataset)
        raise InputError(f"there are no rows on {dataset}{stand_ins}: the datasets are {', '.join(measured)}.")
    for name in [dataset] if dataset else measured:
        scores = scores_of(rows, name)
        found = {each: comparison(scores, SETS[each], place, combinations) for each in ANSWERING}
        is_compared |= any(found.values())
        allowed = [each for each, of in found.items() if of and (of.candidates.gmacs <= gmacs).any()]
        if not allowed:
            continue
        within = [each for each in allowed if found[each].candidates.gmacs[SETS[each][0]] <= gmacs]
        of_set = within[-1] if within else allowed[0]
        of = found[of_set]
        table = choices(of, of, {"own": gmacs}).set_index("among")
        line = table.loc[ALL].to_dict() | {"dataset": name, "set": of_set, ALONE: table.spearman.get(ALONE)}
        best = of.candidates.loc[line["on all"]]
        lines.append(line | {"how": best.how, "scores": best.scores, "cost": best.gmacs})
    if not lines:
        where = f"on {dataset}" if dataset else "there"
        if not is_compared:
            raise InputError(f"too little was measured {where} to say what ranks best: name another dataset.")
        raise InputError(f"{gmacs:g} x 10^9 macs: nothing that costs so little was measured {where}.")
    return pd.DataFrame(lines)


def answers(
    budget: float, dataset: str | None = None, results: str | Path = "results", indices: str | Path | None = None
) -> str:
    """`choose` at so many multiply-accumulates as a text, with the commands that rank the architectures `indices`.

    Raises InputError as `choose` does.
    """
    lines, texts = choose(budget / 1e9, dataset, results).to_dict("records"), []
    rate = macs_a_second(CORE, results)
    for line in lines:
        over_all, better = Estimate.of(line, "spearman"), Estimate.of(line, "top 50%", "top 50% ")
        alone = "" if pd.isna(line[ALONE]) else f"; FEAR alone {line[ALONE]:.2f}"
        time = f"{duration(1e9 * line['cost'] / rate)} of a core at {rate:.2g} macs a second"
        words = ["--dataset", line["dataset"], "--scores", " ".join(line["scores"]), "--how", line["how"]]
        words += ["--indices", "INDICES" if indices is None else str(indices)]
        texts.append(
            f"{shown_name(line['dataset'])}: {line['on all']}\n"
            f"  {line['cost']:.3g} x 10^9 macs an architecture, {time}\n"
            f"  held out, chosen on one half of {line['n']} architectures and measured on the other:\n"
            f"  Spearman {over_all}, in the better half {better}{alone}\n"
            f"  fear funnel mine/funnel {shlex.join(words)}"
        )
    return "\n\n".join(texts)
