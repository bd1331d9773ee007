"""The page of the results: what it holds, and that it can be used in a browser."""

import base64
import csv
import gzip
import io
import itertools
import json
import re
import shlex
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from fearlib import InputError
from fearlib.exhibits import EXHIBITS
from fearlib.report import page as report
from fearlib.report.account import accounts
from fearlib.report.captioned import parse_markdown, read_captions
from fearlib.report.sections import together
from fearlib.sweeps.indices import read_indices
from fearlib.sweeps.journal import read_journal
from fearlib.sweeps.methods import parse_method
from fearlib.sweeps.presets import as_dict, preset

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write_report(RESULTS, path)
    return path


@pytest.fixture(scope="module")
def ledger():
    with (RESULTS / "claims.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class Elements(HTMLParser):
    """Every element's name and attributes, and all text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.text, self.inside = [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.text += data

    def attributes(self, name):
        return [attributes[name] for _, attributes in self.found if name in attributes]


def test_page_holds_every_claim_table_figure_and_sweep(page, ledger):
    assert page.stat().st_size < 8_000_000
    elements = Elements(page.read_text())
    ids = elements.attributes("id")
    assert len(ids) == len(set(ids))
    expected = {f"claim-{claim['id']}" for claim in ledger}
    expected |= {f"table-{path.stem}" for path in (RESULTS / "tables").glob("*.csv")}
    expected |= {f"figure-{path.stem}" for path in (RESULTS / "figures").glob("*.png")}
    expected |= {f"sweep-{path.parent.name}" for path in RESULTS.glob("*/manifest.json")}
    archived = list(RESULTS.glob("archive/former_preset/*/manifest.json"))
    expected |= {f"sweep-archive-former_preset-{path.parent.name}" for path in archived}
    assert archived and expected <= set(ids)
    assert {link[1:] for link in elements.attributes("href") if link.startswith("#")} <= set(ids)
    exhibits = [name for name in ids if re.match("(table|figure)-(?!title)", name)]
    assert page.read_text().count("<dt>n</dt>") == len(exhibits) - 1  # one is about images
    assert page.read_text().count("<dt>interval</dt>") == len(exhibits)
    for path in (*RESULTS.glob("*/manifest.json"), *archived):
        manifest = json.loads(path.read_text())
        assert manifest["configuration"]["dataset_fingerprint"] in elements.text
        for sitting in manifest["sittings"]:
            assert all(sitting[key] in elements.text for key in ("commit", "hardware", "started", "python"))
            assert all(f"{name} {version}" in elements.text for name, version in sitting["packages"].items())


def sections_of(page):
    """The ids in every folding section of the page, by the section's own id."""
    parts = re.split(r'<details class="section" id="([^"]+)"', page.read_text().split('id="architectures"')[0])
    return {name: set(Elements(text).attributes("id")) for name, text in zip(parts[1::2], parts[2::2])}


def test_what_an_exhibit_names_stands_in_its_section_and_all_else_beyond(page, ledger):
    sections = sections_of(page)
    files = [*RESULTS.glob("tables/*.md"), *RESULTS.glob("figures/*.png")]
    for path in set(files) - {RESULTS / "figures" / "paper_beside_ours.png"}:
        anchor = f"{path.parent.name[:-1]}-{path.stem}"
        (place,) = (name for name, ids in sections.items() if anchor in ids)
        owners = {
            name for name, exhibit in EXHIBITS.items() if path in set().union(*map(RESULTS.glob, exhibit.files))
        }
        of_place = {name for group in together() for name in group if place == f"exhibit-{group[0]}"}
        assert owners & of_place if owners else place.startswith("beyond-"), path
    text = page.read_text()
    for group in together():
        _, of_it = text.split(f'<details class="section" id="exhibit-{group[0]}"')
        of_it = of_it.split('<details class="section"')[0].split("<section")[0]
        expected = [claim["id"] for claim in ledger if claim["id"].split(".")[0] in group]
        assert re.findall('href="#claim-([^"]+)"', of_it) == expected
        assert all(EXHIBITS[name].shows.split("`")[0] in Elements(of_it).text for name in group)
    assert sorted(sum(map(list, together()), [])) == sorted(EXHIBITS)


def test_page_loads_nothing_from_elsewhere(page):
    elements = Elements(page.read_text())
    links = [value for name in ("src", "href", "srcset", "action") for value in elements.attributes(name)]
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"@import|url\(", page.read_text())
    assert not any(tag in ("link", "iframe", "object", "embed") for tag, _ in elements.found)


def test_every_table_and_figure_has_a_caption():
    captions = read_captions(RESULTS)
    files = {("table", path.stem) for path in (RESULTS / "tables").iterdir()}
    files |= {("figure", path.stem) for path in (RESULTS / "figures").iterdir()}
    others = {("table", f"{path.parent.name}/{path.stem}") for path in RESULTS.glob("*/*.md")}
    others = {(kind, name) for kind, name in others if not name.startswith("findings/")}  # prose
    files |= {(kind, name) for kind, name in others if not name.startswith("tables/")}
    assert set(captions) == files
    with (RESULTS / "captions.csv").open(newline="") as file:
        assert len(list(csv.reader(file))) == len(captions) + 1
    for said in captions.values():
        assert said["caption"].endswith(".") and (ROOT / said["notebook"]).is_file()
        assert all((RESULTS / folder).is_dir() for folder in said["folders"].split())
        assert not said["numbers"] or ("table", said["numbers"]) in captions


def options(command):
    words = shlex.split(command)
    assert words[:2] == ["fear", "rank"]
    named = {}
    for key, value in zip(words[3::2], words[4::2], strict=True):
        named.setdefault(key, []).append(value)
    return words[2], named


@pytest.mark.parametrize(
    "account", [each for each in accounts(RESULTS) if each["trials"]], ids=lambda a: a["name"]
)
def test_commands_give_the_settings_and_trials_of_the_manifest(account, measure_variants):
    folder = RESULTS / account["name"]
    manifest = json.loads((folder / "manifest.json").read_text())
    trials = [record["trial"] for record in read_journal(folder)]
    counted = 0
    for command in account["commands"]:
        where, named = options(command)
        assert where == f"results/{account['name']}"
        changes = dict(change.split("=", 1) for change in named["--set"])
        space = named.get("--space", ["nats-tss"])[0]
        made = as_dict(preset(named["--preset"][0], named["--dataset"][0], space=space, **changes))
        meant = manifest["configuration"]["settings"]
        assert {key: made[key] for key in meant if key != "preset"} == {
            key: value for key, value in meant.items() if key != "preset"
        }
        methods = re.split(r"\s+", named["--methods"][0])
        assert all(parse_method(method) for method in methods)
        seeds = [int(seed) for seed in named.get("--seeds", ["0"])[0].split(",")]
        counted += len(methods) * len(seeds) * int(named["--count"][0])
        of_these = {t["index"] for t in trials if t["method"] in methods and t["seed"] in seeds}
        assert len(of_these) == int(named["--count"][0])
        if named["--indices"][0] != "INDICES":
            listed = read_indices(ROOT / named["--indices"][0], len(of_these), space)
            assert {each.index for each in listed} == of_these
    assert counted == len({tuple(trial.values()) for trial in trials})


def test_the_ledgers_commands_find_their_trials_done(ledger):
    for command in {claim["command"] for claim in ledger} - {""}:
        for part in command.split(" && "):
            where, named = options(part)
            assert named["--indices"] != ["INDICES"] and named.get("--truth", [where]) == [where]
            trials = [record["trial"] for record in read_journal(ROOT / where)]
            first = [each.index for each in read_indices(ROOT / named["--indices"][0], int(named["--count"][0]))]
            methods = named["--methods"][0].split()
            seeds = [int(seed) for seed in named.get("--seeds", ["0"])[0].split(",")]
            wanted = set(itertools.product(first, methods, seeds))
            assert wanted and wanted <= {tuple(trial.values()) for trial in trials}


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_scores_are_those_of_the_tables(page):
    """The correlations that the plot shows are the tables', which another notebook's runs have written.

    It shows a method on all architectures that it has, as the table of fewer methods on more architectures does.
    """
    measured = {sweep["name"]: sweep for sweep in data_of(page.read_text())["sweeps"]}
    names = ("cifar10_compact_more_architectures", "cifar10_compact")
    table = pd.concat(pd.read_csv(RESULTS / "tables" / f"{name}.csv") for name in names)
    table = table.drop_duplicates("method").set_index("method")
    methods = {method["name"]: method for method in measured["cifar10_compact"]["methods"]}
    assert set(methods) == set(table.index)
    for name, method in methods.items():
        for key in ("n", "out", "spearman", "low", "high"):
            assert method[key] == pytest.approx(table[key][name], rel=1e-4), (name, key)
    sweep = measured["zero_cost_cifar10"]
    rows = pd.read_csv(RESULTS / "zero_cost_cifar10" / "rows.csv.gz")
    expected = rows[(rows["index"] == 88) & (rows.method == "snip")].score.mean()
    (snip,) = (method for method in sweep["methods"] if method["name"] == "snip")
    assert snip["scores"][sweep["indices"].index("88")] == pytest.approx(expected, rel=1e-5)
    assert "degradation_cifar10" not in measured
    assert set(measured) <= {
        path.parent.name for path in RESULTS.glob("*/rows.csv.gz")
    }  # not those in the archive
    each = rows.pivot_table("score", "index", "method")
    places = {method["name"]: place for place, method in enumerate(sweep["methods"])}
    for one, other in (("snip", "synflow"), ("jacob_cov", "zen")):
        expected = each[[one, other]].dropna().rank().corr().iloc[0, 1]
        assert sweep["pairs"][places[one]][places[other]] == pytest.approx(expected, rel=1e-4)


def test_full_training_is_not_ranked_by_itself(page):
    measured = {sweep["name"]: sweep for sweep in data_of(page.read_text())["sweeps"]}
    methods = {method["name"] for method in measured["synthetic_compact"]["methods"]}  # whose truth it is
    assert not any(method.startswith("full") for method in methods) and len(methods) > 1
    assert "darts_cifar10" not in measured  # which has nothing else


def test_a_sweep_that_is_too_large_is_not_on_the_page(monkeypatch):
    module = sys.modules["fearlib.report.scores"]
    shown = [{sweep["name"] for sweep in module.scores(RESULTS)["sweeps"]}]
    monkeypatch.setattr(module, "MOST", 100)
    shown.append({sweep["name"] for sweep in module.scores(RESULTS)["sweeps"]})
    sizes = {name: pd.read_csv(RESULTS / name / "rows.csv.gz")["index"].nunique() for name in shown[0]}
    assert shown[1] == {name for name, size in sizes.items() if size <= 100} < shown[0]


def test_markdown_becomes_blocks():
    lines = [
        "| a | b | low | high | c |",
        "|:--|--:|--|--|--|",
        "| x | 1 | 0 | 2 | nan |",
        "| y | nan | nan | nan | 3 |",
    ]
    words, table = parse_markdown("Some words.\n\n" + "\n".join(lines) + "\n")
    assert words == {"text": "Some words."}
    assert table == {"header": ["a", "b (95%)", "c"], "rows": [["x", "1 (0..2)", ""], ["y", "", "3"]]}
    (ragged,) = parse_markdown("| a |\n|---|\n| 1 | 2 |")
    assert "text" in ragged


@pytest.fixture
def small(tmp_path):
    """A copy of a part of the results, to be spoilt."""
    for name in ("claims.csv", "captions.csv", "tables/zero_cost_whole_space_published.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(RESULTS / name, tmp_path / name)
    shutil.copytree(RESULTS / "zero_cost_whole_space", tmp_path / "zero_cost_whole_space")
    (tmp_path / "figures").mkdir()
    shutil.copy(RESULTS / "figures" / "cifar10_compact_cost.png", tmp_path / "figures" / "a.png")
    return tmp_path


def test_an_embedded_figure_has_the_pixels_of_its_file(small):
    (image,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', report.render(small))
    embedded, drawn = Image.open(io.BytesIO(base64.b64decode(image))), Image.open(small / "figures" / "a.png")
    assert embedded.size == drawn.size and embedded.convert("RGB").tobytes() == drawn.convert("RGB").tobytes()


def test_the_same_results_give_the_same_bytes(small):
    assert report.render(small) == report.render(small)


def make_hostile(folder):
    book = pd.read_csv(folder / "claims.csv").astype(object)
    book.loc[0, ["id", "claim", "verdict", "source", "preset", "missing", "command", "data"]] = HOSTILE
    book.to_csv(folder / "claims.csv", index=False)
    sweep = folder / "zero_cost_whole_space"
    rows = pd.read_csv(sweep / "rows.csv.gz")
    last = read_journal(sweep)[-1]["trial"]["index"]  # without whose rows the journal would be read instead
    rows.loc[(rows.method == "snip") & (rows["index"] != last), "method"] = HOSTILE
    rows["arch"] = HOSTILE
    rows.to_csv(sweep / "rows.csv.gz", index=False)
    manifest = json.loads((sweep / "manifest.json").read_text())
    manifest["configuration"] |= {"dataset_source": HOSTILE, "dataset_fingerprint": HOSTILE}
    manifest["configuration"]["settings"] |= {HOSTILE: HOSTILE, "channels": HOSTILE}
    manifest["sittings"][0] |= {"hardware": HOSTILE, "packages": {HOSTILE: HOSTILE}, "commit": HOSTILE}
    (sweep / "manifest.json").write_text(json.dumps(manifest))
    captions = pd.DataFrame([dict.fromkeys(read_captions(RESULTS)["figure", "degradation_cifar10"], HOSTILE)])
    captions["kind"], captions["name"] = "figure", "a"
    captions.to_csv(folder / "captions.csv", index=False)
    (folder / "tables" / "b.md").write_text(f"{HOSTILE}\n\n| {HOSTILE} |\n|---|\n| {HOSTILE} |\n")


def test_results_are_data_and_not_markup(small):
    before = Elements(report.render(small)).found
    make_hostile(small)
    page = report.render(small)
    elements = Elements(page)
    assert "alert(1)" in elements.text and "{{ 7 * 7 }}" in elements.text
    scripts = [tag for tag, _ in elements.found if tag == "script"]
    assert len(scripts) == sum(tag == "script" for tag, _ in before) == 2
    assert not any("onerror" in attributes for _, attributes in elements.found)
    assert HOSTILE in data_of(page)["architectures"]["nats-tss"].values()


def lose(name):
    return lambda folder: (folder / name).unlink()


def write(name, text):
    content = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (lose("claims.csv"), "holds no claims.csv: the report is of the repository"),
        (write("claims.csv", "id,claim\n1,2\n"), "lacks the column(s) source, unit"),
        (write("captions.csv", "kind,name\nfigure,a\n"), "lacks the column(s) caption"),
        (write("figures/a.png", "no image"), "a.png is not a readable PNG"),
        (write("zero_cost_whole_space/manifest.json", "[]"), "is not a manifest: it has no configuration"),
        (write("zero_cost_whole_space/manifest.json", "{"), "is not readable JSON"),
        (write("zero_cost_whole_space/rows.csv.gz", "index\n1\n"), "rows.csv.gz lacks the column(s) space"),
    ],
)
def test_bad_results_are_one_sentence(small, spoil, sentence):
    spoil(small)
    with pytest.raises(InputError) as error:
        report.write_report(small, small / "report.html")
    assert sentence in str(error.value) and not (small / "report.html").exists()


def test_too_large_a_report_is_refused(small, monkeypatch):
    monkeypatch.setattr(report, "MAX_BYTES", 1000)
    with pytest.raises(InputError, match="no more than 0.001 are allowed: take figures or sweeps out of"):
        report.write_report(small, small / "report.html")
    with pytest.raises(InputError, match="absent is not a folder of results"):
        report.write_report(small / "absent", small / "report.html")
