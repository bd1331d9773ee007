"""What a funnel over many architectures has found, against the funnel itself and by hand."""

import math

import pandas as pd
import pytest
from cells import run_notebook
from test_funnel import small  # noqa: F401

from fearlib import InputError, read_rows, run_sweep, sample_architectures
from fearlib.figures import funnel as draw_funnel
from fearlib.funnel.funnel import run_funnel
from fearlib.ranking.combinations import rank_product
from fearlib.ranking.whole_space import SEEN, _mean_kept, funnel_table, screening, screens_table

SCREEN, KEEP = "smoke/synflow * smoke/jacob_cov", 3
LISTED = pd.DataFrame({"how": ["product"], "scores": [tuple(SCREEN.split(" * "))]})
ARCHITECTURES = sample_architectures(24, seed=3)
UNSELECTED = pd.DataFrame(
    {
        "dataset": ["synthetic", "synthetic", "synthetic", "cifar10"],
        "preset": ["smoke", "smoke", "compact", "smoke"],
        "method": ["fear(stage2_epochs=2)", "params", *["fear(stage2_epochs=2)"] * 2],
        "macs": [3e9, 0.0, 7e9, 8e9],
    }
)
TRUTH = pd.Series({each.index: 10 + each.index % 83 for each in ARCHITECTURES})


@pytest.fixture
def funnel(tmp_path, small):  # noqa: F811
    """One that has run, its rows, and those of FEAR."""
    scores = [*SCREEN.split(" * "), "smoke/fear"]
    found = run_funnel(tmp_path, "synthetic", scores, ARCHITECTURES, KEEP, seeds=[0, 1], truth=TRUTH)
    rows = read_rows(tmp_path / "synthetic_smoke")
    return found, rows, rows[rows.kind == "fear"]


def test_the_table_says_what_the_funnel_found(funnel):
    found, rows, trained = funnel
    table = funnel_table(screening(rows, LISTED), trained, SCREEN, KEEP, UNSELECTED).set_index("chosen by")
    chosen = found.ranking["index"][0]
    assert table["index"]["both"] == chosen and table.found["both"] == TRUTH[chosen]
    assert (table.found + table.regret == TRUTH.max()).all()
    screens, trains = (table.loc["both", f"{name} gmacs"] * 1e9 for name in ("screening", "training"))
    assert [screens, trains] == pytest.approx(found.costs.macs.tolist())
    assert table.share["both"] == pytest.approx((screens + trains) / (SEEN * 3e9))
    assert list(table.trained) == [0, *[KEEP] * 4] and (table.screened == 24).all()
    assert list(table.seeds) == [0, 2, 2, 1, 1]
    score = trained.groupby("index").score.mean()
    assert score[table["index"]["the training"]] == score.max()
    truth = TRUTH[score.index]
    assert table.spearman["the training"] == pytest.approx(score.rank().corr(truth.rank()), nan_ok=True)
    assert table.loc["the screen", "training gmacs"] == 0 < table.share["the screen"]
    for seed in (0, 1):
        alone = funnel_table(screening(rows, LISTED), trained[trained.seed == seed], SCREEN, KEEP, UNSELECTED)
        alone = alone.set_index("chosen by").loc["both"]
        pd.testing.assert_series_equal(table.loc[f"both, seed {seed}"], alone, check_names=False)


def test_the_figure_shows_what_was_kept_and_chosen(funnel):
    _, rows, trained = funnel
    of = screening(rows, LISTED)
    table = funnel_table(of, trained, SCREEN, KEEP, UNSELECTED)
    left, right = draw_funnel(of, trained, table, SCREEN).axes
    kept = [index for index in of.scores.index if index in set(trained["index"])]
    points = {line.get_label(): line.get_xydata() for axis in (left, right) for line in axis.get_lines()}
    assert sorted(points[f"the {KEEP} kept"].tolist()) == sorted(
        [place, TRUTH[index]] for place, index in enumerate(sorted(kept, key=lambda each: -order(rows)[each]), 1)
    )
    score = trained.groupby("index").score.mean()
    for chosen_by, index in list(zip(table["chosen by"], table["index"]))[:3]:
        assert points[f"chosen by {chosen_by}"].tolist() == [[score[index], TRUTH[index]]]
    assert set(points["the best of all"][:, 1]) == {TRUTH.max()}


def order(rows):
    """The screen's value of each architecture, by the definition."""
    wide = rows[rows.kind.isin(["synflow", "jacob_cov"])].pivot(index="index", columns="method", values="score")
    return rank_product(wide)


def test_what_screens_keep_counted_by_hand(funnel):
    _, rows, _ = funnel
    table = screens_table(screening(rows, LISTED), KEEP).set_index("candidate")
    wide = rows[rows.kind.isin(["synflow", "jacob_cov"])].pivot(index="index", columns="method", values="score")
    scores = {f"smoke/{name}": wide[name].fillna(-1e30) for name in wide} | {SCREEN: rank_product(wide)}
    assert set(table.index) == set(scores)
    for name, score in scores.items():
        order = sorted(score.index, key=lambda index: -score[index])
        kept = TRUTH[order[:KEEP]]
        places = [[TRUTH[other] for other in order if score[other] == score[index]] for index in order[:KEEP]]
        mean = sum(sum(equal) / len(equal) for equal in places) / KEEP
        assert table["best kept"][name] == kept.max() and table["mean kept"][name] == pytest.approx(mean)
        tied = [index for index in order if score[index] == score.max()]
        assert table.found[name] == pytest.approx(TRUTH[tied].mean())
        assert table.n[name] == 24


def test_the_notebook_makes_both_tables_or_says_what_is_missing(funnel, tmp_path, small):  # noqa: F811
    found, _, _ = funnel
    LISTED.assign(scores=LISTED.scores.map(" ".join)).to_csv(tmp_path / "listed.csv", index=False)
    given = {"listed": str(tmp_path / "listed.csv"), "chosen_by": SCREEN, "kept": KEEP}
    given |= {"output": str(tmp_path / "made"), "reference": str(tmp_path / "synthetic_smoke")}
    run_notebook("analysis/funnel.ipynb", results=str(tmp_path / "synthetic_smoke"), **given)
    made = tmp_path / "made" / "tables"
    table = pd.read_csv(made / "synthetic_smoke.csv").set_index("chosen by")
    assert table["index"]["both"] == found.ranking["index"][0]
    assert (tmp_path / "made" / "figures" / "synthetic_smoke.png").exists()
    assert set(pd.read_csv(made / "synthetic_smoke_screens.csv").candidate) == {*SCREEN.split(" * "), SCREEN}
    screen = ["zero_cost(measures=synflow+jacob_cov)"]
    run_sweep(tmp_path / "screen", "synthetic", small, screen, ARCHITECTURES, truth=TRUTH)
    with pytest.raises(InputError, match="3 trainings of the 3 architectures that .* keeps are missing"):
        run_notebook("analysis/funnel.ipynb", results=str(tmp_path / "screen"), **given)
    assert (made / "screen_screens.csv").exists() and not (made / "screen.csv").exists()


def test_where_training_gave_no_score_nothing_is_chosen(funnel):
    _, rows, trained = funnel
    of, second = screening(rows, LISTED), trained.seed == 1
    whole = funnel_table(of, trained, SCREEN, KEEP, UNSELECTED).set_index("chosen by")
    one = funnel_table(of, trained.assign(score=trained.score.mask(second)), SCREEN, KEEP, UNSELECTED)
    one = one.set_index("chosen by")
    assert one.loc["both, seed 1", ["index", "found", "regret"]].isna().all()
    assert one["index"]["both"] == one["index"]["both, seed 0"] == whole["index"]["both, seed 0"]
    none = trained.assign(score=math.nan)
    table = funnel_table(of, none, SCREEN, KEEP, UNSELECTED)
    assert table.found.notna().tolist() == [True, False, False, False, False]
    draw_funnel(of, none, table, SCREEN)


def test_of_those_that_equal_the_last_kept_the_mean_counts():
    score, accuracy = pd.Series([3.0, 2.0, 2.0, 1.0]), pd.Series([90.0, 80.0, 60.0, 10.0])
    assert [_mean_kept(score, accuracy, keep) for keep in (1, 2, 3, 9)] == [90, 80, 230 / 3, 60]


def test_what_is_not_finished_is_said(funnel):
    _, rows, trained = funnel
    of, first = screening(rows, LISTED), trained["index"] == trained["index"].iloc[0]
    for some, count in ((trained[~first], 2), (trained[~(first & (trained.seed == 1))], 1)):
        with pytest.raises(InputError, match=f"{count} trainings of the 3 architectures that smoke/synflow"):
            funnel_table(of, some, SCREEN, KEEP, UNSELECTED)
    with pytest.raises(InputError, match="3 trainings of the 3 architectures"):
        funnel_table(of, trained[:0], SCREEN, KEEP, UNSELECTED)
    two = pd.concat([trained, trained.assign(method="fear(stage2_epochs=9)")])
    with pytest.raises(InputError, match=r"of training are of fear.*, fear\(stage2_epochs=9\)"):
        funnel_table(of, two, SCREEN, KEEP, UNSELECTED)
    with pytest.raises(InputError, match=r"beside the funnel's has its fear\(stage2_epochs=2\)"):
        funnel_table(of, trained, SCREEN, KEEP, UNSELECTED.assign(method="fear"))
    with pytest.raises(InputError, match="there is no test accuracy to compare with: run the funnel with a truth"):
        screening(rows.assign(test_accuracy=math.nan), LISTED)
    with pytest.raises(InputError, match="no measure was taken of every architecture"):
        screening(rows.drop(rows.index[rows.kind.isin(["synflow", "jacob_cov"])][[0, -1]]), LISTED)
    with pytest.raises(InputError, match="5 architectures are too few"):
        screening(rows[rows["index"].isin(rows["index"].unique()[:5])], LISTED)
