"""Makes the callbacks of a fit: the user's, on the workers where they run, and those that the job's keys ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from sparktrain.interfaces.training_spec import Fit
from sparktrain.models.errors import TrainingError
from sparktrain.training.sources import load

_WRITERS = (
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.TensorBoard,
    keras.callbacks.CSVLogger,
    keras.callbacks.RemoteMonitor,
)


def user_callbacks(fit: Fit, hadoop: Mapping[str, str], rank: int, size: int) -> list[keras.callbacks.Callback]:
    """Load the user's callbacks, and return those that run on this worker.

    Raises:
        TrainingError: the user's function doesn't return callbacks, or one can't work with several workers.
    """
    if fit.callbacks is None:
        return []
    return callbacks_of_rank(load(fit.callbacks, hadoop, "training.callbacks"), rank, size, "training.callbacks")


def callbacks_of_rank(came: Any, rank: int, size: int, what: str) -> list[keras.callbacks.Callback]:
    """Return the callbacks that run on a worker.

    All run on every worker, where they see the same logs, except for those that write files or send data to servers, which
    run on rank 0: Keras's own (ModelCheckpoint, TensorBoard, CSVLogger, RemoteMonitor), and any callback with an
    attribute `only_rank_0 = True`.

    Args:
        came: a callback, a list of them, or None.
        rank, size: the worker's rank, and the number of workers.
        what: the key or argument that names them, for messages.

    Raises:
        TrainingError: these are no callbacks, or one can't work with several workers.
    """
    callbacks = [] if came is None else [came] if isinstance(came, keras.callbacks.Callback) else came
    callbacks = getattr(callbacks, "callbacks", callbacks)  # of Keras's own list
    if not isinstance(callbacks, (list, tuple)) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise TrainingError(f"{what}: a list of keras.callbacks.Callback was expected, and {came!r} came")
    for callback in callbacks:
        if size > 1 and isinstance(callback, keras.callbacks.BackupAndRestore):
            raise TrainingError(
                f"{what}: BackupAndRestore would start rank 0 in another epoch than the other workers: leave it out"
            )
    return [callback for callback in callbacks if rank == 0 or not _only_rank_0(callback)]


def _only_rank_0(callback: keras.callbacks.Callback) -> bool:
    return bool(getattr(callback, "only_rank_0", isinstance(callback, _WRITERS)))


def job_callbacks(fit: Fit) -> tuple[list[keras.callbacks.Callback], keras.callbacks.EarlyStopping | None]:
    """Return the callbacks for `early_stopping` and `save: best`.

    Returns:
        The callbacks, and the one whose best epoch's weights the model ends with; None if there is none.
    """
    callbacks: list[keras.callbacks.Callback] = []
    early: dict[str, Any] = dict(fit.early_stopping or {})
    if early:
        callbacks.append(keras.callbacks.EarlyStopping(**early))
    best = callbacks[0] if early.get("restore_best_weights") else None
    if fit.save == "best":
        kept = {name: early[name] for name in ("monitor", "mode") if name in early}
        # With endless patience, as it is used only to keep the best weights.
        best = keras.callbacks.EarlyStopping(**kept, patience=fit.epochs + 1, restore_best_weights=True)
        callbacks.append(best)
    return callbacks, best


class MonitorNamed(keras.callbacks.Callback):
    """A callback that refuses, at the first epoch's end, a monitor that isn't the name of a metric."""

    def __init__(self, monitors: list[str]) -> None:
        super().__init__()
        self._monitors = monitors

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        known = logs or {}
        for monitor in self._monitors:
            if monitor not in known:
                raise TrainingError(
                    f"training.early_stopping monitors {monitor!r}, and the metrics are {', '.join(known)}: "
                    "name one of them, or give the model's metric that name"
                )
