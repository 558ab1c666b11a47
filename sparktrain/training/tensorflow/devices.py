"""Manages the devices of one worker: its GPUs, or CPU devices in their place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from sparktrain.interfaces.engines import ENGINES

if TYPE_CHECKING:
    import keras  # not before `split_cpu`

_VIRTUAL = "SPARKTRAIN_VIRTUAL_CPUS"


def split_cpu() -> None:
    """Split the CPU into SPARKTRAIN_VIRTUAL_CPUS devices, to test without GPUs; call it before TensorFlow is used."""
    count = int(os.environ.get(_VIRTUAL, "1"))
    if count > 1 and not tf.config.list_physical_devices("GPU"):
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)


def devices() -> list[str]:
    """Return the names of the GPUs that this process may use, or of the CPU devices if there are none."""
    # Not tf.config.list_logical_devices: with TensorFlow's collectives it includes the other workers' devices
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    logical = (tf.config.get_logical_device_configuration(each) or [None] for each in tf.config.list_physical_devices(kind))
    return [f"{kind}:{number}" for number in range(sum(map(len, logical)))]


def tell_of_unseen_gpus() -> None:
    """Print a warning if TensorFlow doesn't see GPUs that this worker was given (CUDA_VISIBLE_DEVICES)."""
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


def device_scope(engine: str) -> AbstractContextManager[Any]:
    """See `Framework.device_scope`: a strategy's, mirrored over the devices if there are several, else the default one's."""
    found = devices()
    if ENGINES[engine].one_device or len(found) == 1:
        return tf.distribute.get_strategy().scope()  # the default one, which changes nothing
    return _mirrored(found).scope()


def _mirrored(found: list[str]) -> tf.distribute.Strategy:
    import keras

    # Callbacks read learning rates so, which TensorFlow's mirrored variables don't support
    keras.Variable.__float__ = lambda variable: float(variable.numpy())
    keras.Variable.__int__ = lambda variable: int(variable.numpy())
    if "TF_CONFIG" not in os.environ:
        return tf.distribute.MirroredStrategy(found)
    # In a TensorFlow cluster the default would be collectives, whose group numbers would clash between workers.
    together = tf.distribute.NcclAllReduce if found[0].startswith("GPU") else tf.distribute.ReductionToOneDevice
    return tf.distribute.MirroredStrategy(found, cross_device_ops=together())


def replicas() -> int:
    """Return how many copies of the model take part in a step of this process."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def copies(variable: keras.Variable) -> list[tf.Variable]:
    """Return each device's copy of a variable, which can be assigned to separately."""
    return list(tf.distribute.get_strategy().experimental_local_results(variable.value))


@contextmanager
def means_on_each() -> Iterator[None]:
    """Make losses plain means over the rows of their device, within a context.

    Under a strategy Keras divides losses by the number of devices, so that the sum of the devices' gradients is their mean,
    which custom training steps may not do. Here gradients are weighted by rows, which needs plain means.
    """
    from keras.src.losses import loss as module  # its callers look these up here

    saved = module.scale_loss_for_distribution, module.unscale_loss_for_distribution
    module.scale_loss_for_distribution = module.unscale_loss_for_distribution = lambda value: value
    try:
        yield
    finally:
        module.scale_loss_for_distribution, module.unscale_loss_for_distribution = saved


def _build_from_uneven_batches() -> None:
    """Let Keras build a model from one device's part of a batch: its own way fails if the parts differ in size."""
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
    """Train on all devices of this host; call it in a Keras script before the model is built.

    The rest of the script needs no change: TensorFlow splits each batch over the devices.

    Returns:
        The number of devices. With one, nothing changes.
    """
    split_cpu()
    found = devices()
    if len(found) > 1:
        tf.distribute.experimental_set_strategy(_mirrored(found))
        _build_from_uneven_batches()
    print(f"sparktrain: training on {len(found)} device(s): {', '.join(found)}", flush=True)
    return len(found)
