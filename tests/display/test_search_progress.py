"""What a search shows: a line for each trial at work in a terminal, plain lines now and then elsewhere."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from sparktrain.display import search_progress
from sparktrain.display.search_progress import SearchDisplay
from sparktrain.interfaces.messages import Log


@pytest.fixture
def shown():
    """Shows two trials at work, of which one ends, on a terminal or not; what is there then."""

    def show(terminal: bool) -> str:
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        with SearchDisplay(lambda: None, console) as search:
            search.run = "mine"
            with search.trial("trial-0000") as first, search.trial("trial-0001") as second:
                first.step("filling")
                second.step("waiting for executors")
                second.message(0, Log("a worker's own words"))
                until = time.monotonic() + 10
                while terminal and "filling" not in console.file.getvalue() and time.monotonic() < until:
                    time.sleep(0.05)  # the live lines are drawn four times a second
                search.note("trial 7: done")
            assert "a worker's own words" in second.log.text()
            return console.file.getvalue()

    return show


def test_a_terminal_has_a_line_for_each_trial_at_work(shown):
    text = shown(True)
    assert "trial-0000: filling" in text and "trial-0001: " in text and "trial 7: done" in text
    assert "own words" not in text  # they are in the trial's log


def test_elsewhere_there_are_plain_lines_now_and_then(shown, monkeypatch):
    assert shown(False) == "trial 7: done\n"
    monkeypatch.setattr(search_progress, "_PLAIN_EVERY", 0.0)
    assert "trial-0000: filling\n" in shown(False)
