"""What the columns of results/scores.csv.gz are, for readers: those measured in the same way together."""

import math

import pandas as pd

from fearlib.ranking.tables import markdown
from fearlib.sweeps.labels import read_label


def groups_of_columns(columns: pd.DataFrame) -> str:
    """`columns_table` as Markdown, a line a preset and way of measuring, with counts of architectures."""
    lines = []
    of_each = columns.assign(preset=columns.score.str.partition("/")[0], way=columns.score.map(_way))
    for (preset, way), each in of_each.groupby(["preset", "way"], sort=False):
        measured = each.assign(count=each.n + each.out).groupby("dataset")["count"]
        counts = [f"{dataset} {_range(each.min(), each.max(), ',d')}" for dataset, each in measured]
        labels = dict.fromkeys(f"`{_short(name)}`" for name in each.score)
        moments = dict.fromkeys(f"{moment:g}" for moment in map(_moment, each.score) if not math.isnan(moment))
        lines.append(
            {
                "columns": f"`{preset}/...`: " + ", ".join(labels),
                "what": f"after {', '.join(moments)} epochs of {way}" if moments else way,
                "architectures": ", ".join(counts),
                "10^9 macs": _range(each.gmacs.min(), each.gmacs.max(), ",.4g"),
            }
        )
    return markdown(pd.DataFrame(lines))


def _way(name: str) -> str:
    label = read_label(name.partition("/")[2])
    if not math.isnan(_moment(name)):
        epochs = label.arguments.get("epochs")
        return "training at a constant rate" if epochs is None else f"training at a cosine of {epochs}"
    if "steps" in label.arguments:
        return f"after {label.arguments['steps']} steps of {label.arguments['batch_size']} images"
    kinds = {"fear": "FEAR: training accuracy at the end", "shortreg": "short training: training accuracy"}
    return kinds.get(label.name, "at initialisation")


def _moment(name: str) -> float:
    return read_label(name.partition("/")[2]).number("epoch")


def _short(name: str) -> str:
    """Without the moment, which the line says."""
    label = read_label(name.partition("/")[2])
    return str(label) if math.isnan(_moment(name)) else f"{label.name}(...)"


def _range(low: float, high: float, form: str) -> str:
    return f"{low:{form}}" if low == high else f"{low:{form}} to {high:{form}}"
