"""A results folder is looked at, or made of others: `fear table`, `fear status`, `fear merge`, `fear report`."""

import contextlib
import math
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Optional

import typer

from fearlib.cli.options import split_methods
from fearlib.data.registry import stand_in_note
from fearlib.errors import InputError, require
from fearlib.files.outside import existing_path, user_path
from fearlib.plugin import import_plugin
from fearlib.sweeps.status import Progress, Status, sweep_status

_FAILURES_SHOWN = 10
_SCORES_SHOWN = 20  # architectures
_CLEAR = "\033[2J\033[H"  # for a terminal: what it shows, and to its first line
_NOBODY = "no sweep writes to it now (one that has just been started loads its images first)"
_PAUSE = 5.0  # seconds between two looks at a sweep that runs

Folder = Annotated[Path, typer.Argument(help="Results folder of `fear rank`.")]


def table(folder: Folder) -> None:
    """Print the ranking table of a results folder."""
    existing_path(folder)
    from fearlib.sweeps.rows import read_rows

    print_ranking(read_rows(folder))


def print_ranking(rows) -> None:
    """The ranking table of a sweep's rows, with what a reader should know of it."""
    from fearlib.ranking.side_by_side import failed_trials, without_a_score
    from fearlib.ranking.tables import format_ranking, ranking_table
    from fearlib.sweeps.rows import own_truth

    moments = rows.moment.notna()
    if moments.any():
        print("Measures at moments of training are tabulated by analysis/degradation.ipynb.")
    scored = rows[~moments]
    if len(scored) and scored.test_accuracy.isna().all():
        _print_scores(scored)
    elif rows.empty or not scored.failed.all():
        print(format_ranking(ranking_table(scored)))
    for sentence in (*without_a_score(scored), *failed_trials(scored)):
        print(f"\n{sentence}")
    if len(scored):
        if own_truth(rows):
            print("\nThe accuracy of `full` is the truth here, with which the others are compared.")
        if scored.groupby("method")["index"].agg(frozenset).nunique() > 1:
            print("\nNot all methods were run on the same architectures: `n + out` says on how many.")
    if note := stand_in_note(rows.dataset):
        print(f"\n{note}")


def _print_scores(rows) -> None:
    from fearlib.ranking.side_by_side import side_by_side

    require("tabulate", "print tables")
    table = side_by_side(rows)
    print(table[:_SCORES_SHOWN].to_markdown(index=False, floatfmt=".4g"))
    more = f"; {len(table) - _SCORES_SHOWN} more are in its rows.csv.gz" if len(table) > _SCORES_SHOWN else ""
    print(f"\nScores, higher is better: without a test accuracy none is said to rank well{more}.")


def status(
    folder: Folder,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with it, and with each Spearman so far, until the sweep ends.")
    ] = False,
) -> None:
    """Say how far a sweep has come, while it runs or after."""
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            _watch(folder)
    else:
        print(_status_text(sweep_status(folder), folder))


def _watch(folder: Path) -> None:
    from fearlib.ranking.so_far import spearman_so_far
    from fearlib.sweeps.follow import follow

    import_plugin()  # rows need the search space
    counted = None
    for found, rows in follow(folder):
        is_new, counted = found.total[:3] != counted, found.total[:3]
        if is_new:
            so_far = spearman_so_far(rows)
        now = time.strftime("%H:%M:%S")
        if sys.stdout.isatty():
            print(f"{_CLEAR}{_table(so_far.columns, so_far.to_numpy())}\n\n{_status_text(found, folder)}\n{now}")
        elif is_new or not found.writer:
            known = [f"{each.method} {each.spearman} n={each.n}" for each in so_far.itertuples()]
            print("; ".join([f"{now} {_counts(found)}", *known]), flush=True)
        if found.writer:
            time.sleep(_PAUSE)


def _status_text(found: Status, folder: Path) -> str:
    methods = [[name, *each] for name, each in found.methods.items()]
    failures = found.failures[:_FAILURES_SHOWN]
    if len(found.failures) > _FAILURES_SHOWN:
        more = len(found.failures) - _FAILURES_SHOWN
        failures.append(f"and {more} more failures, in {folder / 'rows.csv.gz'} by their outcome")
    writer = f"{found.writer} writes to it" if found.writer else _NOBODY
    return "\n".join([_table(["method", *Progress._fields], methods), "", _counts(found), writer, *failures])


def _counts(found: Status) -> str:
    total = found.total
    counts = f"{total.finished} finished, {total.failed} failed, {total.remaining} remaining of the last command"
    if not total.remaining or math.isnan(found.expected):
        return counts
    untimed = any(each.remaining and math.isnan(each.seconds) for each in found.methods.values())
    more = f"{'at least ' * untimed}{found.expected / 60:.1f} minutes more"
    pace = "one by one" if math.isnan(found.rate) else f"at its pace of {60 * found.rate:.1f} trials a minute"
    return f"{counts}, {more} {pace}"


def _table(headers: Iterable[str], lines: Iterable[Iterable]) -> str:
    tabulate = require("tabulate", "print tables").tabulate
    return tabulate(lines, [*headers], tablefmt="pipe", floatfmt=".1f")


def merge(
    output: Annotated[Path, typer.Argument(help="Results folder that receives the trials; made if need be.")],
    sources: Annotated[list[Path], typer.Argument(help="Results folders of the same configuration.")],
    methods: Annotated[
        Optional[str],
        typer.Option(help="These alone, as `fear status` names them; `full` too where it is the truth."),
    ] = None,
) -> None:
    """Join sweeps of one configuration, run on several machines, in one folder."""
    for source in sources:
        existing_path(source)
    from fearlib.sweeps.merge import merge_sweeps

    chosen = None if methods is None else split_methods(methods)
    print(f"{merge_sweeps(output, sources, chosen)} trials were added to {output}.")


def report(
    results: Annotated[Path, typer.Argument(help="Folder with the ledger, tables, figures and sweeps.")] = Path(
        "results"
    ),
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
) -> None:
    """Write everything in the results as one page that needs no network."""
    if not user_path(results).is_dir():
        raise InputError(f"{results} is not a folder of results: run this in the repository's folder.")
    from fearlib.report.page import write_report

    print(f"wrote {output}, {write_report(results, output) / 1e6:.1f} MB")
