"""What a comparison trains, and what its table says of it."""

from __future__ import annotations

import csv
import io

from sparktrain.search.comparison import Failure, Outcome, Variant, markdown, metric_of, picture, table_csv, variants

ALONE = Outcome(Variant("single", 1), 10.0, 200.0, 1000, [5.0, 5.0], {"loss": [0.6, 0.5], "auc": [0.7, 0.75]})
TWO = Outcome(Variant("horovod", 2), 5.0, 400.0, 1000, [2.5, 2.5], {"loss": [0.65, 0.55], "auc": [0.68, 0.74]})
WHOLE = Outcome(Variant("horovod", 2, "epochs", "epoch"), 5.0, 400.0, 2000, [5.0], {"loss": [0.6], "auc": [0.71]})


def test_one_worker_is_trained_once_and_more_in_every_way():
    found = variants(["horovod", "mirrored"], [1, 2, 4], ["rows", "epochs"], ["step", 10])
    assert found[:2] == [Variant("single", 1), Variant("mirrored", 1)]
    assert len(found) == 2 + 2 * 2 * 2 and len(set(found)) == len(found)
    assert Variant("horovod", 4, "epochs", 10) in found


def test_the_table_holds_every_way_against_one_worker_by_time_and_by_rows():
    head, _, alone, two, whole = markdown([ALONE, TWO, WHOLE], "auc").splitlines()
    assert "auc after 5 s" in head and "auc after 1,000 rows" in head
    assert alone == "| single | 1 | - | - | 2 | 10.0 | 1.00 | 200 | 0.5000 | 0.7500 | 0.7000 | 0.7000 |"
    assert two == "| horovod | 2 | rows | step | 2 | 5.0 | 2.00 | 400 | 0.5500 | 0.7400 | 0.7400 | 0.6800 |"
    assert whole.endswith("| 0.7100 | 0.7100 | - |")  # its first epoch has 2,000 rows


def test_every_epoch_is_a_line_of_the_csv_and_the_picture_is_one():
    lines = list(csv.DictReader(io.StringIO(table_csv([ALONE, WHOLE]))))
    assert [(line["engine"], line["epoch"], line["seconds"], line["rows"], line["loss"]) for line in lines] == [
        ("single", "1", "5.000", "1000", "0.6"),
        ("single", "2", "10.000", "2000", "0.5"),
        ("horovod", "1", "5.000", "2000", "0.6"),
    ]
    assert picture([ALONE, TWO], "auc", "two ways").startswith(b"\x89PNG")


def test_a_model_without_the_metric_that_is_asked_for_is_compared_by_another():
    plain = Outcome(Variant("single", 1), 10.0, 200.0, 1000, [5.0], {"loss": [0.6], "val_loss": [0.7]})
    other = Outcome(
        Variant("single", 1), 10.0, 200.0, 1000, [5.0], {"loss": [0.6], "val_loss": [0.7], "mae": [1.0], "val_mae": [2.0]}
    )
    assert (metric_of(ALONE, "auc"), metric_of(other, "auc"), metric_of(plain, "auc")) == ("auc", "mae", "loss")
    assert "| 0.6000 | 0.7000 |" in markdown([plain], "loss") and picture([plain], "loss", "one").startswith(b"\x89PNG")


def test_a_way_that_fails_is_told_with_its_reason_and_takes_nothing_from_the_others():
    failure = Failure(Variant("horovod", 2), "rank 1: OutOfMemory", "Traceback")
    table, told = markdown([ALONE], "auc", [failure]).split("\n\n")
    assert table == markdown([ALONE], "auc").rstrip("\n")
    assert told == "- horovod, 2 workers, split rows, average step: failed. rank 1: OutOfMemory\n"
    assert "OutOfMemory" in markdown([], "auc", [failure])
