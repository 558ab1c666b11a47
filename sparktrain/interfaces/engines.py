"""What an engine is, said once: the configuration, the checks of a cluster and the workers go by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Engine:
    """What brings a run's workers together and averages their gradients.

    Its code is the folder of its name in `sparktrain.engines`: `launch`, Spark's side, and `collective`, the worker's.

    Attributes:
        name: as `training.engine` says it.
        one_worker: whether a run has exactly one worker.
        one_device: whether a worker trains on one device, however many it has.
        packages: distributions that it needs on the executors beside those that any training needs.
        backends: those of Keras that it trains with.
    """

    name: str
    one_worker: bool = False
    one_device: bool = False
    packages: tuple[str, ...] = ()
    backends: tuple[str, ...] = ("tensorflow",)


# The order is that in which one is chosen for a user who names none
ENGINES = {
    engine.name: engine
    for engine in (
        Engine("horovod", packages=("horovod",)),
        Engine("tensorflowonspark", packages=("tensorflowonspark",)),
        Engine("mirrored", one_worker=True),
        Engine("single", one_worker=True, one_device=True),
    )
}
TRAINING_PACKAGES = ("sparktrain", "tensorflow", "keras", "numpy", "pyarrow")  # distributions that any engine needs


def packages_of(engine: str) -> tuple[str, ...]:
    """Return the distributions that training by an engine needs on the executors."""
    return TRAINING_PACKAGES + ENGINES[engine].packages
