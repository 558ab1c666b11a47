"""A training process's working folder: the user's code unpacked, with his files beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from pyspark import SparkConf

from sparktrain.cluster.disks.work_folder import make_work_folder, submitted_files


class Context:
    """As much of a Spark context as is asked for its settings."""

    def __init__(self, **settings: str) -> None:
        self._conf = SparkConf(loadDefaults=False).setAll((name.replace("_", "."), value) for name, value in settings.items())

    def getConf(self) -> SparkConf:
        return self._conf


def test_submitted_files_have_the_names_that_spark_gives_them():
    assert submitted_files(Context()) == ()
    given = Context(
        spark_files="file:/home/me/vocab.json,hdfs:///data/words.txt", spark_yarn_dist_files="file:///tmp/a.json#b.json"
    )
    assert submitted_files(given) == ("vocab.json", "words.txt", "b.json")


@pytest.mark.real
def test_code_is_unpacked_and_submitted_files_lie_beside_it(spark, tmp_path):
    with zipfile.ZipFile(tmp_path / "code_of_a_test.zip", "w") as archive:
        archive.writestr("mine.py", "")
        archive.writestr("vocab.json", "packed")
    (tmp_path / "vocab.json").write_text("submitted")
    (tmp_path / "more.json").write_text("submitted")
    context = spark.sparkContext
    for name in ("code_of_a_test.zip", "vocab.json", "more.json"):
        context.addFile(str(tmp_path / name))

    def look(_):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            work = make_work_folder(Path(folder), "code_of_a_test.zip", ("vocab.json", "more.json", "nowhere.json"))
            return {path.name: path.read_text() for path in work.iterdir()}

    assert context.parallelize([0], 1).map(look).collect() == [{"mine.py": "", "vocab.json": "packed", "more.json": "submitted"}]
