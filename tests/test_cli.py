import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from test_results import make, trial

from fearlib import MEASURES, METHODS, Architecture, build_network, cli, sample_architectures, zero_cost
from fearlib.scores.images import noise_minibatch
from fearlib.scores.registry import FIFTEEN
from fearlib.spaces.registry import SPACES, Space
from fearlib.sweeps.journal import append_to_journal, read_journal
from fearlib.sweeps.presets import PRESETS, preset
from fearlib.sweeps.writer import WRITER

ZERO_COST = str(Path(__file__).parents[1] / "results" / "zero_cost_cifar10")
SMALL = (
    "--set train_images=100 --set stage1_epochs=1 --set threshold=0.01 --set stage2_epochs=1 "
    "--set shortreg_epochs=1 --set zero_cost_batch=8"
).split()  # fmt: skip


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `fear` with these words; gives (exit code, standard output, standard error)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["fear", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
            raise SystemExit(0)
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run


def test_help_lists_the_commands(run):
    code, out, _ = run("--help")
    assert code == 0
    assert set(re.findall(r"^│ (\w+) ", out, re.MULTILINE)) == {
        "list", "rank", "paper", "score", "show", "table", "merge", "report", "data", "truth", "choose", "funnel",
        "status",
    }  # fmt: skip


def test_list_names_every_choice(run):
    code, out, _ = run("list")
    assert code == 0
    for name in (*METHODS, *MEASURES, "cifar100", "imagenet16-120", "smoke", "compact", "paper", "threshold"):
        assert name in out
    code, out, _ = run("list", "--dataset", "CIFAR-100")
    assert code == 0 and "settings on cifar100" in out
    threshold = next(line for line in out.splitlines() if line.startswith("  threshold "))
    assert threshold.split()[1:] == [str(preset(name, "cifar100").threshold) for name in PRESETS]


def test_rank_prints_its_settings_and_the_table(run, tmp_path):
    truth = pd.DataFrame({"index": range(15625)})
    truth["arch"] = [str(Architecture.from_index(index)) for index in truth["index"]]
    truth["synthetic"] = truth["index"] % 89 + 5.0
    truth.to_csv(tmp_path / "truth.csv", index=False)
    indices = tmp_path / "indices.txt"
    indices.write_text("12148\n13226\n1291\n0\n1\n")
    words = [
        "rank",
        tmp_path / "out",
        "--indices",
        indices,
        "--count",
        4,
        "--truth",
        tmp_path / "truth.csv",
        *SMALL,
    ]
    code, out, err = run(*words)
    assert code == 0, err
    assert "train_images=100" in out and "| fear(stage2_epochs=1) " in out and "shortreg(epochs=1)" in out
    assert all(f"| {name} " in out for name in FIFTEEN)
    rows = pd.read_csv(tmp_path / "out" / "rows.csv.gz")
    assert set(rows["index"]) == {12148, 13226, 1291, 0}
    assert (rows.test_accuracy == rows["index"] % 89 + 5.0).all()
    code, again, _ = run("table", tmp_path / "out")
    assert code == 0 and again.strip() in out
    code, said, _ = run("merge", tmp_path / "two", tmp_path / "out", "--methods", "shortreg(epochs=1) zero_cost")
    assert code == 0 and "8 trials were added" in said and "fear(" not in run("table", tmp_path / "two")[1]
    code, status, _ = run("status", tmp_path / "out")
    assert code == 0 and "12 finished, 0 failed, 0 remaining" in status and "no sweep writes to it now" in status


def test_rank_says_what_failed_and_what_remains(run, tmp_path, monkeypatch):
    """Without time for any trial, too; the table and the status of the folder say the same."""

    def fails_on_odd_ones(architecture, label, *_):
        if architecture.index % 2:
            raise MemoryError("no room")
        row = {"method": label, "score": architecture.index / 10, "seconds": 1.0, "macs": 1, "outcome": "ok"}
        return {"rows": [row], "curve": []}

    monkeypatch.setattr("fearlib.sweeps.run.run_trial", fails_on_odd_ones)
    (tmp_path / "five.txt").write_text("0 1 2 3 4")
    words = ("rank", tmp_path / "out", "--indices", tmp_path / "five.txt", "--methods", "shortreg", *SMALL)
    code, out, err = run(*words, "--time-budget", 0)
    assert code == 0 and "0 finished, 0 failed, 5 remaining; the same command goes on" in out, err
    code, out, err = run(*words)
    failed = "2 of 5 trials of `shortreg(epochs=1)` failed: the sweep's command tries them again"
    assert code == 0 and failed in out and "2 failed, 0 remaining\n" in out, err
    assert failed in run("table", tmp_path / "out")[1]
    assert "3 finished, 2 failed, 0 remaining" in run("status", tmp_path / "out")[1]


@pytest.fixture
def growing(tmp_path, monkeypatch):
    """A folder that this process says it writes to; one trial more at every pause, then nobody writes any more."""
    folder = make(tmp_path / "sweep", [trial(index, score=index / 10, accuracy=index**2) for index in range(2)])
    me = {"process": os.getpid(), "machine": platform.node(), "since": "2026-01-01T00:00:00Z"}
    (folder / WRITER).write_text(json.dumps(me))

    def pause(seconds):
        count = len(read_journal(folder))
        append_to_journal(folder, trial(count, score=count / 10, accuracy=count**2))
        if count == 4:
            (folder / WRITER).unlink()

    monkeypatch.setattr("fearlib.cli.results.time", SimpleNamespace(sleep=pause, strftime=time.strftime))
    return folder


def test_status_goes_on_until_the_sweep_ends(run, growing):
    """Outside a terminal a line whenever something is new, with each Spearman and its n."""
    code, out, err = run("status", growing, "--watch")
    lines = out.splitlines()
    assert code == 0 and [int(line.split()[1]) for line in lines] == [2, 3, 4, 5], err
    assert "shortreg(epochs=1) – n=2" in lines[0]
    assert "shortreg(epochs=1) 1.00 (" in lines[-1] and lines[-1].endswith(" n=5")


@pytest.mark.parametrize("missing, shown", [({"fear": 1}, ", at least "), ({"shortreg(epochs=1)": 3}, ", 0.")])
def test_status_says_when_a_method_has_no_time_yet(run, growing, missing, shown):
    """What remains may take much longer than what is known."""
    manifest = json.loads((growing / "manifest.json").read_text())
    manifest["sittings"] = [{"missing": missing}]
    (growing / "manifest.json").write_text(json.dumps(manifest))
    code, out, err = run("status", growing)
    assert code == 0 and f"1 remaining of the last command{shown}" in out, (out, err)


def test_status_of_a_sweep_that_has_just_gone_on_knows_no_pace_yet(run, growing):
    manifest = json.loads((growing / "manifest.json").read_text())
    manifest["sittings"] = [{}, {"missing": {"shortreg(epochs=1)": 80}}]
    (growing / "manifest.json").write_text(json.dumps(manifest))
    code, out, err = run("status", growing)
    assert code == 0 and "80 remaining of the last command, 2.0 minutes more one by one\n" in out, (out, err)


def test_status_redraws_a_terminal_until_ctrl_c(run, growing, monkeypatch):
    pauses = iter([lambda: None, lambda: signal.raise_signal(signal.SIGINT)])
    slept = SimpleNamespace(sleep=lambda seconds: next(pauses)(), strftime=time.strftime)
    monkeypatch.setattr("fearlib.cli.results.time", slept)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        code, out, err = run("status", growing, "--watch")
    finally:
        signal.signal(signal.SIGINT, before)
    assert code == 0 and not err and out.count("2 finished, 0 failed, 0 remaining") == 2
    assert f"process {os.getpid()} on" in out and "| shortreg(epochs=1) |" in out


def test_rank_takes_another_search_space(run, tmp_path):
    words = ["rank", tmp_path, "--space", "darts", "--count", 1, "--methods", "fear full", *SMALL]
    code, out, err = run(*words, "--set", "full_epochs=1")
    assert code == 0, err
    assert "channels=4, cells=3" in out and "| fear(stage2_epochs=1) " in out
    assert "The accuracy of `full` is the truth here" in out
    assert pd.read_csv(tmp_path / "rows.csv.gz").arch.str.startswith("normal=|").all()
    code, _, err = run(*words, "--truth", tmp_path)
    assert code == 2 and "--truth is of nats-tss" in err
    code, _, err = run("rank", tmp_path, "--space", "amoeba")
    assert code == 2 and "the spaces are nats-tss, darts" in err


@pytest.mark.parametrize("words, shown", [((), "200 epochs: 92.22%"), (("--epochs", 12), "12 epochs: 84.01%")])
def test_truth_of_a_results_folder_is_after_the_epochs_asked_for(run, words, shown):
    code, out, _ = run("truth", "show", ZERO_COST, 21, "--dataset", "CIFAR-10", *words)
    assert code == 0 and out.endswith(f" cifar10 {shown}\n")


def test_rank_refuses_indices_that_contradict_their_strings(run, tmp_path):
    strings = [str(Architecture.from_index(index)) for index in (9930, 77)]
    pd.DataFrame({"arch": strings}).reset_index().to_csv(tmp_path / "x.csv", index=False)
    words = ["rank", tmp_path / "out", "--dataset", "Synthetic", "--methods", "zero_cost", *SMALL]
    code, _, err = run(*words, "--indices", tmp_path / "x.csv")
    assert code == 2 and "x.csv: architecture 0 is" in err and strings[0] in err
    (tmp_path / "x.txt").write_text("\n".join(strings))
    code, out, err = run(*words, "--indices", tmp_path / "x.txt")
    rows = pd.read_csv(tmp_path / "out" / "rows.csv.gz")
    assert code == 0 and set(rows["index"]) == {9930, 77} and set(rows.dataset) == {"synthetic"}


def test_paper_says_what_an_exhibit_needs_and_what_is_left_of_it(run, tmp_path, monkeypatch):
    """Without time to run anything: the first sweep of F2 is begun, the second is not."""
    monkeypatch.chdir(Path(__file__).parents[1])
    code, out, _ = run("paper")
    assert code == 0 and all(f"\n| {name} " in out for name in ("T1", "F4", "C5"))
    words = ("--dataset", "synthetic", "--preset", "smoke", "--count", 1, "--set", "train_images=100")
    code, out, err = run("paper", "F2", tmp_path, *words, "--time-budget", 0)
    assert code == 0, err
    assert f"{tmp_path / 'zero_cost_synthetic'}: 0 finished, 0 failed, 2 remaining" in out
    assert f"{tmp_path / 'synthetic_smoke'}: not begun for lack of time" in out
    assert "analysis/zero_cost.ipynb makes tables and figures" in out


def test_data_says_what_it_loaded(run):
    code, out, _ = run("data", "Synthetic", "--resolution", 16, "--train-images", 100)
    assert code == 0 and "16x16 pixels" in out and "fingerprint" in out


@pytest.mark.parametrize(
    "words, message",
    [
        (["rank", "out", "--preset", "huge"], "unknown preset 'huge': the presets are smoke, compact, paper."),
        (["rank", "out", "--dataset", "mnist"], "unknown dataset 'mnist'"),
        (["rank", "out", "--methods", "magic", *SMALL], "unknown method 'magic'"),
        (["rank", "out", "--set", "depth=3"], "unknown setting 'depth'"),
        (["rank", "out", "--set", "threshold"], "it must be NAME=VALUE"),
        (
            ["rank", "out", "--methods", "shortreg(epochs=1) zero_cost", "--set", "shortreg_epochs=2,4"],
            "--set shortreg_epochs=2,4 changes nothing, as the methods say how long: give one.",
        ),
        (
            ["rank", "out", "--methods", "fear(stage2_epochs=4) shortreg", "--set", "stage2_epochs=8"],
            "--set stage2_epochs=8 changes nothing, as the methods say how long: give one.",
        ),
        (["rank", "out", "--set", "space=darts"], "unknown setting 'space'"),
        (["paper", "T2", "out", "--set", "space=darts"], "unknown setting 'space'"),
        (
            ["rank", "out", "--set", "cells=1", "--set", "cells=2"],
            "--set gives cells twice, 1 and 2: give it once.",
        ),
        (["rank", "out", "--seeds", "one", *SMALL], "seed 'one': seeds are integers"),
        (["rank", "out", "--seeds", "-1", *SMALL], "seed '-1': seeds are integers from 0"),
        (["rank", "out", "--set", "dataset=cifar10"], "unknown setting 'dataset'"),
        (["rank", "out", "--count", "99999"], "the space has 15625"),
        (["rank", "out", "--indices", "absent.txt"], "absent.txt does not exist."),
        (["rank", "out", "--truth", "absent.csv"], "absent.csv"),
        (["rank", "out", "--dataset", "cifar10", "--folder", "absent"], "absent"),
        (["rank", "out", "--workers", "0", *SMALL], "workers is 0"),
        (["rank", "out", "--workers", "2", "--per-gpu", "2", *SMALL], "leave workers out"),
        (["rank", "out", "--per-gpu", "0", *SMALL], "per_gpu is 0"),
        (["rank", "out", "--retries", "-1", *SMALL], "retries is -1"),
        (["rank", "out", "--time-budget", "nan", *SMALL], "time_budget is nan: it must be a number of at least 0"),
        (["paper", "T1", "out", "--time-budget", "-1"], "time_budget is -1.0: it must be a number of at least 0"),
        (["paper"], "results holds no claims.csv: run this in the repository's folder"),
        (["paper", "T1"], "fear paper T1 needs a folder to write to"),
        (["paper", "T9", "out"], "unknown exhibit 'T9': the exhibits are T1, T2, T3"),
        (["paper", "T1", "out"], "zero_cost_cifar100 does not exist: run this in the repository's folder"),
        (["paper", "T2", "out", "--dataset", "cifar10"], "T2 is about the synthetic dataset"),
        (["paper", "T1", "out", "--seeds", "one"], "seed 'one': seeds are integers"),
        (["show", "99999"], "must be an integer in 0..15624"),
        (["paper", "--dataset", "cifar100"], "without an exhibit there is nothing to run: name one first"),
        (["show", "3", "--results", "absent"], "absent does not exist."),
        (["show", "3", "--draw", "cell.jpg"], "--draw cell.jpg: the file's name must end in .png, .pdf, .svg."),
        (["show", "3", "--draw", "nowhere/cell.png"], "nowhere does not exist."),
        (["score", "3", "--csv", "nowhere/scores.csv"], "nowhere does not exist."),
        (["score", "3", "--csv", "."], ". cannot be written: it is a folder."),
        (["show", "3", "--dataset", "mnist"], "unknown dataset 'mnist'"),
        (["list", "--dataset", "mnist"], "unknown dataset 'mnist'"),
        (["show", "3", "--results", "."], ". holds neither rows.csv.gz nor journal.jsonl"),
        (["show", "3", "--space", "darts", "--truth", "absent.csv"], "--truth is of nats-tss"),
        (["show", "3", "--truth", "absent.csv"], "absent.csv"),
        (["status", "absent"], "absent does not exist."),
        (["choose", "--budget", "1e12", "--indices", "absent.txt"], "absent.txt does not exist."),
        (["data", "mnist"], "unknown dataset 'mnist'"),
        (["table", "absent"], "absent does not exist."),
        (["table", "."], ". holds neither rows.csv.gz nor journal.jsonl"),
        (["report", "absent"], "absent is not a folder of results: run this in the repository's folder"),
        (["report", "."], "holds no claims.csv"),
        (["truth", "show", "absent.csv", "3"], "absent.csv"),
        (["truth", "show", ZERO_COST, "21", "--epochs", "90"], "after 90 epochs: it holds those after 12 or 200."),
        (["truth", "show", ZERO_COST, "21", "--dataset", "cifar10-valid"], "no test accuracy on cifar10-valid"),
        (["truth", "show", "absent.csv", "99999"], "must be an integer in 0..15624"),
        (["truth", "show", "absent.csv", "|a~0|"], "is not an architecture"),
        (["truth", "export", "absent", "out.csv"], "absent"),
    ],
)
def test_bad_input_is_one_sentence(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*words)
    lines = [line for line in err.splitlines() if line.startswith("fear: ")]
    assert code == 2 and len(lines) == 1 and message in lines[0], err
    assert "Traceback" not in err


ANSWERED = f"""--help
rank --help
list
status {ZERO_COST}"""
REFUSED = """rank
rank out --colour red
rank out --count few
rank out --preset huge
rank out --dataset mnist
rank out --space amoeba
rank out --methods magic
rank out --methods fear(depth=3)
rank out --set depth=3
rank out --set precision=half
rank out --seeds one
rank out --count 99999
rank out --indices absent.txt
rank out --workers 0
rank out --time-budget nan
rank out --indices results --sample-seed 3
choose --dataset cifar10
score 5 --train-images 100
paper T9 out
paper T1
paper T1 out --retries -1
score 16000
score 5 --measures snap
show 99999
show 3 --results absent
show 3 --draw cell.jpg
show 3 --draw nowhere/cell.png
score 5 --csv nowhere/scores.csv
score 5 --csv scores.csv.gz
score 5 --measures snip,nwot
list --dataset mnist
table absent
status absent
merge whole absent
report absent
data mnist
truth show absent.csv 3
truth export absent out.csv"""
WITHOUT_TORCH = """
import sys
from fearlib.cli import main

code = int(sys.argv[1])
for line in sys.stdin.read().splitlines():
    sys.argv = ["fear", *line.split()]
    try:
        main()
    except SystemExit as end:
        assert end.code == code, (line, end.code)
    slow = {"torch", "pandas", "scipy", "numpy", *(["rich"] if code else [])} & sys.modules.keys()
    assert not slow, (line, slow)
"""


@pytest.mark.parametrize("code, lines", [(0, ANSWERED), (2, REFUSED)], ids=["answered", "refused"])
def test_what_needs_no_array_imports_nothing_that_takes_long(tmp_path, code, lines):
    words = [sys.executable, "-c", WITHOUT_TORCH, str(code)]
    run = subprocess.run(words, input=lines, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr[-2000:]


def test_score_prints_what_zero_cost_gives(run, tmp_path):
    """On noise, for an index and a string, with what has no value named; and writes the same to a file."""
    none = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    sizes = ("--channels", 4, "--cells", 1, "--resolution", 16, "--batch", 8)
    code, out, _ = run("score", 0, none, *sizes, "--csv", tmp_path / "scores.csv")
    assert code == 0 and "8 images of noise, 16x16 pixels" in out
    assert "jacob_cov has no value for 1651: the gradient of its outputs" in out
    written = pd.read_csv(tmp_path / "scores.csv").set_index("index")
    assert list(written.index) == [0, 1651] and written.arch[1651] == none
    torch.manual_seed(0)
    network = build_network(Architecture.from_index(0), 10, channels=4, cells=1)
    expected = zero_cost(network, *noise_minibatch(8, 16, seed=0))
    assert written.loc[0, list(MEASURES)].to_dict() == pytest.approx(expected)


def test_score_of_one_tiny_image_has_the_measures_that_need_no_statistics(run, tmp_path):
    sizes = ("--channels", 4, "--cells", 1, "--resolution", 4, "--batch", 1)
    code, out, _ = run("score", 3, *sizes, "--csv", tmp_path / "scores.csv")
    assert code == 0 and "snip has no value for 3: its batch norm has one value a channel to normalise" in out
    written = pd.read_csv(tmp_path / "scores.csv").set_index("index").loc[3].drop("arch").dropna()
    network = build_network(Architecture.from_index(3), 10, channels=4, cells=1)
    on_noise_of_their_own = {"meco", "az_expressivity", "az_progressivity"}
    assert set(written.index) == {"synflow", "params", "macs", "l2_norm"} | on_noise_of_their_own
    assert (written.params, written.macs) == (network.num_parameters, network.macs(4))


def test_score_on_a_dataset_and_wrong_words(run):
    sizes = ("--channels", 4, "--cells", 1, "--resolution", 16, "--batch", 8)
    code, out, _ = run(
        "score", 5, "--dataset", "synthetic", "--train-images", 100, "--measures", "snip nwot", *sizes
    )
    assert code == 0 and "8 images of synthetic" in out and "nwot" in out and "grasp" not in out
    for words, sentence in (
        (("score", 16000), "architecture index 16000: it must be an integer in 0..15624"),
        (("score", "|none|"), "none"),
        (("score", "--", "--5"), "'--5' is not an architecture"),
        (("score", 5, "--resolution", 30), "images of 30x30 pixels: sides must be multiples of 4"),
        (("score", 5, "--measures", "snap", *sizes), "unknown measure 'snap'"),
        (
            ("score", 5, "--measures", "meco swap az_nas", *sizes),
            "az_nas is a combination, for `fear funnel`: name its measures here, az_expressivity, az_pr",
        ),
        (("score", 5, "--measures", " ", *sizes), "--measures names none: leave it out for all of them"),
        (("score", 5, "--dataset", "mnist"), "unknown dataset 'mnist'"),
    ):
        code, _, error = run(*words)
        sentences = [line for line in error.splitlines() if "architecture/s]" not in line and line]
        assert code == 2 and len(sentences) == 1 and sentence in sentences[0]


def test_show_prints_all_that_is_known_of_an_architecture(run, tmp_path, monkeypatch):
    """Of committed results every row with its rank, counted; sizes are the networks', truth is looked up."""
    folder = Path(__file__).parents[1] / "results" / "archive" / "former_preset" / "compact_images_10000"
    rows = pd.read_csv(folder / "rows.csv.gz")
    architecture = Architecture.from_index(int(rows["index"][0]))
    code, out, _ = run("show", architecture, "--results", folder)
    assert code == 0 and str(architecture) in out and f"nats-tss {architecture.index}\n" in out
    lines = {line.split("|")[3].strip(): line for line in out.splitlines() if line.startswith("| compact_images")}
    mine = rows[rows["index"] == architecture.index]
    assert set(lines) == set(mine.method) and len(mine) == len(lines)
    for row in mine.to_dict("records"):
        peers = rows[rows.method == row["method"]].score.dropna()
        rank = 1 + (peers > row["score"]).sum() + ((peers == row["score"]).sum() - 1) / 2
        assert (
            f" {row['score']:.6g} " in lines[row["method"]]
            and f" {rank:g} of {len(peers)} " in lines[row["method"]]
        )
    assert f"test accuracy on cifar10: {mine.test_accuracy.iloc[0]:.2f}%" in out
    network = build_network(architecture, 10)
    assert f"paper: {network.num_parameters:,} parameters, {network.macs(32):,} macs" in out
    shutil.copytree(folder, tmp_path / folder.name)
    rows.assign(test_accuracy=11.0).to_csv(tmp_path / folder.name / "rows.csv.gz", index=False)
    _, out, _ = run("show", architecture, "--results", folder, "--results", tmp_path / folder.name)
    for value, where in ((mine.test_accuracy.iloc[0], folder), (11, tmp_path / folder.name)):
        assert f"test accuracy on cifar10: {value:.2f}%, {where.parent.name}/{where.name}\n" in out
    monkeypatch.chdir(tmp_path)
    pd.DataFrame({"index": [5], "arch": [str(Architecture.from_index(5))], "cifar100": [71.25]}).to_csv(
        "truth.csv"
    )
    code, out, _ = run("show", 5, "--truth", "truth.csv", "--dataset", "cifar100")
    assert code == 0 and "test accuracy on cifar100: 71.25%" in out
    assert "no known score: there is no folder results with sweeps here" in out
    assert f"paper: {build_network(Architecture.from_index(5), 100).num_parameters:,} parameters" in out
    code, out, _ = run("show", 5, "--space", "darts", "--draw", "cell.svg")
    assert code == 0 and "reduction cell:" in out and "test accuracy: not known" in out
    edges = re.findall(r"<!-- (\w+_3x3) -->", Path("cell.svg").read_text())
    assert sorted(edges) == ["dil_conv_3x3"] + 15 * ["max_pool_3x3"]


def test_without_accuracies_scores_stand_side_by_side(run, tmp_path, monkeypatch):
    """And `fear show` finds them in a folder within results/."""
    monkeypatch.chdir(tmp_path)
    methods = "fear zero_cost(measures=snip+synflow)"
    small = ["--set", "train_images=100", "--set", "threshold=0.99"]
    code, out, _ = run("rank", "results/mine/sweep", "--count", 3, *small, "--methods", methods)
    rows = pd.read_csv("results/mine/sweep/rows.csv.gz")
    snip, synflow = (rows[rows.method == name].set_index("index").score for name in ("snip", "synflow"))
    lines = [line.split() for line in out.splitlines() if line.startswith("| ") and "index" not in line]
    assert code == 0 and [int(line[1]) for line in lines] == list(snip.sort_values(ascending=False).index)
    assert all(f"{synflow[int(line[1])]:.4g}" in line for line in lines) and "Spearman" not in out
    assert "fear(stage2_epochs=2) gave none of 3 a score: below threshold." in out
    for where in ([], ["--results", "results/mine"], ["--results", "results/mine/sweep"]):
        code, out, _ = run("show", synflow.index[0], *where)
        assert code == 0 and f"{synflow.iloc[0]:.6g}" in out


def test_a_funnel_keeps_the_whole_ranking(run, tmp_path, monkeypatch):
    """Of which it prints ten lines."""
    monkeypatch.chdir(tmp_path)
    scores = "smoke(train_images=100)/synflow smoke(train_images=100)/params"
    architectures = sample_architectures(12, 0)
    drawn = [each.index for each in architectures]
    known = pd.DataFrame({"index": drawn, "arch": map(str, architectures), "synthetic": range(12)})
    known.to_csv("truth.csv", index=False)
    words = ("funnel", "mine", "--scores", scores, "--count", 12, "--truth", "truth.csv")
    code, out, err = run(*words, "--time-budget", 0)
    assert code == 0 and "The time was too short for all of it: the same command goes on." in out, err
    assert not Path("mine/ranking_synthetic.csv").exists()
    code, out, err = run(*words)
    assert code == 0 and "all 12 are in mine/ranking_synthetic.csv" in out, err
    ranking = pd.read_csv("mine/ranking_synthetic.csv")
    assert len(ranking) == 12 and list(ranking)[2:] == [*scores.split(), "combined", "test_accuracy"]
    assert ranking.test_accuracy.tolist() == [drawn.index(index) for index in ranking["index"]]
    assert f"found {ranking.test_accuracy[0]:.2f}%; the best of all has 11.00%" in out
    assert f" {ranking['index'][9]} | |" in out and f" {ranking['index'][10]} | |" not in out


def test_show_has_a_folder_beside_the_sweeps_in_it(run, tmp_path):
    for folder, method in ((tmp_path, "params"), (tmp_path / "part", "snip")):
        words = ("rank", folder, "--count", 2, *SMALL, "--methods", f"zero_cost(measures={method})")
        assert run(*words)[0] == 0
    code, out, _ = run("show", sample_architectures(1, 0)[0].index, "--results", tmp_path)
    assert code == 0 and "params" in out.split("score")[-1] and "snip" in out.split("score")[-1]


def test_too_little_memory_is_one_sentence(run):
    code, _, err = run("score", 0, "--batch", 10**11, "--measures", "params")
    assert code == 2 and len(err.splitlines()) == 1 and "there is too little memory (RuntimeError: " in err


def test_what_an_encoding_lacks_is_replaced():
    folder = str(Path(ZERO_COST).with_name("archive") / "former_preset" / "compact_seeds")
    said = subprocess.run(
        [sys.executable, "-c", "from fearlib.cli import main; main()", "table", folder], capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"}, timeout=100,
    )  # fmt: skip
    assert said.returncode == 0 and b"| ? " in said.stdout, said.stderr


def test_a_guide_is_the_repositorys(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("choose")
    assert code and "results holds no tables/choosing.md: run this in the repository's folder." in err


@dataclass(frozen=True)
class Own:
    """An architecture of a space of one's own, which has no cell."""

    index: int

    @classmethod
    def from_index(cls, index):
        return cls(int(index))

    def __str__(self):
        return f"own-{self.index}"


def test_show_takes_architectures_of_ones_own_space(run, tmp_path, monkeypatch):
    def build(architecture, classes, channels, cells):
        return build_network(Architecture.from_index(architecture.index), classes, channels, cells)

    monkeypatch.setitem(SPACES, "own", Space(Own, lambda count, seed: list(map(Own, range(count))), build))
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("show", 5, "--space", "own")
    assert code == 0 and out.startswith("own 5\nown-5\n\ncompact: ") and "cell\n" not in out
    code, _, error = run("show", 5, "--space", "own", "--draw", "cell.svg")
    assert code == 2 and "architectures of own have no cell that can be drawn" in error
    assert not (tmp_path / "cell.svg").exists()
