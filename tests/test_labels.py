import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fearlib import InputError
from fearlib.files.stays_text import stays_a_text
from fearlib.sweeps.labels import Label, parse_label
from fearlib.sweeps.meaning import with_meaning

NAMES = st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True)


@given(NAMES, st.dictionaries(NAMES, st.from_regex(r"[a-z0-9.\-]{1,8}", fullmatch=True), max_size=4))
def test_a_label_is_read_back_as_it_was_written(name, arguments):
    assert parse_label(str(Label(name, arguments))) == (name, arguments)


@pytest.mark.parametrize(
    "text, name, arguments",
    [
        ("fear(stage2_epochs=24)", "fear", {"stage2_epochs": "24"}),
        (" fear ( threshold = 0.5 , stage2_epochs=8 ) ", "fear", {"threshold": "0.5", "stage2_epochs": "8"}),
        ("full", "full", {}),
        ("full()", "full", {}),
        ("tse of shortreg(epochs=4)", "tse of shortreg", {"epochs": "4"}),
        (
            "snip(epoch=0.2,epochs=8,schedule=cosine)",
            "snip",
            {"epoch": "0.2", "epochs": "8", "schedule": "cosine"},
        ),
    ],
)
def test_labels_as_rows_hold_them(text, name, arguments):
    assert parse_label(text) == (name, arguments)


@pytest.mark.parametrize(
    "text",
    ["", " ", "(a=1)", "fear(", "fear(a)", "fear(a=1", "fear(a=1=2)", "fear(=1)", "fear(a=1,a=2)", "a,b", "a)b"],
)
def test_what_is_no_label_is_refused(text):
    with pytest.raises(InputError):
        parse_label(text)


def test_rows_say_their_kind_moment_and_failure():
    rows = pd.DataFrame(
        {
            "method": [
                "fear(threshold=0.5)",
                "fearless",
                "snip(epoch=0.2,epochs=8,schedule=cosine)",
                "full(epochs=4)",
            ],
            "outcome": ["ok", "failed: MemoryError: no room", "undefined: no weights", "below threshold"],
        }
    )
    found = with_meaning(rows)
    assert found.kind.tolist() == ["fear", "fearless", "snip", "full"]
    assert found.failed.tolist() == [False, True, False, False]
    assert found.moment.isna().tolist() == [True, True, False, True] and found.moment[2] == 0.2
    pd.testing.assert_frame_equal(with_meaning(found), found)
    empty = with_meaning(rows[:0])
    assert empty.kind.empty and empty.failed.dtype == bool and empty.moment.dtype == float


def test_a_text_that_is_no_label_is_a_name():
    rows = pd.DataFrame(
        {"method": ["a,b", "fear(", "", "snip(epoch=late)"], "outcome": ["ok", "", "failed", "failed: x"]}
    )
    found = with_meaning(rows)
    assert found.kind.tolist() == ["a,b", "fear(", "", "snip"] and found.moment.isna().all()
    assert found.failed.tolist() == [False, False, False, True]


def test_rows_put_together_of_some_with_and_some_without_meaning():
    rows = pd.DataFrame({"method": ["fear"], "outcome": ["ok"]})
    found = with_meaning(pd.concat([with_meaning(rows), rows.assign(method="tse of fear", outcome="failed: x")]))
    assert found.kind.tolist() == ["fear", "tse of fear"] and found.failed.tolist() == [False, True]


def test_a_long_text_is_read_at_once():
    """A pattern that looks back at every blank would take hours."""
    blanks = " " * 2_000_000
    for text in (f"a{blanks}b(", f"{blanks}a=", f"({blanks}"):
        with pytest.raises(InputError):
            parse_label(text)


@pytest.mark.parametrize("text", ["number", "4_2_3", "1-2", "0005", "n/a", "True", " blank", "1e5", "", "None"])
def test_a_text_stays_one_if_a_table_gives_it_back(text, tmp_path):
    """As pandas itself does, of a table of it alone."""
    path = tmp_path / "table.csv"
    pd.DataFrame({"index": [1], "arch": [text]}).to_csv(path, index=False)
    assert stays_a_text(text) == (pd.read_csv(path, skipinitialspace=True).arch.tolist() == [text])
