"""The bar of what takes more than a moment."""

import io
import sys

import pytest

from fearlib.files.progress import progress


class OutStream(io.StringIO):
    """What a notebook's kernel has for stderr."""

    __module__ = "ipykernel.iostream"


@pytest.mark.parametrize("stream, is_terminal", [(io.StringIO, True), (io.StringIO, False), (OutStream, False)])
def test_a_bar_where_somebody_looks_once_it_takes_a_second(monkeypatch, stream, is_terminal):
    shown = stream()
    monkeypatch.setattr(shown, "isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(sys, "stderr", shown)
    now = [0.0]
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    assert list(progress(range(3), "quick", "step")) == [0, 1, 2] and not shown.getvalue()
    for _ in progress(range(3), "slow", "step"):
        now[0] += 0.6
    assert ("slow:  67%" in shown.getvalue()) == (is_terminal or stream is OutStream)


def test_without_a_stream_for_errors(monkeypatch):
    """As in a process that was started with it closed."""
    monkeypatch.setattr(sys, "stderr", None)
    assert list(progress(range(3), "unseen", "step")) == [0, 1, 2]
