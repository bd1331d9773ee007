import contextlib
import gzip
import io
import json
import math
import multiprocessing
import random
import re
import resource
import shutil
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields

import numpy as np
import pandas as pd
import psutil
import pytest
from test_results import CONFIGURATION, make, trial

from fearlib import (
    MEASURES,
    Architecture,
    InputError,
    benchmark_accuracy,
    preset,
    ranking_table,
    run_sweep,
)
from fearlib.ranking.finished import finished_architectures
from fearlib.scores.registry import FIFTEEN, Measure
from fearlib.sweeps import methods
from fearlib.sweeps.journal import JOURNAL, PACKED, read_journal
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.meaning import MEANING, with_meaning
from fearlib.sweeps.merge import merge_sweeps
from fearlib.sweeps.methods import Method, expand_methods, parse_method
from fearlib.sweeps.place import run_here
from fearlib.sweeps.reader import Results
from fearlib.sweeps.rows import CURVE_COLUMNS, ROW_COLUMNS, read_curves, read_rows, write_tables
from fearlib.sweeps.run import check_sweep
from fearlib.sweeps.status import sweep_status
from fearlib.training.loop import Epoch

ARCHITECTURES = [Architecture.from_index(index) for index in (12148, 13226, 1291)]
METHODS = ["fear", "shortreg", "zero_cost"]
FORKED = multiprocessing.get_context("fork")  # processes that need not import anything again


def results(folder):
    """All rows and curves, without what differs from run to run."""
    rows, curves = pd.read_csv(folder / "rows.csv.gz"), read_curves(folder)
    return rows.drop(columns="seconds"), curves.drop(columns="seconds")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_settings):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    return folder


def assert_same(one, other):
    for a, b in zip(results(one), results(other)):
        pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_tables_are_tidy(undisturbed, tiny_settings):
    rows, curves = read_rows(undisturbed), read_curves(undisturbed)
    assert tuple(rows.columns) == (*ROW_COLUMNS, *MEANING) and tuple(curves.columns) == CURVE_COLUMNS
    assert tuple(pd.read_csv(undisturbed / "rows.csv.gz", nrows=0).columns) == ROW_COLUMNS
    assert len(rows) == 3 * (1 + 1 + len(FIFTEEN))
    assert not rows.duplicated(["index", "method", "seed"]).any()
    trained = rows[rows.method.isin(["fear(stage2_epochs=2)", "shortreg(epochs=1)"])]
    spent = curves.groupby(["index", "method"])[["macs", "seconds"]].sum()
    for _, row in trained.iterrows():
        assert spent.macs[row["index"], row["method"]] == row["macs"]
        assert spent.seconds[row["index"], row["method"]] == pytest.approx(row["seconds"])
    assert set(rows.arch) == {str(architecture) for architecture in ARCHITECTURES}
    assert set(rows.preset) == {tiny_settings.preset}


def test_manifest_says_where_the_numbers_come_from(undisturbed):
    manifest = json.loads((undisturbed / "manifest.json").read_text())
    assert manifest["configuration"]["dataset_fingerprint"]
    assert manifest["configuration"]["settings"]["channels"] == 4
    (sitting,) = manifest["sittings"]
    assert sitting["trials"] == 9
    assert sitting["truth"] is None
    assert {"commit", "packages", "hardware", "python", "started", "ended"} <= sitting.keys()


def test_a_rerun_does_nothing_and_more_methods_only_what_is_missing(undisturbed, tiny_settings, tmp_path):
    for name in (PACKED, "manifest.json"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    assert (tmp_path / PACKED).read_bytes() == (undisturbed / PACKED).read_bytes()
    assert_same(tmp_path, undisturbed)
    done = []
    run_sweep(
        tmp_path, "synthetic", tiny_settings, [*METHODS, "full"], ARCHITECTURES,
        after_trial=lambda rows: done.append(rows.method[0]),
    )  # fmt: skip
    assert done == ["full"] * 3
    rows = read_rows(tmp_path)
    truth = rows[rows.method == "full"].set_index("index").score * 100
    assert (rows.test_accuracy == rows["index"].map(truth)).all()


def test_killed_at_random_moments_and_resumed(undisturbed, tiny_settings, tmp_path):
    """SIGKILL, again and again, until a run gets through: the rows are those of an undisturbed sweep."""
    moment = random.Random(5)
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        if killed_and_resumed(folder, moment, tiny_settings) > 0:
            break
    else:
        pytest.fail("every run was over before it could be killed")
    trials = [json.dumps(record["trial"]) for record in read_journal(folder)]
    assert len(trials) == len(set(trials)) == 9
    assert_same(folder, undisturbed)


def killed_and_resumed(folder, moment, settings, most=2):
    """Start the sweep and kill it some trials later, at most so often, then let it finish; how often it was."""
    kills = 0
    while True:
        run = FORKED.Process(target=run_sweep, args=(folder, "synthetic", settings, METHODS, ARCHITECTURES))
        run.start()
        wanted = len(read_journal(folder)) + moment.randint(0, 2)
        while run.is_alive() and (len(read_journal(folder)) <= wanted or kills >= most):
            time.sleep(0.01)
        time.sleep(moment.random() * 0.2)
        if not run.is_alive():
            assert run.exitcode == 0
            sittings = json.loads((folder / "manifest.json").read_text())["sittings"]
            assert len(sittings) >= kills and sum(sitting["trials"] for sitting in sittings) == 9
            return kills
        run.kill()
        run.join()
        kills += 1


def test_two_workers_give_the_same_rows_although_one_is_killed(undisturbed, tiny_settings, tmp_path):
    killed = []

    def kill_a_worker(_):
        if not killed:
            killed.extend(filter(is_a_worker, psutil.Process().children(recursive=True)))
            killed[0].kill()

    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, workers=2, after_trial=kill_a_worker)
    assert len(killed) == 2 and len(read_journal(tmp_path)) == 9
    assert_same(tmp_path, undisturbed)


def is_a_worker(process):
    return "spawn_main" in " ".join(process.cmdline())


def test_another_configuration_is_refused(undisturbed, tiny_settings):
    before = (undisturbed / PACKED).read_bytes()
    other = preset("smoke", "synthetic", train_images=100, threshold=0.2)
    with pytest.raises(InputError, match=r"another configuration \(.*settings.threshold was 0.1 and is now 0.2"):
        run_sweep(undisturbed, "synthetic", other, METHODS, ARCHITECTURES)
    assert (undisturbed / PACKED).read_bytes() == before


def test_other_data_is_refused(tiny_settings, tmp_path):
    configuration = {"space": "nats-tss", "dataset": "synthetic", "settings": {"preset": "smoke"}}
    manifest = {"configuration": configuration | {"dataset_fingerprint": "0"}, "sittings": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="dataset_fingerprint was '0' and is now"):
        run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)


def test_data_prepared_otherwise_are_refused(tiny_settings, tmp_path):
    configuration = check_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    assert configuration["dataset_prepared"] == {"mean": None, "std": None, "padding": 0, "classes": 10}
    other = configuration["dataset_prepared"] | {"padding": 4}
    manifest = {"configuration": configuration | {"dataset_prepared": other}, "sittings": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="dataset_prepared.padding was 4 and is now 0"):
        check_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    del manifest["configuration"]["dataset_prepared"]  # from before it was noted
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, time_budget=0)
    assert read_manifest(tmp_path)["configuration"] == configuration
    of_another = read_manifest(tmp_path)
    of_another["configuration"]["dataset_prepared"] = other
    (tmp_path / "another").mkdir()
    (tmp_path / "another" / "manifest.json").write_text(json.dumps(of_another))
    with pytest.raises(InputError, match="dataset_prepared.padding was 4 and is now 0"):
        merge_sweeps(tmp_path / "both", [tmp_path, tmp_path / "another"])


def test_a_manifest_that_is_none(tiny_settings, tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="is not a readable manifest of a sweep"):
        run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)


def test_no_trial_starts_after_the_time_budget(tiny_settings, tmp_path):
    for _ in range(2):  # the second reads the first one's empty tables
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES, time_budget=0)
        assert rows.empty and tuple(rows.columns) == (*ROW_COLUMNS, *MEANING)


def test_no_trial_starts_after_a_time_budget_that_ends_between_two(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("fearlib.sweeps.place.time.monotonic", lambda: now[0])

    def takes_a_second(item):
        now[0] += 1
        return -item

    assert list(run_here(takes_a_second, [1, 2, 3, 4], deadline=2.0)) == [(1, -1), (2, -2)]


def test_a_trial_that_fails_is_recorded_and_tried_again(tiny_settings, tmp_path, monkeypatch):
    def out_of_memory(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("fearlib.sweeps.run.run_trial", out_of_memory)
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES)
    assert set(rows.outcome) == {"failed: MemoryError: no room"} and rows.score.isna().all()
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES)
    assert len(rows) == 3 and set(rows.outcome) == {"ok"}


def test_truth_is_written_beside_the_scores(tiny_settings, tmp_path):
    truth = pd.Series({12148: 93.5, 13226: 91.25})
    with pytest.warns(UserWarning, match="no test accuracy of 1 of 3 architectures, 1291 for one"):
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    assert rows.groupby("index").test_accuracy.first().to_dict().items() >= truth.to_dict().items()
    assert rows[rows["index"] == 1291].test_accuracy.isna().all()


@pytest.mark.parametrize(
    "truth, says",
    [
        (pd.Series([10, 20, 30]), "numbered 0 to 2 by pandas, which may be places in a list"),
        (pd.Series(dtype=float), "truth has no test accuracy of 3 of 3 architectures"),
        (pd.Series([50.0] * 15625), "say so by truth.rename_axis('index'), or give a dict"),
        (pd.Series({str(each): 90.0 for each in ARCHITECTURES}), "which are not architecture indices"),
        ([10.0, 20.0, 30.0], "truth is a list: it must be a Series or a dict"),
        ({12148: 500.0}, "truth: architecture 12148 has the accuracy 500.0, which is not a number in 0..100"),
        (pd.Series({12148: "high"}), "'high', which is not a number in 0..100"),
        (pd.Series([90.0, 80.0], index=[12148, 12148]), "truth has architecture 12148 twice"),
        ({7: 90.0}, "no test accuracy of 3 of 3 architectures"),
        ({each.index: np.nan for each in ARCHITECTURES}, "no test accuracy of 3 of 3 architectures"),
    ],
)
def test_a_truth_that_is_not_of_these_architectures_is_refused(truth, says, tiny_settings, tmp_path):
    with pytest.raises(InputError, match=re.escape(says)):
        run_sweep(tmp_path / "out", "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    assert not (tmp_path / "out").exists()


def test_a_truth_may_be_a_dict_in_any_order(tiny_settings, tmp_path):
    truth = {each.index: accuracy for each, accuracy in zip(reversed(ARCHITECTURES), (30.0, 20.0, 10.0))}
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    assert rows.groupby("index").test_accuracy.first().to_dict() == truth


def test_full_training_of_another_length_is_the_truth_of_its_sweep(tiny_settings, tmp_path):
    methods = ["zero_cost", "full(epochs=1)", "full(epochs=2)"]
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, methods, ARCHITECTURES)
    longest = rows[rows.method == "full(epochs=2)"].set_index("index").score * 100
    assert (rows.test_accuracy == rows["index"].map(longest)).all()
    table = ranking_table(rows, resamples=10).set_index("method")
    assert np.isnan(table["common 50%"]["full(epochs=2)"]) and np.isfinite(table["common 50%"]["full(epochs=1)"])
    found = benchmark_accuracy(tmp_path, "synthetic", [each.index for each in ARCHITECTURES])
    assert found.to_dict() == pytest.approx(longest.to_dict())


def test_truth_stays_when_a_later_run_does_not_give_it(tiny_settings, tmp_path):
    run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES)
    truth = pd.Series({architecture.index: 90.0 for architecture in ARCHITECTURES})
    run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost", "full"], ARCHITECTURES)
    assert (rows.test_accuracy == 90.0).all()
    assert [s["truth"] for s in json.loads((tmp_path / "manifest.json").read_text())["sittings"]] == [
        None, "given as numbers", None,
    ]  # fmt: skip


@pytest.mark.parametrize("form", [JOURNAL, PACKED])
def test_a_journal_without_its_manifest_is_refused(undisturbed, tiny_settings, tmp_path, form):
    (tmp_path / form).write_bytes((undisturbed / PACKED).read_bytes())
    with pytest.raises(InputError, match="has a journal but no manifest.json"):
        run_sweep(tmp_path, "synthetic", tiny_settings, METHODS, ARCHITECTURES)


def test_a_results_folder_that_is_a_file(tiny_settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be used as a results folder"):
        run_sweep(tmp_path / "file", "synthetic", tiny_settings, METHODS, ARCHITECTURES)


def test_a_disk_that_fills_up_during_the_sweep(undisturbed, tiny_settings, tmp_path):
    """The sentence is the journal's own, what was finished is safe, and the sweep continues with room."""
    with ProcessPoolExecutor(1, FORKED) as process:
        sentences = process.submit(on_a_full_disk, tmp_path, tiny_settings).result()
    assert len(sentences) == 1 and "every trial before this one is safe" in sentences[0]
    assert_same(tmp_path, undisturbed)


def on_a_full_disk(folder, settings):
    """Run the sweep twice, the first time with files of 4 KB at most; what it was stopped by."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    sentences = []
    for limit in (4000, -1):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))
        try:
            with contextlib.redirect_stderr(io.StringIO()):  # which pytest keeps in a file
                run_sweep(folder, "synthetic", settings, METHODS, ARCHITECTURES)
        except InputError as error:
            sentences.append(str(error))
    return sentences


def test_parts_of_a_sweep_merge_into_the_whole(undisturbed, tiny_settings, tmp_path):
    parts = [tmp_path / "one", tmp_path / "other"]
    for part, architectures in zip(parts, (ARCHITECTURES[:2], ARCHITECTURES[1:])):
        run_sweep(part, "synthetic", tiny_settings, METHODS, architectures)
    assert merge_sweeps(tmp_path / "whole", parts) == 9
    assert sweep_status(tmp_path / "whole").total.remaining == 0
    assert_same(tmp_path / "whole", undisturbed)
    journal = (tmp_path / "whole" / PACKED).read_bytes()
    assert merge_sweeps(tmp_path / "whole", parts) == 0
    assert sweep_status(tmp_path / "whole").total.remaining == 0
    assert (tmp_path / "whole" / PACKED).read_bytes() == journal
    manifest = json.loads((tmp_path / "whole" / "manifest.json").read_text())
    assert [record["sitting"] for record in read_journal(tmp_path / "whole")] == [0] * 6 + [1] * 3
    assert len(manifest["sittings"]) == 2


def as_older(folder, source):
    """A finished folder as version 0.1 left it: the journal as it grew, and the curves beside it."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(PACKED))
    (folder / JOURNAL).write_bytes(gzip.decompress((source / PACKED).read_bytes()))
    read_curves(source).to_csv(folder / "curves.csv", index=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_of_an_older_version_is_read_merged_and_gone_on_with(undisturbed, tiny_settings, tmp_path):
    older = tmp_path / "older"
    before = as_older(older, undisturbed)
    assert_same(older, undisturbed)
    assert merge_sweeps(tmp_path / "whole", [older]) == 9 and merge_sweeps(tmp_path / "whole", [undisturbed]) == 0
    assert {path.name: path.read_bytes() for path in older.iterdir()} == before
    assert_same(tmp_path / "whole", undisturbed)
    assert merge_sweeps(older, [undisturbed]) == 0
    run_sweep(older, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    names = {PACKED, "rows.csv.gz", "manifest.json", "curves.csv"}  # the last is no longer looked at
    assert {path.name for path in older.glob("[!.]*")} == names
    assert_same(older, undisturbed)


def test_what_is_merged_into_a_finished_folder_is_added(undisturbed, tiny_settings, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "whole")
    run_sweep(tmp_path / "more", "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES, seeds=[1])
    assert merge_sweeps(tmp_path / "whole", [tmp_path / "more"]) == 3
    records = read_journal(tmp_path / "whole")
    assert records[:9] == read_journal(undisturbed) and len(records) == 12
    assert len(read_rows(tmp_path / "whole")) == len(read_rows(undisturbed)) + 3


def test_later_measures_join_a_finished_folder(undisturbed, tiny_settings, tmp_path, monkeypatch):
    """By a sweep and by a merge, whatever the user has registered meanwhile; nothing is computed again."""
    monkeypatch.setitem(MEASURES, "largest", Measure(lambda batch: max(w.max() for w in batch.weights), passes=5))
    shutil.copytree(undisturbed, tmp_path / "whole")
    later, done = "zero_cost(measures=largest)", []
    arguments = {"after_trial": lambda rows: done.append(rows.method.tolist())}
    rows = run_sweep(tmp_path / "whole", "synthetic", tiny_settings, [*METHODS, later], ARCHITECTURES, **arguments)
    assert done == [["largest"]] * 3 and read_journal(tmp_path / "whole")[:9] == read_journal(undisturbed)
    costs = rows.pivot_table("macs", "index", "method")
    assert (costs.largest == 5 * costs.nwot).all() and set(rows[rows.method == "largest"].outcome) == {"ok"}
    assert {"largest", *FIFTEEN} < set(ranking_table(rows, resamples=10).method)
    assert finished_architectures(tmp_path / "whole", ["zero_cost"]) == [each.index for each in ARCHITECTURES]
    run_sweep(tmp_path / "more", "synthetic", tiny_settings, [later], ARCHITECTURES)
    shutil.copytree(undisturbed, tmp_path / "merged")
    assert [merge_sweeps(tmp_path / "merged", [tmp_path / "more"]) for _ in range(2)] == [3, 0]
    assert_same(tmp_path / "merged", tmp_path / "whole")


def test_a_measure_is_taken_by_one_method_of_a_folder(undisturbed, tiny_settings, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "whole")
    again = "zero_cost(measures=snip+zen)"
    with pytest.raises(InputError, match=r"^snip is taken by zero_cost and by zero_cost\(measures=snip\+zen\)"):
        run_sweep(tmp_path / "whole", "synthetic", tiny_settings, [again], ARCHITECTURES)
    run_sweep(tmp_path / "again", "synthetic", tiny_settings, [again], ARCHITECTURES[:1])
    with pytest.raises(InputError, match=r"^snip is taken by zero_cost and by zero_cost\(measures=snip\+zen\)"):
        merge_sweeps(tmp_path / "whole", [tmp_path / "again"])
    assert_same(tmp_path / "whole", undisturbed)


def test_a_folder_is_not_merged_into_itself(undisturbed, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(undisturbed, folder)
    (tmp_path / "link").symlink_to(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for same in (folder, tmp_path / "link", folder / ".." / "sweep"):
        with pytest.raises(InputError, match="cannot be merged into itself"):
            merge_sweeps(folder, [same])
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_some_methods_alone_are_merged(undisturbed, tmp_path):
    methods = list(dict.fromkeys(record["trial"]["method"] for record in read_journal(undisturbed)))
    assert len(methods) == 3
    assert merge_sweeps(tmp_path / "two", [undisturbed], methods[1:]) == 6
    whole, two = (read_rows(folder).set_index(["method", "index"]) for folder in (undisturbed, tmp_path / "two"))
    assert len(two) and set(whole.index.droplevel("index")) - set(two.index.droplevel("index")) == {methods[0]}
    pd.testing.assert_frame_equal(two, whole.loc[two.index])
    manifest = json.loads((tmp_path / "two" / "manifest.json").read_text())
    assert [sitting["trials"] for sitting in manifest["sittings"]] == [6]
    assert set(manifest["sittings"][0]["missing"]) == set(methods[1:])
    assert merge_sweeps(tmp_path / "two", [undisturbed], methods[:1]) == 3
    merge_sweeps(tmp_path / "one", [undisturbed])
    both, at_once = (json.loads((tmp_path / name / "manifest.json").read_text()) for name in ("two", "one"))
    assert both == at_once and both["sittings"][0]["trials"] == 9
    assert_same(tmp_path / "two", undisturbed)
    with pytest.raises(InputError, match="no trials of 'magic': the methods are fear"):
        merge_sweeps(tmp_path / "new", [undisturbed], ["magic"])
    assert not (tmp_path / "new").exists()


def test_a_sitting_that_was_merged_while_it_ran_ends_with_the_next_merge(undisturbed, tmp_path):
    running = tmp_path / "running"
    shutil.copytree(undisturbed, running)
    manifest = json.loads((running / "manifest.json").read_text())
    ended = manifest["sittings"][0].pop("ended")
    (running / "manifest.json").write_text(json.dumps(manifest))
    merge_sweeps(tmp_path / "whole", [running])
    merge_sweeps(tmp_path / "whole", [undisturbed])
    (sitting,) = json.loads((tmp_path / "whole" / "manifest.json").read_text())["sittings"]
    assert sitting["ended"] == ended


def test_a_manifest_older_than_its_journal_is_refused(undisturbed, tiny_settings, tmp_path):
    """Else the journal's trials would count as of the sitting that begins, with its commit and hardware."""
    folder = tmp_path / "sweep"
    shutil.copytree(undisturbed, folder)
    older = (folder / "manifest.json").read_bytes()
    more = [*ARCHITECTURES, Architecture.from_index(5)]
    run_sweep(folder, "synthetic", tiny_settings, ["shortreg"], more)
    (folder / "manifest.json").write_bytes(older)
    with pytest.raises(InputError, match="names a sitting that its manifest.json lacks: put the newer"):
        run_sweep(folder, "synthetic", tiny_settings, ["shortreg"], more)
    with pytest.raises(InputError, match="names a sitting that its manifest.json lacks: put the newer"):
        merge_sweeps(folder, [undisturbed])
    assert (folder / "manifest.json").read_bytes() == older


def test_a_failed_trial_is_merged_once_and_gives_way_to_a_finished_one(tiny_settings, tmp_path, monkeypatch):
    architectures = ARCHITECTURES[:2]

    def fails(*_):
        raise MemoryError("no room")

    with monkeypatch.context() as patched:
        patched.setattr("fearlib.sweeps.run.run_trial", fails)
        run_sweep(tmp_path / "failed", "synthetic", tiny_settings, ["shortreg"], architectures)
    assert [merge_sweeps(tmp_path / "whole", [tmp_path / "failed"]) for _ in range(2)] == [2, 0]
    run_sweep(tmp_path / "one", "synthetic", tiny_settings, ["shortreg"], architectures[:1])
    assert merge_sweeps(tmp_path / "whole", [tmp_path / "one", tmp_path / "failed"]) == 1
    rows = read_rows(tmp_path / "whole").set_index("index").outcome.str[:6]
    assert rows.to_dict() == {architectures[0].index: "ok", architectures[1].index: "failed"}
    sittings = [record["sitting"] for record in read_journal(tmp_path / "whole")]
    assert sittings == [0, 0, 1]


def test_merging_another_configuration_writes_nothing(undisturbed, tmp_path):
    other = preset("smoke", "synthetic", train_images=100, threshold=0.2)
    run_sweep(tmp_path / "other", "synthetic", other, ["zero_cost"], ARCHITECTURES)
    with pytest.raises(InputError, match="another configuration"):
        merge_sweeps(tmp_path / "whole", [undisturbed, tmp_path / "other"])
    with pytest.raises(InputError, match="nothing does not exist"):
        merge_sweeps(tmp_path / "whole", [undisturbed, tmp_path / "nothing"])
    shutil.copytree(undisturbed, tmp_path / "lacking")
    manifest = json.loads((undisturbed / "manifest.json").read_text())
    (tmp_path / "lacking" / "manifest.json").write_text(json.dumps(manifest | {"sittings": []}))
    with pytest.raises(InputError, match="names a sitting that its manifest.json lacks"):
        merge_sweeps(tmp_path / "whole", [tmp_path / "lacking"])
    assert not (tmp_path / "whole").exists()


def test_a_longer_sweep_takes_its_truth_from_all_full_training(tiny_settings, tmp_path):
    for count in (2, 3):
        run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost", "full"], ARCHITECTURES[:count])
    rows = read_rows(tmp_path)
    full = rows[rows.method == "full"].set_index("index").score * 100
    assert len(full) == 3 and (rows.test_accuracy == rows["index"].map(full)).all()


def test_another_truth_is_refused(tiny_settings, tmp_path):
    truth = pd.Series({architecture.index: 90.0 for architecture in ARCHITECTURES})
    run_sweep(tmp_path / "one", "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES[:2], truth=truth)
    before = (tmp_path / "one" / PACKED).read_bytes()
    with pytest.raises(InputError, match="test accuracy of 90.0% in the journal and of 10.0% in the truth"):
        run_sweep(tmp_path / "one", "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES, truth=truth - 80)
    run_sweep(tmp_path / "other", "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES, truth=truth - 80)
    with pytest.raises(InputError, match="run both with the same truth"):
        merge_sweeps(tmp_path / "one", [tmp_path / "other"])
    with pytest.raises(InputError, match="run both with the same truth"):
        merge_sweeps(tmp_path / "new", [tmp_path / "one", tmp_path / "other"])
    assert (tmp_path / "one" / PACKED).read_bytes() == before


def test_merging_takes_the_last_of_a_retried_trial_and_leaves_its_sources(undisturbed, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "manifest.json").write_bytes((undisturbed / "manifest.json").read_bytes())
    journal = gzip.decompress((undisturbed / PACKED).read_bytes()).decode()
    failed = json.loads(journal.splitlines()[0])
    failed["rows"] = [failed["rows"][0] | {"score": float("nan"), "outcome": "failed: on purpose"}]
    (source / JOURNAL).write_text(json.dumps(failed) + "\n" + journal + '{"torn')
    before = {path.name: path.read_bytes() for path in source.iterdir()}
    assert merge_sweeps(tmp_path / "whole", [source]) == 9
    assert {path.name: path.read_bytes() for path in source.iterdir()} == before
    assert_same(tmp_path / "whole", undisturbed)


def test_a_trial_that_failed_again_alike_does_not_hide_what_came_before_it(undisturbed, tmp_path):
    """A sweep that was killed: its rows hold the failure of the sitting before, which says nothing of this one."""
    records = [json.loads(line) for line in gzip.decompress((undisturbed / PACKED).read_bytes()).splitlines()]
    failed = dict(
        records[0], rows=[dict(records[0]["rows"][0], score=math.nan, outcome="failed: E: no")], curve=[]
    )
    (tmp_path / "manifest.json").write_bytes((undisturbed / "manifest.json").read_bytes())
    lines = [json.dumps(record) + "\n" for record in [failed, *records[1:], failed]]
    (tmp_path / JOURNAL).write_text(lines[0])
    write_tables(tmp_path)
    (tmp_path / JOURNAL).write_text("".join(lines))
    rows = Results(tmp_path).rows
    for found in (read_rows(tmp_path), rows):
        assert found.failed.sum() == 1 and found["index"].nunique() == 3


def test_rows_without_their_journal_are_not_written_over(undisturbed, tiny_settings, tmp_path):
    for name in ("manifest.json", "rows.csv.gz"):
        (tmp_path / name).write_bytes((undisturbed / name).read_bytes())
    before = (tmp_path / "rows.csv.gz").read_bytes()
    for act in (
        lambda: run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES),
        lambda: merge_sweeps(tmp_path, [undisturbed]),
        lambda: merge_sweeps(tmp_path / "new", [tmp_path]),
    ):
        with pytest.raises(InputError, match="has rows.csv.gz but no journal"):
            act()
    assert (tmp_path / "rows.csv.gz").read_bytes() == before


def test_a_source_with_two_journals_is_not_merged_by_half(undisturbed, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(undisturbed, source)
    last = gzip.decompress((undisturbed / PACKED).read_bytes()).splitlines(keepends=True)[-1]
    (source / JOURNAL).write_bytes(last)
    with pytest.raises(InputError, match="hold different trials"):
        merge_sweeps(tmp_path / "new", [source])


def swept(folder, *records):
    """A sweep of one sitting, which its records do not name."""
    make(folder, records)
    manifest = {"configuration": CONFIGURATION, "sittings": [{"id": folder.name}]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_accuracies_that_a_target_s_rows_alone_hold_stay_and_those_of_a_source_are_taken(tmp_path):
    target = swept(tmp_path / "target", trial(0), trial(1))
    write_tables(target, pd.Series({0: 90.0}))
    with pytest.raises(InputError, match="architecture 0 has test accuracies of 90.0% and 10.0%.*the same truth"):
        merge_sweeps(target, [swept(tmp_path / "other", trial(0, seed=1, accuracy=10.0))])
    assert merge_sweeps(target, [swept(tmp_path / "source", trial(1, accuracy=80.0))]) == 0
    assert read_rows(target).test_accuracy.tolist() == [90.0, 80.0]


def test_a_merge_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="name at least one results folder"):
        merge_sweeps(tmp_path / "new", [])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kept", [0, 100])
def test_rows_that_were_cut_off_are_made_again_once_they_are_removed(undisturbed, tiny_settings, tmp_path, kept):
    folder = tmp_path / "sweep"
    shutil.copytree(undisturbed, folder)
    (folder / "rows.csv.gz").write_bytes((folder / "rows.csv.gz").read_bytes()[:kept])
    with pytest.raises(InputError, match="remove it, and the rows come from the journal again, all but the test"):
        run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    (folder / "rows.csv.gz").unlink()
    run_sweep(folder, "synthetic", tiny_settings, METHODS, ARCHITECTURES)
    assert_same(folder, undisturbed)


def test_accuracies_that_rows_alone_hold_are_merged_and_guarded(tiny_settings, tmp_path):
    truth = {each.index: accuracy for each, accuracy in zip(ARCHITECTURES, (90.0, 80.0, 70.0))}
    one = tmp_path / "one"
    run_sweep(one, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES)
    run_sweep(one, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    merge_sweeps(tmp_path / "two", [one])
    assert read_rows(tmp_path / "two").groupby("index").test_accuracy.first().to_dict() == truth
    with pytest.raises(InputError, match="give the same truth"):
        run_sweep(one, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth | {12148: 50.0})


def test_accuracies_after_other_epochs_stay_what_they_are(tiny_settings, tmp_path):
    truth = pd.Series({each.index: 50.0 for each in ARCHITECTURES})
    truth.attrs["epochs"] = 12
    run_sweep(tmp_path, "synthetic", tiny_settings, ["zero_cost"], ARCHITECTURES, truth=truth)
    found = benchmark_accuracy(tmp_path, "synthetic", [ARCHITECTURES[0].index])
    assert found.attrs["epochs"] == 12
    with pytest.raises(InputError, match="after 200 epochs: it holds those after 12"):
        benchmark_accuracy(tmp_path, "synthetic", [ARCHITECTURES[0].index], epochs=200)


ROW = {"method": "mine", "score": 1.0, "seconds": 1.0, "macs": 3, "outcome": "ok"}


@pytest.mark.parametrize(
    "rows, outcome",
    [
        ([], "failed: ValueError: mine gave neither a Score nor a row"),
        ([{"method": "mine", "score": 1.0, "seconds": 1.0, "outcome": "ok"}], "failed: KeyError: 'macs'"),
        ([{"method": "mine", "score": np.float32(1), "seconds": 1, "macs": np.int64(3), "outcome": "ok"}], "ok"),
        ([ROW | {"outcome": "a\rb"}], "a b"),
        (
            [ROW | {"outcome": None}],
            "failed: ValueError: a row has the outcome 'None', which tables read as a number or as missing",
        ),
        (
            [ROW | {"outcome": 12}],
            "failed: ValueError: a row has the outcome '12', which tables read as a number or as missing",
        ),
        (
            [ROW | {"macs": 2**63}],
            "failed: ValueError: the trial has a number of more than 64 bits or a broken text, "
            "which no journal holds",
        ),
        (
            [ROW, ROW | {"method": "snip"}],
            "failed: ValueError: mine gave a row named snip, which is not its own: rows need other names",
        ),
    ],
)
def test_what_a_method_of_the_user_s_gives_is_recorded_or_fails(
    rows, outcome, tiny_settings, tmp_path, monkeypatch
):
    monkeypatch.setitem(methods.METHODS, "mine", Method("mine", lambda given: (rows, [])))
    for _ in range(2):
        found = run_sweep(tmp_path, "synthetic", tiny_settings, ["mine"], ARCHITECTURES[:1])
        assert found.outcome.tolist() == [outcome]


def test_a_trial_too_long_for_a_journal_fails_with_the_reason(tiny_settings, tmp_path, monkeypatch):
    rows = [ROW | {"method": f"mine(part={part})"} for part in range(100)]
    monkeypatch.setitem(methods.METHODS, "mine", Method("mine", lambda given: (rows, [])))
    monkeypatch.setattr("fearlib.sweeps.record.MAX_LINE", 5000)
    found = run_sweep(tmp_path, "synthetic", tiny_settings, ["mine"], ARCHITECTURES[:1])
    (outcome,) = found.outcome
    assert re.fullmatch(
        r"failed: ValueError: the trial takes \d+ bytes of a journal, and at most 5000 are read", outcome
    )
    assert len(read_journal(tmp_path)) == 1


def test_numbers_of_numpy_s_are_written_as_python_s(tiny_settings, tmp_path, monkeypatch):
    numbers = {field.name: np.float32(0.5) for field in fields(Epoch)} | {"images": np.int64(7)}
    monkeypatch.setitem(methods.METHODS, "mine", Method("mine", lambda given: ([ROW], [Epoch(**numbers)])))
    truth = pd.Series({ARCHITECTURES[0].index: 90.0})
    truth.attrs["epochs"] = np.int64(12)
    run_sweep(tmp_path, "synthetic", tiny_settings, ["mine"], ARCHITECTURES[:1], truth=truth, workers=np.int64(1))
    assert read_journal(tmp_path)[0]["curve"] == [dict.fromkeys(numbers, 0.5) | {"images": 7}]
    (sitting,) = read_manifest(tmp_path)["sittings"]
    assert (sitting["workers"], sitting["truth_epochs"]) == (1, 12)


def test_an_error_of_several_lines_is_one_line_of_the_rows(tiny_settings, tmp_path, monkeypatch):
    def fails(*_):
        raise ValueError("a\rb\nc")

    monkeypatch.setattr("fearlib.sweeps.run.run_trial", fails)
    for _ in range(2):
        rows = run_sweep(tmp_path, "synthetic", tiny_settings, ["shortreg"], ARCHITECTURES[:1])
        assert rows.outcome.tolist() == ["failed: ValueError: a b c"]


def test_nothing_frozen_by_default_is_a_label_that_is_read_again(tiny_settings):
    (label,) = expand_methods(["fear(first_free_block=none)"], tiny_settings)
    assert "first_free_block=none" in label and parse_method(label)[1]["first_free_block"] is None


def test_an_epoch_is_a_moment_of_training_only_in_a_measure_s_label():
    rows = pd.DataFrame({"method": ["mine(epoch=3)", "snip(epoch=3,epochs=8,schedule=cosine)"], "outcome": "ok"})
    assert with_meaning(rows).moment.isna().tolist() == [True, False]
    assert with_meaning(with_meaning(rows).assign(method="full")).kind.tolist() == ["full", "full"]
