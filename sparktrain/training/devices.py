"""The devices of one worker: its GPUs, or what stands in for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from sparktrain.interfaces.engines import ENGINES

if TYPE_CHECKING:
    import keras  # not before `split_cpu`

_VIRTUAL = "SPARKTRAIN_VIRTUAL_CPUS"


def split_cpu() -> None:
    """Make SPARKTRAIN_VIRTUAL_CPUS devices of the CPU, to try several without GPUs. Before TensorFlow is used."""
    count = int(os.environ.get(_VIRTUAL, "1"))
    if count > 1 and not tf.config.list_physical_devices("GPU"):
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def devices() -> list[str]:
    """The names of the GPUs that this process may use, or of the CPU's devices where it has none."""
    # Not tf.config.list_logical_devices: with TensorFlow's collectives that has the other workers' too
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    logical = (tf.config.get_logical_device_configuration(each) or [None] for each in tf.config.list_physical_devices(kind))
    return [f"{kind}:{number}" for number in range(sum(map(len, logical)))]


def tell_of_unseen_gpus() -> None:
    """Say so where this worker was given GPUs (CUDA_VISIBLE_DEVICES) that TensorFlow doesn't see: it would only be slow."""
    given = [address for address in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if address]
    seen = len(tf.config.list_physical_devices("GPU"))
    if seen < len(given):
        why = (
            "its driver or its CUDA libraries are not found here" if tf.test.is_built_with_cuda() else "it was built without CUDA"
        )
        print(
            f"this worker was given GPU {', '.join(given)}, and TensorFlow sees {seen or 'none'} of them, as {why}: "
            f"it trains on {'those' if seen else 'the CPU'} (docs/clusters.md; sparktrain doctor tells more)",
            flush=True,
        )


def over_devices(engine: str) -> tf.distribute.Strategy:
    """How a worker of an engine trains on its devices: mirrored over them where there are several."""
    found = devices()
    if ENGINES[engine].one_device or len(found) == 1:
        return tf.distribute.get_strategy()  # the default one, which changes nothing
    return _mirrored(found)


def _mirrored(found: list[str]) -> tf.distribute.Strategy:
    import keras

    # As callbacks read learning rates; TensorFlow's variables of several devices can't
    keras.Variable.__float__ = lambda variable: float(variable.numpy())
    keras.Variable.__int__ = lambda variable: int(variable.numpy())
    if "TF_CONFIG" not in os.environ:
        return tf.distribute.MirroredStrategy(found)
    # In a cluster of TensorFlow's the default would be collectives, whose groups all workers number alike and so mix up.
    together = tf.distribute.NcclAllReduce if found[0].startswith("GPU") else tf.distribute.ReductionToOneDevice
    return tf.distribute.MirroredStrategy(found, cross_device_ops=together())


def replicas() -> int:
    """How many copies of the model take part in a step of this process."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def copies(variable: keras.Variable) -> list[tf.Variable]:
    """A variable as each device has it; what is assigned to one stays there."""
    return list(tf.distribute.get_strategy().experimental_local_results(variable.value))


@contextmanager
def means_on_each() -> Iterator[None]:
    """Let a loss be the mean over the rows of its own device.

    Under a strategy Keras divides it by the number of devices, so that the sum of the devices' gradients is their mean;
    a training step of the user's own may not. Here gradients are weighted by rows, which asks for plain means.
    """
    from keras.src.losses import loss as module  # its callers look these up here

    saved = module.scale_loss_for_distribution, module.unscale_loss_for_distribution
    module.scale_loss_for_distribution = module.unscale_loss_for_distribution = lambda value: value
    try:
        yield
    finally:
        module.scale_loss_for_distribution, module.unscale_loss_for_distribution = saved


def _build_from_uneven_batches() -> None:
    """Keras builds a model from the mean of the devices' parts of a batch, which fails where one has a row more."""
    import keras

    own = keras.Model._maybe_symbolic_build

    def build(self: keras.Model, iterator: Any = None, data_batch: Any = None) -> None:
        for _, _, batches in iterator or ():
            parts = tf.distribute.get_strategy().experimental_local_results
            data_batch = keras.tree.map_structure(lambda value: parts(value)[0], next(batches))
            break
        own(self, data_batch=data_batch)

    keras.Model._maybe_symbolic_build = build


def scale_up() -> int:
    """Train over all devices of this host: in a Keras script of one's own, before the model is built.

    What the script does after it stays as it is; a batch is split over the devices, as TensorFlow does it.

    Returns:
        How many devices there are. With one, nothing changes.
    """
    split_cpu()
    found = devices()
    if len(found) > 1:
        tf.distribute.experimental_set_strategy(_mirrored(found))
        _build_from_uneven_batches()
    print(f"sparktrain: training on {len(found)} device(s): {', '.join(found)}", flush=True)
    return len(found)
