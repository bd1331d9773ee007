"""Where a sweep's numbers come from, in lines to print."""

import json
from pathlib import Path

from fearlib.plugin import PLUGIN
from fearlib.report.account import provenance
from fearlib.sweeps.provenance import sitting

RESULTS = Path(__file__).parents[1] / "results"


def test_provenance_says_what_the_manifest_and_the_journal_say():
    folder = RESULTS / "cifar10_paper"
    manifest = json.loads((folder / "manifest.json").read_text())
    said = provenance(folder).splitlines()
    configuration = manifest["configuration"]
    fingerprint = (
        f"fingerprint {configuration['dataset_fingerprint']}, {configuration['train_images']} training images"
    )
    assert said[1] == fingerprint
    assert "threshold=0.6" in said[2] and said[3].endswith("architectures, seeds 0")
    assert len(said) == 4 + 2 * len(manifest["sittings"])
    for each, code in zip(manifest["sittings"], said[5::2]):
        assert code == f"  code {each['commit']}, {each['hardware']}"


def test_a_sitting_names_the_module_that_added_to_the_library(tmp_path, monkeypatch):
    monkeypatch.setenv(PLUGIN, "measure_variants")
    manifest = json.loads((RESULTS / "cifar10_paper" / "manifest.json").read_text())
    this = sitting()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"sittings": [this]}))
    assert provenance(tmp_path).endswith(f"\n  code {this['commit']} with measure_variants, {this['hardware']}")
