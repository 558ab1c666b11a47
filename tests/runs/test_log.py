"""A run's log: bounded, and followed line by line by who reads it again and again."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sparktrain.runs.log import RunLog, lines_since

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


def plain(lines: list[str]) -> list[str]:
    return [TIME.sub("", line, count=1) for line in lines]


def test_lines_have_their_time_in_utc_and_a_text_of_several_is_several():
    log = RunLog()
    log.add("one")
    log.add("Traceback:\n  two")
    lines = log.text().splitlines()
    assert plain(lines) == ["one", "Traceback:", "  two"] and all(TIME.match(line) for line in lines)
    assert log.added == 3


def test_the_newest_are_kept_and_what_is_left_out_is_counted():
    log = RunLog(limit=1000)
    for number in range(500):
        log.add(f"line {number}")
    kept = log.text().splitlines()
    assert len("\n".join(kept[1:])) <= 1000 and kept[-1].endswith("line 499")
    assert kept[0] == f"[the first {500 - len(kept[1:])} lines are left out]" and log.added == 500


def test_a_line_without_end_and_one_that_utf_8_has_not_are_kept_as_far_as_it_goes():
    log = RunLog(limit=1000)
    log.add("x" * 50_000)
    log.add("y" * 50_000 + "\nname \udcff")
    assert len(log.text()) < 1000 + 100
    assert log.text().encode().endswith(b"name ?\n")
    log = RunLog()
    log.add("z" * 12_345)
    assert log.text().endswith("z… and 2,345 characters more\n")


@given(st.lists(st.integers(0, 30), max_size=20), st.integers(60, 400))
def test_who_reads_again_and_again_gets_each_line_once_or_is_told_how_many_he_missed(bursts, limit):
    log, seen, number, told = RunLog(limit), 0, 0, 0
    for burst in bursts:
        for _ in range(burst):
            log.add(str(number))
            number += 1
        lines, seen = lines_since(log.text(), seen)
        for line in plain(lines):
            missed = re.fullmatch(r"\[(\d+) lines are left out\]", line)
            if missed:
                told += int(missed[1])
            else:
                assert line == str(told)
                told += 1
        assert told == seen == number


def test_a_log_that_another_run_began_anew_gives_nothing_until_it_goes_on():
    log = RunLog()
    log.add("one")
    assert lines_since(log.text(), 40) == ([], 1)
    assert lines_since("", 3) == ([], 0)
