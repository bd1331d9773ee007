"""One setting of FEAR changed at a time."""

import numpy as np
import pandas as pd

from fearlib.figures.frame import heading, pyplot


def ablation(table: pd.DataFrame, standard: dict[str, float], rows: pd.DataFrame):
    """Spearman with its 95% interval for every value of a setting, a panel a setting, its usual value in orange.

    `table` has a line a value that differs from the `standard` of one setting, and one where `changed` is
    "nothing": `changed`, `value`, `n`, `spearman`, `low`, `high`, and `gmacs`, which stand below with n; `rows`
    are those that it was made of. Returns the matplotlib figure.
    """
    plt = pyplot()
    settings = [name for name in standard if name in set(table.changed)]
    figure, axes = plt.subplots(
        1,
        max(len(settings), 1),
        figsize=(max(2.7 * len(settings), 4.5), 3),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, setting in zip(axes.flat, settings):
        usual = table[table.changed == "nothing"].assign(value=standard[setting], changed=setting)
        each = pd.concat([table[table.changed == setting], usual]).sort_values("value", ignore_index=True)
        spread = np.clip([each.spearman - each.low, each.high - each.spearman], 0, None)
        for place, line in each.iterrows():
            colour = "#d55e00" if line.value == standard[setting] else "#0072b2"
            axis.errorbar(place, line.spearman, yerr=spread[:, [place]], fmt="o", color=colour, elinewidth=0.8)
        values = [value if isinstance(value, str) else f"{value:g}" for value in each.value]
        names = [f"{value}\nn={n}\n{gmacs:.0f}" for value, n, gmacs in zip(values, each.n, each.gmacs)]
        axis.set_xticks(range(len(each)), names, fontsize=7)
        axis.set_xlim(-0.5, len(each) - 0.5)
        axis.set_title(setting, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.suptitle(f"{heading(rows)}; orange: as the preset has it", fontsize=9)
    figure.supxlabel("value, architectures with a score, 10$^9$ multiply-accumulates an architecture", fontsize=8)
    figure.supylabel("Spearman with test accuracy,\n95% bootstrap", fontsize=8)
    return figure
