"""A notebook: builders of a cell, what is shown while it trains, an interrupt, and training on after it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(240)]
ROOT = Path(__file__).resolve().parents[2]

START = """
from pyspark.sql import SparkSession
spark = (SparkSession.builder.master("local-cluster[2,1,1024]").config("spark.ui.enabled", "false")
         .config("spark.executorEnv.PYTHONPATH", %r).getOrCreate())
frame = spark.createDataFrame([([float(n %% 7), 1.0], n %% 2) for n in range(400)], "x array<float>, y int")
"""
BUILD = """
import keras, sparktrain

UNITS = 3

@keras.saving.register_keras_serializable("notebook")
class Twice(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def far(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(keras.ops.cast(y_true, "float32") - y_pred), axis=-1)

def build_model():
    model = keras.Sequential([keras.Input((2,), name="x"), keras.layers.Dense(UNITS), Twice(), keras.layers.Dense(1)])
    model.compile("sgd", far)
    return model

def slowly():
    import time
    class Slow(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            time.sleep(0.05)
    return [Slow()]
"""
TRAIN = """
result = sparktrain.train(frame, {model}, features=["x"], label="y", workers=2, batch_size=50, epochs={epochs},
                          callbacks={callbacks})
print(result.status, result.model.layers[0].units, len(result.history["loss"]), type(result.model.layers[1]) is Twice,
      result.summary["custom_objects"])
"""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    from jupyter_client.manager import start_new_kernel

    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    manager, client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(tmp_path_factory.mktemp("notebook")))
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def run(kernel):
    """Run a cell; what it printed, what its live line showed in turn, and its error's name."""
    manager, client = kernel

    def cell(code: str, when=None, timeout: float = 90):
        printed, shown, error = [], [], None

        def take(message):
            nonlocal error
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(content["data"]["text/plain"])
                if when is not None and when(content["data"]["text/plain"]):
                    manager.interrupt_kernel()
            elif message["msg_type"] == "error":
                error = content["ename"]

        client.execute_interactive(code, timeout=timeout, output_hook=take)
        return "".join(printed), shown, error

    return cell


@pytest.fixture
def workers(kernel, is_training):
    """Lists the training processes of this kernel's own Spark."""

    def processes() -> list[psutil.Process]:
        found = []
        for process in psutil.Process(kernel[0].provisioner.process.pid).children(recursive=True):
            try:
                if is_training(process):
                    found.append(process)
            except psutil.NoSuchProcess:
                continue  # ended meanwhile
        return found

    return processes


def test_a_notebook_trains_what_its_cells_define_shows_it_live_and_can_be_interrupted(run, workers):
    _, _, error = run(START % str(ROOT))
    assert error is None
    run(BUILD)
    asked = []

    def training(line: str) -> bool:
        if line.startswith("epoch ") and not asked:
            asked.append(time.monotonic())
            return True
        return False

    _, shown, error = run(TRAIN.format(model="build_model", epochs=200, callbacks="slowly"), when=training)
    assert error == "KeyboardInterrupt" and asked and time.monotonic() - asked[0] < 15
    assert not workers()
    # The next cell trains as if nothing had been
    printed, shown, error = run(TRAIN.format(model="build_model", epochs=2, callbacks=None))
    own = "True {'notebook>Twice': '__main__', 'far': '__main__'}"
    assert error is None and f"finished 3 2 {own}" in printed, printed
    # A compiled model, too, has its cells' classes with it
    printed, _, error = run(TRAIN.format(model="result.model", epochs=1, callbacks=None))
    assert error is None and f"finished 3 1 {own}" in printed, printed
    assert any(line.startswith("epoch ") for line in shown), shown
