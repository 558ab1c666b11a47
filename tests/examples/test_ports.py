"""The scripts in examples/: what a port changes, and that it trains."""

from __future__ import annotations

import difflib
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pandas
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
INPUTS = ["month", "hour", "distance"]


@pytest.mark.parametrize("name", ["keras", "tensorflow"])
def test_a_port_changes_at_most_eight_lines(name):
    legacy, ported = ((EXAMPLES / f"{name}_{kind}.py").read_text().splitlines() for kind in ("legacy", "ported"))
    changes = [line[0] for line in difflib.ndiff(legacy, ported)]
    assert changes.count("+") <= 8 and changes.count("-") <= 8


@pytest.fixture(scope="module")
def flights(tmp_path_factory):
    """4,000 flights of which those in the evening are mostly late, as Parquet."""
    random = numpy.random.default_rng(7)
    hour = random.integers(5, 24, 4000)
    rows = pandas.DataFrame(
        {
            "month": random.integers(1, 13, 4000),
            "hour": hour,
            "distance": random.integers(100, 5000, 4000),
            "late": (hour + random.normal(0, 2, 4000) > 17).astype("int32"),
        }
    )
    path = tmp_path_factory.mktemp("flights") / "flights.parquet"
    rows.to_parquet(path)
    return rows, path


@pytest.mark.real
@pytest.mark.slow
def test_one_line_scales_a_legacy_script_up_over_the_devices_of_its_host(flights, tmp_path):
    import keras

    legacy = (EXAMPLES / "keras_legacy.py").read_text()
    scaled = legacy.replace("import pandas\n", "import pandas\nimport sparktrain; sparktrain.scale_up()\n")
    (tmp_path / "scaled.py").write_text(scaled)
    environment = {**os.environ, "SPARKTRAIN_VIRTUAL_CPUS": "2", "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        [sys.executable, "scaled.py", flights[1]],
        check=True,
        cwd=tmp_path,
        timeout=240,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "training on 2 device(s): CPU:0, CPU:1" in done.stdout
    assert float(done.stdout.strip().rpartition("AUC ")[2]) > 0.9
    keras.models.load_model(tmp_path / "late.keras")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["keras", "tensorflow"])
def test_a_port_learns_what_the_legacy_script_learns(name, flights, spark, tmp_path):
    import keras

    import sparktrain

    rows, path = flights
    subprocess.run([sys.executable, EXAMPLES / f"{name}_legacy.py", path], check=True, cwd=tmp_path, timeout=240)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        main = importlib.import_module(f"{name}_ported").main
        frame = spark.read.parquet(f"file://{path}")
        first, second = sparktrain.run(main, workers=2, data=frame, features={"x": INPUTS}, label="late")
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        if name == "tensorflow":  # BatchNormalization's statistics are each worker's own
            numpy.testing.assert_array_equal(one, other)
    scores = []
    for model in (keras.models.load_model(tmp_path / "late.keras"), first):
        auc = keras.metrics.AUC(from_logits=name == "tensorflow")
        auc.update_state(rows["late"], model.predict(rows[INPUTS].to_numpy("float32"), verbose=0)[:, 0])
        scores.append(float(auc.result()))
    assert min(scores) > 0.9 and abs(scores[0] - scores[1]) < 0.03, scores
