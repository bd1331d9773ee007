"""What a comparison may rest on, of a sweep that was cut short."""

import pandas as pd
import pytest

from fearlib import InputError
from fearlib.ranking import finished
from fearlib.ranking.finished import finished_rows, methods_of, preset_method

ROWS = pd.DataFrame(
    {
        "index": [4, 4, 2, 9],
        "method": ["fear(threshold=0.3,stage2_epochs=2)", "fear(stage2_epochs=2)", "snip", "full"],
    }
)


def test_rows_of_unfinished_architectures_take_no_part(monkeypatch):
    monkeypatch.setattr(finished, "read_rows", lambda folder: ROWS)
    monkeypatch.setattr(finished, "finished_architectures", lambda folder: [9, 4])
    assert list(finished_rows("a sweep")["index"]) == [4, 4, 9]


def test_methods_are_told_apart_by_their_names():
    assert methods_of(ROWS, "fear") == ["fear(stage2_epochs=2)", "fear(threshold=0.3,stage2_epochs=2)"]
    assert methods_of(ROWS.assign(method="fearless(epochs=2)"), "fear") == []
    assert methods_of(ROWS, "full", "snip") == ["full", "snip"]


def test_the_preset_has_the_shortest_label():
    assert preset_method(ROWS) == "fear(stage2_epochs=2)"
    assert preset_method(ROWS, "full") == "full"
    with pytest.raises(InputError, match="no rows of fear: the methods are full, snip"):
        preset_method(ROWS[2:])
