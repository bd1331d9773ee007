"""FEAR with one thing changed at a time from the preset, and with other seeds, over the same architectures."""

from pathlib import Path

import pandas as pd

from fearlib.errors import InputError
from fearlib.ranking.ablation import fear_settings
from fearlib.ranking.estimate import estimate
from fearlib.ranking.finished import methods_of
from fearlib.ranking.noise import noise_of_seeds
from fearlib.ranking.statistics import spearman, spearman_difference
from fearlib.sweeps.labels import parse_label
from fearlib.sweeps.manifest import read_manifest
from fearlib.sweeps.presets import LENGTHS
from fearlib.sweeps.rows import read_curves, read_rows

CHANGED = ("threshold", "first_free_block", "stage2_epochs", "train_images")
_TRIAL = ["index", "method", "train_images", "seed"]
_MAY_DIFFER = {"preset", "train_images", *LENGTHS}  # between the settings of two sweeps; a label states lengths


def read_fears(folders: list[str | Path]) -> pd.DataFrame:
    """FEAR's rows in all the folders, on the architectures that each of them has.

    `train_images` is how many the folder's sweep trained on; `end_test_accuracy` the test accuracy at the end of
    stage 2, NaN where it was not recorded. Raises InputError if two of the folders hold the same trial, or differ
    in their data, of which one may take more training images, or in other settings.
    """
    each = [read_rows(folder) for folder in folders]
    configurations = [read_manifest(folder)["configuration"] for folder in folders]
    _refuse_other_settings(folders, configurations)
    fears = []
    for folder, rows, configuration in zip(folders, each, configurations):
        curves, images = read_curves(folder), configuration["train_images"]
        curves = curves[(curves.stage == 2) & curves.val_top1.notna()].assign(train_images=images)
        fear = rows[rows.method.isin(methods_of(rows, "fear"))].assign(train_images=images)
        fears.append(fear.join(curves.set_index(_TRIAL).val_top1.rename("end_test_accuracy"), on=_TRIAL))
    scores = pd.concat(fears, ignore_index=True)
    twice = scores.duplicated(_TRIAL)
    if twice.any():
        trial = scores.loc[twice.idxmax()]
        raise InputError(
            f"Two of the sweeps hold {trial.method} with seed {trial.seed} on architecture {trial['index']}: "
            "each trial must be in one alone."
        )
    shared = set.intersection(*(set(rows["index"]) for rows in each))
    return scores[scores["index"].isin(shared)]


def _refuse_other_settings(folders: list[str | Path], configurations: list[dict]) -> None:
    """Raises InputError if a folder has other data or settings than the first, but for the training images."""
    first, *others = (
        {key: each.get(key) for key in ("dataset", "dataset_source", "space")} | each["settings"]
        for each in configurations
    )
    for folder, other in zip(folders[1:], others):
        different = {key for key in {*first, *other} - _MAY_DIFFER if first.get(key) != other.get(key)}
        if different:
            raise InputError(
                f"{folder} differs from {folders[0]} in {', '.join(sorted(different))}: of a sweep's settings "
                "only train_images may differ here."
            )


def one_change_table(scores: pd.DataFrame, default: str, preset: dict) -> pd.DataFrame:
    """A line a setting and seed of `read_fears`: what is `changed` from the label `default` with seed 0, and how.

    `preset` are the settings that hold where a label says nothing, its `train_images` how many the default trains
    on. The difference is Spearman of the setting less that of the default, over `both`, the architectures to which
    the two give a score. Raises InputError for a label that changes two settings.
    """
    stated = {name for label in scores.method.unique() for name in parse_label(label).arguments}
    names = [*CHANGED, *sorted(stated - set(CHANGED))]
    (space,) = scores.space.unique()
    standard = fear_settings(default, preset, names, space)
    is_default = (scores.method == default) & (scores.train_images == preset["train_images"])
    first = scores[is_default & (scores.seed == 0)].set_index("index")
    lines = []
    for (method, images, seed), each in scores.groupby(["method", "train_images", "seed"]):
        settings = fear_settings(method, preset, names, space) | {"train_images": images}
        changed = {name: value for name, value in settings.items() if value != standard[name]}
        if len(changed) > 1:
            raise InputError(f"{method} changes {' and '.join(changed)}: one thing at a time can be compared.")
        each = each.set_index("index")
        known = each.dropna(subset=["score", "test_accuracy"])
        both = known.join(first.score.rename("standard"), how="inner").dropna(subset="standard")
        line = {"changed": next(iter(changed), "nothing" if seed == 0 else "seed")}
        line |= {"value": next(iter(changed.values()), seed), "seed": seed}
        line |= {"n": len(known), "out": len(each) - len(known)}
        line |= estimate(spearman, known.score, known.test_accuracy).columns("spearman")
        line |= {"both": len(both), "of the preset": spearman(both.standard, both.test_accuracy)}
        difference = estimate(spearman_difference, both.score, both.standard, both.test_accuracy)
        line |= difference.columns("difference", "difference ")
        line["between the scores"] = spearman(both.score, both.standard)
        line["by test accuracy"] = spearman(known.end_test_accuracy, known.test_accuracy)
        lines.append(line | {"gmacs": each.macs.mean() / 1e9})
    order = ["nothing", "seed", *names]
    return pd.DataFrame(lines).sort_values(
        ["changed", "value"], key=lambda column: column.map(order.index) if column.name == "changed" else column
    )


def chance_table(scores: pd.DataFrame, default: str, train_images: int) -> pd.DataFrame:
    """One line: how much of the default's score is chance, from its seeds, over what all of them scored.

    Of those that trained on `train_images`. `reliability of one` is the share of one seed's variance that is not
    noise. Spearman with test accuracy of each seed, and of the mean of all, are texts. Raises InputError as
    `noise_of_seeds` does.
    """
    of_default = scores[(scores.method == default) & (scores.train_images == train_images)]
    seeds = of_default.pivot(index="index", columns="seed", values="score").dropna()
    accuracy = of_default.groupby("index").test_accuracy.first()[seeds.index]
    found = noise_of_seeds(seeds.reset_index().melt("index", value_name="value", var_name="seed"))
    noise, count = found["noise"] ** 2, seeds.shape[1]
    line = {"seeds": count, "n": len(seeds), "noise": found["noise"], "spread": found["spread"]}
    line["reliability of one"] = 1 - noise / (found["spread"] ** 2 + (1 - 1 / count) * noise)
    line["of the mean"] = found["reliability"]
    kinds = {f"seed {seed}": seeds[seed] for seed in seeds} | {"mean": seeds.mean(axis="columns")}
    line |= {name: str(estimate(spearman, score, accuracy)) for name, score in kinds.items()}
    return pd.DataFrame([line])
