"""Where a sweep's numbers come from, in lines to print."""

import json
from pathlib import Path

from fearlib.report.account import provenance

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
    for sitting, code in zip(manifest["sittings"], said[5::2]):
        assert code == f"  code {sitting['commit']}, {sitting['hardware']}"
