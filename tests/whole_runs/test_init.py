"""What `sparktrain init` writes, as it is: it passes the rehearsal, trains, and its model loads."""

from __future__ import annotations

import sys

import numpy
import pyarrow
import pyarrow.parquet
import pytest
from pyspark.ml.functions import array_to_vector
from pyspark.sql import functions as F

from sparktrain.cli.command import main
from sparktrain.driver import run_job
from sparktrain.init.choices import choose
from sparktrain.init.data_sample import read_sample
from sparktrain.launcher.job_arguments import arguments, load_job

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.usefixtures("no_children")]
ROWS = 240


def test_a_written_job_passes_its_rehearsal_and_trains_on_every_kind_of_column(spark, hdfs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    random = numpy.random.default_rng(7)
    words = ["good", "late", "the", "plane"]
    late = random.integers(0, 2, ROWS)
    pyarrow.parquet.write_table(
        pyarrow.table(
            {
                "distance": [None if n % 9 == 0 else float("nan") if n % 9 == 1 else 1000.0 + 300 * late[n] for n in range(ROWS)],
                "carrier": [[None, "AA", "UA", ""][n % 4] for n in range(ROWS)],
                "tail": [f"N{n % 200}" if n % 2 else None for n in range(ROWS)],
                "the text": [" ".join(random.choice(words, 6)) for _ in range(ROWS)],
                "tags": [None if n % 7 == 0 else ["a"] * (n % 4) + [None] for n in range(ROWS)],
                "clicks": [list(range(n % 4)) for n in range(ROWS)],
                "past": [None if n % 7 == 0 else [float(n)] * (n % 5) for n in range(ROWS)],
                "steps": [[[1.0, 2.0]] * (n % 3) for n in range(ROWS)],
                "x": pyarrow.array(
                    [None if n % 7 == 0 else [1.0, float(n)] for n in range(ROWS)], pyarrow.list_(pyarrow.float32())
                ),
                "answer": [[None, "yes", "no"][0 if n % 20 == 0 else 1 + late[n]] for n in range(ROWS)],
            }
        ),
        tmp_path / "rows.parquet",
    )
    rows = spark.read.parquet(f"file://{tmp_path}/rows.parquet")
    rows.withColumn("v", array_to_vector(F.coalesce("x", F.array(F.lit(0.0), F.lit(0.0))))).write.parquet("hdfs:///data/for-init")
    assert main(["init", "hdfs:///data/for-init", "--label", "answer", "--engine", "single", "--to", "mine_init"]) == 0
    assert "--config mine_init.yaml --check" in capsys.readouterr().out
    job, folders = load_job(
        arguments().parse_args(["--config", "mine_init.yaml", "--set", "training.epochs=1", "--set", "model.args.units=8"])
    )
    try:
        assert run_job(spark, job, check=True, folders=folders).status == "checked"
        result = run_job(spark, job, folders=folders)
    finally:
        sys.modules.pop("mine_init", None)
        sys.path[:] = [place for place in sys.path if place != str(tmp_path)]
    # What pyarrow can't find or read by itself Spark does
    (tmp_path / "rows.json").write_text('[\n {"a": 1.5,\n  "late": 0}, {"a": 2.5, "late": 1}\n]\n')
    for path, label, columns in (("hdfs:///data/for-init/*.parquet", "answer", 11), (str(tmp_path / "rows.json"), "late", 2)):
        seen = read_sample(path, label)
        assert seen.rows.num_columns == columns and choose(seen.rows, label).target.task == "binary"
    assert seen.options == {"multiLine": True} and spark.range(1).count() == 1
    assert result.status == "finished" and result.epochs == 1 and set(result.metrics) >= {"auc", "val_auc"}
    assert result.output.startswith(f"{hdfs.uri}/user/") and result.rows + result.summary["validation_rows"] == ROWS - ROWS // 20
    assert [each.name for each in result.model.inputs] == [
        "numbers",
        "carrier",
        "tail",
        "the_text",
        "tags",
        "clicks",
        "past",
        "steps",
        "x",
        "v",
    ]
