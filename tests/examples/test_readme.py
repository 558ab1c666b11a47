"""What the README and docs/coming-from.md show is what runs."""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest

from sparktrain.storage import open_folder

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = ROOT / "examples"


def block(text: str, language: str, holds: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    [found] = [each for each in blocks if holds in each]
    return found


def test_the_port_that_is_shown_as_a_diff_is_the_example_s():
    shown = block((ROOT / "docs" / "coming-from.md").read_text(), "diff", "worker").splitlines()
    legacy, ported = ((EXAMPLES / f"keras_{kind}.py").read_text().splitlines() for kind in ("legacy", "ported"))
    changes = [line[0] + line[2:] for line in difflib.ndiff(legacy, ported) if line[0] in "+-"]
    assert sorted(line for line in shown if line[:1] in ("+", "-")) == sorted(changes)


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_readme_s_program_trains_and_its_scoring_scores(spark, hdfs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = numpy.random.default_rng(7)
    hour = random.integers(5, 24, 2000)
    delay = pyarrow.array(numpy.where(hour + random.normal(0, 2, 2000) > 17, 60.0, 0.0), mask=random.random(2000) < 0.05)
    columns = {"month": random.integers(1, 13, 2000), "day": random.integers(1, 29, 2000), "hour": hour}
    columns |= {"distance": random.integers(100, 3000, 2000), "dep_delay": delay}
    pyarrow.parquet.write_table(pyarrow.table(columns), "rows.parquet")
    open_folder("hdfs:///data/of-the-readme").upload("rows.parquet", "part-0.parquet")
    (tmp_path / "mine.py").write_text(block(README, "python", "def build_model"))
    monkeypatch.syspath_prepend(tmp_path)
    namespace = {"__name__": "__main__"}
    try:
        for holds in ("sparktrain.train", "sparktrain.score"):
            program = block(README, "python", holds).replace("hdfs:///data/flights", "hdfs:///data/of-the-readme")
            if holds == "sparktrain.score":
                program = program.replace("hdfs:///models/mine/latest", namespace["result"].output)
            exec(compile(program, holds, "exec"), namespace)
    finally:
        sys.modules.pop("mine", None)
    assert namespace["result"].epochs == 5 and namespace["result"].workers == 2
    scored = spark.read.parquet("hdfs:///scores/flights").toPandas()
    assert len(scored) == 2000 - delay.null_count
    rows = scored[["month", "day", "hour", "distance"]].to_numpy("float32")
    expected = namespace["result"].model.predict(rows, verbose=0)
    numpy.testing.assert_allclose(scored["probability"], expected[:, 0], atol=1e-5)
