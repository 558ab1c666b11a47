"""TensorFlow, as training uses it: the functions of `sparktrain.training.framework.Framework`."""

from sparktrain.training.tensorflow.averaging import Averaging, create_state
from sparktrain.training.tensorflow.batches import batch_spec, dataset, for_devices
from sparktrain.training.tensorflow.devices import copies, device_scope, replicas, split_cpu, tell_of_unseen_gpus
from sparktrain.training.tensorflow.events import EventWriter
from sparktrain.training.tensorflow.given_data import in_model_s_structure, look_at, rows_in, spec_of, symbolic_inputs
from sparktrain.training.tensorflow.means import average
from sparktrain.training.tensorflow.row_counts import RowCounts
from sparktrain.training.tensorflow.values import fingerprint, test_step, zeros
from sparktrain.training.tensorflow.weight_average import weight_average

__all__ = [
    "Averaging",
    "EventWriter",
    "RowCounts",
    "average",
    "batch_spec",
    "copies",
    "create_state",
    "dataset",
    "device_scope",
    "fingerprint",
    "for_devices",
    "in_model_s_structure",
    "look_at",
    "replicas",
    "rows_in",
    "spec_of",
    "split_cpu",
    "symbolic_inputs",
    "tell_of_unseen_gpus",
    "test_step",
    "weight_average",
    "zeros",
]
