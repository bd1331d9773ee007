"""The page of the results in a real browser: what it says, with mouse and keyboard, and to everyone."""

import csv
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from fearlib.report import page as report
from fearlib.report.scores import MOST

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
RESULTS = Path(__file__).parents[1] / "results"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here: apt-get install chromium")
PHONE, DESKTOP = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
SERIOUS = ("serious", "critical")
FOCUSABLE = "a[href], summary, input, select, button, [tabindex='0']"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    report.write_report(RESULTS, path)
    return path.as_uri()


@pytest.fixture
def visit(browser, url):
    """Open the page; at the end nothing was complained of and nothing but the page itself was loaded."""
    opened, complaints, loaded = [], [], []

    def visit(viewport=DESKTOP, address=url, **options):
        page = browser.new_page(viewport=viewport, **options)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(address)
        opened.append(page)
        return page

    yield visit
    for page in opened:
        page.close()
    assert not complaints
    assert {each for each in loaded if not each.startswith("data:")} <= {loaded[0]}


@pytest.fixture(scope="module")
def ledger():
    with (RESULTS / "claims.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def shown_claims(page):
    return page.eval_on_selector_all(
        "#ledger-table tbody tr",
        "rows => rows.filter(row => row.checkVisibility()).map(row => row.cells[0].innerText)",
    )


def test_ledger_filters(visit, ledger):
    page = visit()
    everything = [claim["id"] for claim in ledger]
    assert shown_claims(page) == everything
    for verdict in {claim["verdict"] for claim in ledger}:
        page.select_option("#ledger-verdict", verdict)
        expected = [claim["id"] for claim in ledger if claim["verdict"] == verdict]
        assert shown_claims(page) == expected
        assert page.inner_text("#ledger-count") == f"{len(expected)} of {len(ledger)} claims"
    page.select_option("#ledger-verdict", "")
    page.fill("#ledger-text", "SYNFLOW cifar-10:")
    expected = [claim["id"] for claim in ledger if "synflow" in str(claim).lower() and "CIFAR-10:" in str(claim)]
    assert 0 < len(expected) < len(ledger) and shown_claims(page) == expected
    page.fill("#ledger-text", "")
    source = ledger[-1]["source"]
    page.select_option("#ledger-source", source)
    assert shown_claims(page) == [claim["id"] for claim in ledger if claim["source"] == source]
    page.select_option("#ledger-source", "")
    assert shown_claims(page) == everything


def choose_sweep(page, name):
    labels = page.locator("#scatter-sweep option").all_inner_texts()
    (label,) = (each for each in labels if each.startswith(f"{name},"))
    page.select_option("#scatter-sweep", label=label)


def test_search_finds_an_architecture_and_all_its_scores(visit):
    tables = [pd.read_csv(path) for path in sorted(RESULTS.glob("*/rows.csv.gz"))]
    tables = [table for table in tables if not table.method.str.startswith("full").all()]  # a truth alone
    rows = pd.concat([table for table in tables if table["index"].nunique() <= MOST])
    strings = rows.drop_duplicates(["space", "index"]).set_index("index").arch
    page = visit()
    choose_sweep(page, "cifar10_compact")
    page.fill("#search-text", "288")
    found = [text.split(" ")[0] for text in page.locator("#search-found button").all_inner_texts()]
    assert found[0] == "288" and set(found) == {
        str(index) for index in strings.index if str(index).startswith("288")
    }
    page.press("#search-text", "Enter")
    detail = page.inner_text("#detail")
    assert "Architecture 288 of nats-tss" in detail and strings[288] in detail
    of_it = rows[(rows["index"] == 288) & ~rows.method.str.contains("epoch=", regex=False)]
    table = pd.read_csv(RESULTS / "cifar10_compact" / "rows.csv.gz")
    synflow = table[table.method == "synflow"].set_index("index").score
    lines = page.locator("#detail details[open] tr").all_inner_texts()
    (line,) = (line.split("\t") for line in lines if line.startswith("synflow\t"))
    assert float(line[1]) == pytest.approx(synflow[288], rel=1e-4)
    assert line[2] == f"{int(synflow.rank(ascending=False)[288])} of 164"
    everything = page.text_content("#detail")
    assert all(method in everything for method in of_it.method.unique())
    part = "|nor_conv_3x3~0|+|nor_conv_3x3~0|"
    page.fill("#search-text", part)
    count = strings.str.contains(part, regex=False).sum()
    assert page.inner_text("#search-count").startswith(f"{count} of {len(strings)} architectures")
    page.fill("#search-text", "no such string")
    assert page.inner_text("#search-count").startswith("0 of") and not page.locator("#search-found button").count()


def test_plot_shows_the_tables_statistics_and_takes_keys_and_clicks(visit):
    page = visit()
    choose_sweep(page, "cifar10_compact")
    table = pd.read_csv(RESULTS / "tables" / "cifar10_compact_more_architectures.csv").set_index("method")
    for method in ("fear(stage2_epochs=24)", "synflow", "grasp"):
        page.select_option("#scatter-y", label=method)
        line = table.loc[method]
        said = page.inner_text("#scatter-statistics")
        assert f"Spearman {line.spearman:.2f}" in said and f"{line.low:.2f}..{line.high:.2f}" in said
        assert f"n = {line.n:.0f}" in said and page.locator("#scatter circle").count() == line.n
    page.select_option("#scatter-x", label="synflow")
    assert "without an interval" in page.inner_text("#scatter-statistics")
    page.select_option("#scatter-x", label="test accuracy (%)")
    page.select_option("#scatter-y", label="fear(stage2_epochs=24)")
    rows = pd.read_csv(RESULTS / "cifar10_compact" / "rows.csv.gz")
    rows = rows[rows.method == "fear(stage2_epochs=24)"].dropna(subset="score").sort_values("test_accuracy")
    chosen = page.locator("#scatter circle[aria-selected=true]")
    page.focus("#scatter [role=listbox]")
    for key, index in (
        ("Home", rows["index"].iloc[0]),
        ("ArrowRight", rows["index"].iloc[1]),
        ("End", rows["index"].iloc[-1]),
    ):
        page.keyboard.press(key)
        assert chosen.get_attribute("id") == f"point-{index}"
        assert f"Architecture {index} of nats-tss" in page.inner_text("#detail")
    page.locator(f"#point-{rows['index'].iloc[0]}").click()
    assert f"Architecture {rows['index'].iloc[0]} of" in page.inner_text("#detail")
    page.check("#scatter-ranks")
    assert page.locator("#scatter circle").count() == len(rows)
    page.uncheck("#scatter-ranks")
    labels = page.locator("#scatter-sweep option").all_inner_texts()
    assert {label.split(",")[0] for label in labels} >= {
        "cifar10_compact",
        "cifar100_compact",
        "synthetic_compact",
    }
    for label in labels:
        page.select_option("#scatter-sweep", label=label)
        of_label = int(re.search(r", (\d+) architectures", label)[1])
        assert 0 < page.locator("#scatter circle").count() <= of_label


@pytest.fixture(scope="module")
def url_of_a_part(tmp_path_factory):
    """A page with every kind of thing on it, and few enough for axe to look at them all within seconds."""
    folder = tmp_path_factory.mktemp("part")
    pd.read_csv(RESULTS / "claims.csv").groupby("verdict").head(3).to_csv(folder / "claims.csv", index=False)
    shutil.copy(RESULTS / "captions.csv", folder)
    for name in ("cifar10_paper", "published_gap", "synthetic_facts_16px"):
        shutil.copytree(RESULTS / name, folder / name)
    for name in ("tables/cifar10_paper_ahead", "tables/cifar10_compact_search", "figures/cifar10_compact_search"):
        for path in RESULTS.glob(f"{name}.*"):
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(path, folder / name.split("/")[0])
    report.write_report(folder, folder / "report.html")
    return (folder / "report.html").as_uri()


def test_contents_stay_in_view_and_unfold_what_they_name(visit, url_of_a_part):
    seen = "one => one.checkVisibility({contentVisibilityAuto: true})"
    table = "#table-cifar10_paper_ahead table"
    page = visit(address=url_of_a_part, reduced_motion="reduce")
    assert not page.locator(table).evaluate(seen)
    page.click("nav a[href='#exhibit-T1']")
    assert page.locator(table).evaluate(seen)
    assert page.evaluate("scrollY > innerHeight")
    assert 0 <= page.locator("nav a").first.bounding_box()["y"] < DESKTOP["height"]
    page.click("#unfold")
    assert all(page.eval_on_selector_all("main details", "all => all.map(one => one.open)"))
    assert visit(address=f"{url_of_a_part}#table-cifar10_paper_ahead").locator(table).evaluate(seen)


def assert_nothing_serious(page):
    page.fill("#search-text", "288")
    page.press("#search-text", "Enter")
    page.locator("circle[aria-selected=true]").wait_for(state="attached")  # the one, once it is drawn
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    violations = axe.Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [violation for violation in violations if violation["impact"] in SERIOUS]
    assert not serious, json.dumps(serious, indent=1)[:3000]


@pytest.mark.parametrize("viewport, scheme", [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop", "phone"])
def test_nothing_serious_for_axe(visit, url_of_a_part, viewport, scheme):
    assert_nothing_serious(visit(viewport, url_of_a_part, color_scheme=scheme))


@pytest.mark.slow
def test_nothing_serious_for_axe_on_the_whole_page(visit):
    assert_nothing_serious(visit())


def test_images_have_a_text_and_show(visit):
    page = visit()
    images = page.eval_on_selector_all("img", "all => all.map(one => [one.alt, one.complete && one.naturalWidth])")
    assert len(images) == len(list((RESULTS / "figures").glob("*.png")))
    assert all(len(text) > 20 and width > 0 for text, width in images)


def test_a_phone_scrolls_tables_and_not_the_page(visit):
    page = visit(PHONE)
    page.fill("#search-text", "288")
    page.press("#search-text", "Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def assert_tab_reaches_everything(page, at_least):
    page.fill("#search-text", "288")
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    wanted = page.eval_on_selector_all(
        FOCUSABLE, "all => all.filter(one => one.checkVisibility()).map((one, i) => one.dataset.tab = `${i}`)"
    )
    assert len(wanted) > at_least
    reached = set()
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.dataset.tab"))
    assert set(wanted) <= reached


def test_tab_reaches_everything(visit, url_of_a_part):
    assert_tab_reaches_everything(visit(address=url_of_a_part), at_least=50)


@pytest.mark.slow
def test_tab_reaches_everything_on_the_whole_page(visit):
    assert_tab_reaches_everything(visit(), at_least=200)


def test_print_shows_what_is_folded(visit):
    page = visit()
    hidden = "all => all.filter(one => !one.checkVisibility({contentVisibilityAuto: true})).length"
    assert page.eval_on_selector_all("details tr", hidden) > 0
    page.emulate_media(media="print")
    assert page.eval_on_selector_all("details tr, details code", hidden) == 0
    heights = page.eval_on_selector_all("details tr", "all => all.map(one => one.getBoundingClientRect().height)")
    assert min(heights) > 0
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_hostile_results_run_nothing(visit, tmp_path):
    """Strings from the results that try to be markup reach the page, the plot and the search as text."""
    hostile = "<img src=x onerror=document.title='hacked'>"
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    shutil.copy(RESULTS / "claims.csv", tmp_path)
    rows = pd.read_csv(RESULTS / "zero_cost_whole_space" / "rows.csv.gz").head(200)
    rows = rows.assign(arch=hostile, method=hostile, preset=hostile, seed=range(len(rows)))
    rows.to_csv(sweep / "rows.csv.gz", index=False)
    report.write_report(tmp_path, tmp_path / "report.html")
    page = visit(address=(tmp_path / "report.html").as_uri())
    page.fill("#search-text", "img")
    page.press("#search-text", "Enter")
    assert hostile in page.inner_text("#detail") and re.match("fearlib", page.title())
    assert page.locator("img").count() == 0
