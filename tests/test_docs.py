"""Every snippet of the README, docs/ and results/, executed in this process, its sweeps at a smaller scale."""

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import dask
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

from fearlib import load_dataset, preset, read_rows, run_sweep, sample_architectures
from fearlib.cli.commands import app
from fearlib.scores.images import noise_minibatch
from fearlib.spaces.registry import space_of
from fearlib.sweeps.presets import Settings

ROOT = Path(__file__).parents[1]
PAGES = [path for folder in ("docs", "results") for path in sorted((ROOT / folder).rglob("*.md"))]
DOCUMENTS = ["README.md", *(str(path.relative_to(ROOT)) for path in PAGES)]
# What cannot run in a test: it needs a cluster, a GPU or a finished sweep, or draws a dataset for half an hour.
ELSEWHERE = (
    ".venv/bin/dask ",
    "CUDA_VISIBLE_DEVICES=0 .venv/bin/dask ",
    "nvidia-cuda-mps-control",
    "export ",
    ".venv/bin/fear data synthetic",
    ".venv/bin/papermill",
)
READ = ("cifar10_compact", "cifar10_paper", "tables", "zero_cost_cifar10", "zero_cost_cifar100")
SMALL = {
    "train_images": 40, "stage1_epochs": 2, "threshold": 0.1, "full_epochs": 1, "shortreg_epochs": (1,),
    "stage2_epochs": 1, "zero_cost_batch": 8,
}  # fmt: skip


def snippets(document, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


def with_snippets(language):
    return [document for document in DOCUMENTS if snippets(document, language)]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A place to run in that has the results that the commands read, as the repository's root has them all."""
    (tmp_path / "results").mkdir()
    results = [path for path in (ROOT / "results").iterdir() if path.is_file() or path.name in READ]
    for path in (*results, ROOT / "Makefile", ROOT / "docs", ROOT / "analysis"):
        (tmp_path / path.relative_to(ROOT)).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def two_architectures(count, seed):
    """A sample of as many architectures as a table of ranks needs, the third being the tutorial's own."""
    return sample_architectures(min(count, 2), seed)


def test_every_setting_is_documented():
    table = (ROOT / "docs" / "commands.md").read_text().split("| setting | what |")[1].split("\n\n")[0]
    names = re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
    assert names == [setting.name for setting in fields(Settings) if setting.name != "preset"]


def small_preset(*words, **settings):
    return preset(*words, **settings | {"train_images": 40, "zero_cost_batch": 8})


def small_dataset(name, **sizes):
    return load_dataset(name, **sizes | {"train_images": 40})


@pytest.mark.parametrize("document", with_snippets("python"))
def test_python_runs(document, folder, registries, monkeypatch, capsys):
    monkeypatch.setattr("fearlib.sample_architectures", two_architectures)
    monkeypatch.setattr("fearlib.preset", small_preset)
    monkeypatch.setattr("fearlib.load_dataset", small_dataset)
    if document == "docs/sweeps.md":  # of workers, whose processes would import everything
        monkeypatch.setattr("fearlib.run_sweep", shrunk)
    exec("\n".join(snippets(document, "python")), {"__name__": "__main__"})
    if document == "docs/scale.md":
        stated = (ROOT / document).read_text().split("<!-- cost -->")[1].split("<!-- /cost -->")[0]
        said = capsys.readouterr().out
        assert all(line in stated for line in said.splitlines()) and said.count("\n") == 5


def test_papermill_is_given_notebooks_and_their_parameters():
    every = [words for document in with_snippets("sh") for _, words in commands(document)]
    every = [words for words in every if words[0] == ".venv/bin/papermill"]
    assert len(every) == 3
    for words in every:
        notebook = next(word for word in words if word.endswith(".ipynb"))
        cells = json.loads((ROOT / notebook).read_text())["cells"]
        (source,) = (cell["source"] for cell in cells if "parameters" in cell["metadata"].get("tags", []))
        given = {words[place + 1] for place, word in enumerate(words) if word == "-p"}
        assert given <= {line.split(" = ")[0] for line in source}


def commands(document):
    for snippet in snippets(document, "sh"):
        for line in snippet.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield line, words


def shrunk(folder, dataset, settings, methods, architectures, seeds=(0,), **_):
    """The sweep that was asked for, at the least size: one architecture, the synthetic dataset, this process."""
    space = space_of(architectures)
    small = preset("smoke", "synthetic", space=space, **SMALL)
    return run_sweep(folder, "synthetic", small, methods, architectures[:1], seeds)


@pytest.mark.parametrize("document", sorted(set(with_snippets("sh")) - {"docs/extending.md"}))
def test_commands_run(document, folder, monkeypatch):
    monkeypatch.setattr("fearlib.sweeps.run.run_sweep", shrunk)
    monkeypatch.setattr("fearlib.sweeps.run.check_sweep", lambda *_: {"train_images": 40})  # without images
    monkeypatch.setattr("fearlib.scores.images.noise_minibatch", lambda *_: noise_minibatch(4, 8, 0))
    monkeypatch.setenv("COLUMNS", "200")
    known = read_rows("results/zero_cost_cifar10").drop_duplicates("index")
    for name in ("INDICES", "FIRST_HALF", "SECOND_HALF"):
        pd.Series(known["index"][:200]).to_csv(name, index=False, header=False)
    ran = 0
    for line, words in commands(document):
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", Path("Makefile").read_text(), re.MULTILINE)
            ran += 1
        elif not line.strip().startswith(ELSEWHERE):
            assert words[0] in (".venv/bin/fear", "fear"), line
            words = words[1:]
            if words[0] == "funnel":
                words = [*words, "--time-budget", "0"]  # what `shrunk` leaves out is not missed
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, (line, result.output, result.exception)
            ran += 1
    assert ran


def test_the_example_of_slurm_describes_a_job(folder):
    jobqueue = pytest.importorskip("dask_jobqueue")
    (text,) = snippets("docs/sweeps.md", "yaml")
    with dask.config.set(dask.config.merge(dask.config.config, yaml.safe_load(text))):
        with jobqueue.SLURMCluster(scheduler_options={"dashboard_address": ":0"}) as cluster:
            script = cluster.job_script()
    assert "#SBATCH -p main" in script and "#SBATCH --mem=4G" in script and "export FEARLIB_DATA" in script
