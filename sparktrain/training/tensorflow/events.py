"""Writes event files for TensorBoard, which need not be installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from sparktrain.training.metrics.log_numbers import number


class EventWriter(keras.callbacks.Callback):
    """A callback that writes each epoch's metrics to `train/` and `validation/`, under the tags of Keras's own callback.

    Args:
        folder: the folder for both, which is created if it doesn't exist.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def state_dict(self) -> dict[str, int]:
        """Return `epoch`, how many epochs are written: as many as the model's history has."""
        return {"epoch": len(self.model.history.epoch)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Write the metrics of an earlier attempt's epochs, whose files are lost, from the model's history."""
        for name, values in self.model.history.history.items():
            for epoch, value in enumerate(values[: state["epoch"]]):
                self._write(*_place(name), value, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        for name, value in (logs or {}).items():
            self._write(*_place(name), value, epoch)
        self._write("train", "epoch_learning_rate", number(self.model.optimizer.learning_rate), epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, side: str, tag: str, value: float, step: int) -> None:
        if side not in self._writers:
            self._writers[side] = tf.summary.create_file_writer(str(self._folder / side))
        data = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        with self._writers[side].as_default():
            tf.summary.write(tag, value, step=step, metadata=tf.compat.v1.SummaryMetadata(plugin_data=data))


def _place(name: str) -> tuple[str, str]:
    """Return the folder and the tag of a metric."""
    return ("validation", f"epoch_{name[4:]}") if name.startswith("val_") else ("train", f"epoch_{name}")
