"""What a comparison trains, and what its table says of it."""

from __future__ import annotations

import csv
import io

from sparktrain.driver.comparison import Outcome, Variant, markdown, picture, table_csv, variants

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
    assert whole.endswith("| 0.7100 | 0.7100 | - |")   # its first epoch has 2,000 rows


def test_every_epoch_is_a_line_of_the_csv_and_the_picture_is_one():
    lines = list(csv.DictReader(io.StringIO(table_csv([ALONE, WHOLE]))))
    assert [(line["engine"], line["epoch"], line["seconds"], line["rows"], line["loss"]) for line in lines] == [
        ("single", "1", "5.000", "1000", "0.6"), ("single", "2", "10.000", "2000", "0.5"),
        ("horovod", "1", "5.000", "2000", "0.6")]
    assert picture([ALONE, TWO], "auc", "two ways").startswith(b"\x89PNG")
