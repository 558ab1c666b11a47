"""Defines the engines, once for the configuration, the checks of a cluster and the workers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """An engine, which connects a run's workers and averages their gradients.

    Its code is in the folder of its name in `sparktrain.engines`: `launch` for Spark's side, `collective` for the worker's.

    Attributes:
        name: the value of `training.engine`.
        one_worker: whether a run has exactly one worker.
        alone: whether a run has the application to itself, as the engine keeps something on each executor. Other runs of the
            application wait until it has ended.
        one_device: whether a worker trains on one device, even if it has more.
        packages: distributions that it needs on the executors beside those that any training needs. The executors are asked
            for them by import, and for their versions by distribution, so both must have the same name.
        backends: the backends of Keras that it can train with.
    """

    name: str
    one_worker: bool = False
    alone: bool = False
    one_device: bool = False
    packages: tuple[str, ...] = ()
    backends: tuple[str, ...] = ("tensorflow",)


# `sparktrain init` takes the first whose packages are installed
ENGINES = {
    engine.name: engine
    for engine in (
        Engine("horovod", packages=("horovod",)),
        Engine("tensorflowonspark", alone=True, packages=("tensorflowonspark",)),
        Engine("mirrored", one_worker=True),
        Engine("single", one_worker=True, one_device=True),
    )
}
TRAINING_PACKAGES = ("sparktrain", "tensorflow", "keras", "numpy", "pyarrow")  # distributions that any engine needs


def packages_of(engine: str) -> tuple[str, ...]:
    """Return the distributions that training with an engine needs on the executors."""
    return TRAINING_PACKAGES + ENGINES[engine].packages
