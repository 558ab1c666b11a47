"""What a person sees of a run: the training's line, plain lines without a terminal, the table at the end."""

from __future__ import annotations

import time
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from sparktrain.display.console import RunDisplay
from sparktrain.display.figures import figure
from sparktrain.display.run_progress import training_line
from sparktrain.display.tables import add_classes, end_table, show_end
from sparktrain.interfaces.messages import EpochEnd, Filling, Joined, Log, Phase, Progress


def shown(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


@pytest.fixture
def console():
    return Console(file=StringIO(), force_terminal=False, width=60)


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test sets."""

    class Clock:
        now = 1000.0

    monkeypatch.setattr(time, "monotonic", lambda: Clock.now)
    return Clock


def test_the_line_has_the_rows_of_all_workers_and_the_place_and_time_left_of_the_slowest():
    told = {
        0: Progress(3, 5, 1, 40, 9_000, {"loss": 0.25}),
        1: Progress(2, 5, 20, 40, 6_000, {"loss": 0.5, "auc": 0.9}),
    }
    # 1.5 of 5 epochs in 30 s: 70 s are left
    assert training_line(told, 30.0) == "epoch 2/5 · step 20/40 · 500 rows/s · loss 0.5000 · 70 s left"


@pytest.mark.parametrize(
    "value, shown",
    [
        (0.25, "0.2500"),
        (12.0, "12.0000"),
        (0.0, "0.0000"),
        (3.14159e-6, "3.142e-06"),
        (0.0012345, "0.001234"),
        (-2e-5, "-2e-05"),
        (float("nan"), "nan"),
        (None, "nan"),
    ],
)
def test_a_small_figure_keeps_its_significant_digits(value, shown):
    assert figure(value) == shown


def test_the_line_says_only_what_is_known():
    assert training_line({0: Progress(1, 5, 0, 40, 0, {})}, 0.0) == "epoch 1/5 · step 0/40"
    assert training_line({0: Progress(1, 1, 0, 0, 0, {})}, 2.0) == "epoch 1/1 · step 0/0 · 0 rows/s"


def test_without_a_terminal_a_line_comes_at_each_step_and_then_every_ten_seconds(console, clock):
    display = RunDisplay(lambda: (0, 0), console)
    display.step("counting classes")
    display.message(0, Filling(10, 5_000_000))
    clock.now += 9
    display.message(0, Filling(20, 10_000_000))
    assert shown(console) == ["counting classes"]
    clock.now += 2
    display.message(1, Filling(7, 2_000_000))
    clock.now += 11
    display.message(1, Filling(7, 2_000_000))  # nothing new
    assert shown(console)[1:] == ["filling: 27 rows, 12 MB in segments"]
    for text in ("writing", "filling"):
        display.step(text)  # at once
    assert shown(console)[2:] == ["writing", "filling"]
    display.message(0, Phase("train"))
    clock.now += 20
    display.message(0, Progress(1, 2, 5, 10, 400, {"loss": 1.0}))
    assert shown(console)[-1] == "epoch 1/2 · step 5/10 · 20 rows/s · loss 1.0000 · 60 s left"


def test_between_filling_and_training_the_workers_phases_are_told(console, clock):
    display = RunDisplay(lambda: (0, 0), console)
    display.message(0, Filling(1_500, 5_000_000))
    clock.now += 11
    display.message(0, Phase("build"))
    watch_last = shown(console)[-1]
    clock.now += 11
    display.message(1, Phase("join"))
    assert (watch_last, shown(console)[-1]) == (
        "1,500 rows in segments; workers: build",
        "1,500 rows in segments; workers: build, join",
    )


def test_what_a_worker_prints_comes_with_its_rank_literally_and_unbroken(console):
    display = RunDisplay(lambda: (0, 0), console)
    long = "[bold]a list[0][/bold] " + "x" * 100
    display.message(1, Log("before ranks are known"))
    display.message(1, Joined(0, 10, 0, 100, 3, {}))
    display.message(0, Joined(1, 10, 0, 100, 3, {}))
    display.message(1, Log(long))
    display.message(0, Log("mine"))
    lines = shown(console)
    assert "[part 1] before ranks are known" in lines and f"[0] {long}" in lines and "[1] mine" in lines


def test_an_epoch_is_told_once_by_rank_0(console):
    display = RunDisplay(lambda: (0, 0), console)
    for part, rank in ((0, 1), (1, 0)):
        display.message(part, Joined(rank, 10, 0, 100, 3, {}))
    display.message(0, EpochEnd(1, 2.0, {"loss": 9.0}))
    display.message(1, EpochEnd(1, 2.0, {"loss": 0.5, "val_auc": 0.75}))
    told = [line for line in shown(console) if line.startswith("epoch")]
    assert told == ["epoch 1: loss 0.5000 val_auc 0.7500 · 2.0 s"]


def test_on_a_terminal_there_is_one_line_drawn_over_itself_and_what_stays_is_above_it():
    console = Console(file=StringIO(), force_terminal=True, width=60)
    with RunDisplay(lambda: (0, 0), console) as display:
        display.message(0, Log("[0]"))
        display.note("a note [of] the run")
        display.step("reading [file]")
    written = console.file.getvalue()
    places = [written.index(text) for text in ("[part 0] \x1b[0m[0]\n", "a note [of] the run\n", "reading [file]")]
    assert places == sorted(places)
    assert written.endswith("\x1b[2K")  # the line itself is wiped


def summary(**words):
    seconds = {"slots": 0.1, "prepare": 2.5, "fill": 3.25, "start workers": 4.0, "train": 50.0, "save": 0.5}
    return {
        "run": "20250101-abc",
        "rows": 1_234_567,
        "validation_rows": 8_910,
        "rows_per_second": 4_321.9,
        "workers": 2,
        "engine": "horovod",
        "seconds": seconds,
        "held_back_by": "training itself (80% of 60 s)",
        "metrics": {"val_[auc]": 0.98765},
        "notes": [],
        **words,
    }


def test_the_table_at_the_end_has_rows_speed_phases_what_held_it_back_notes_and_the_whole_path(console):
    path = "hdfs://namenode.example.org:8020/models/late-flights/[all]/" + "long/" * 30 + "20250101-abc"
    note = "class [3] has 40 rows, [bold]fewer[/bold] than the 5000 asked for"
    console.print(end_table(summary(notes=[note]), path))
    lines = shown(console)
    assert max(map(len, lines)) <= 60
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    rows: dict[str, str] = {}
    last = ""
    for name, value in cells:
        last = name or last
        rows[last] = rows.get(last, "") + value + ("" if last == "path" else " ")
    assert rows["rows"] == "1,234,567 training, 8,910 validation "
    assert rows["training"].split() == ["4,322", "rows/s", "by", "2", "workers,", "horovod"]
    for phase, seconds in summary()["seconds"].items():
        assert rows[phase] == f"{seconds:.1f} s "
    assert rows["held back by"].strip() == "training itself (80% of 60 s)"
    assert rows["val_[auc]"] == "0.9877 " and rows["note"].split() == note.split()
    assert rows["path"] == path
    assert "20250101-abc" in lines[0]


@pytest.mark.parametrize(
    "classes, told",
    [
        ({"no": 1000, "[yes]": 5}, ["class no 1,000 training rows", "class [yes] 5 training rows"]),
        ({delay: 1 + delay for delay in range(500)}, ["label 500 values, each in 1 to 500 training rows"]),
    ],
)
def test_classes_are_listed_and_the_values_of_a_measure_are_counted(console, classes, told):
    table = Table(show_header=False, box=None)
    add_classes(table, classes)
    console.print(table)
    assert [" ".join(line.split()) for line in shown(console)] == told


def test_where_the_model_is_can_be_copied_from_a_narrow_terminal(console):
    path = "hdfs://namenode.example.org:8020/models/late-flights/[all]/" + "long/" * 30 + "20250101-abc"
    show_end(console, summary(), path)
    assert shown(console)[-1] == f"The model is at {path}/model.keras"
