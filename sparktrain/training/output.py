"""The run's folder on the storage, as a training process sees it."""

from __future__ import annotations

from sparktrain.interfaces.messages import Order
from sparktrain.storage import Folder, open_folder


def open_output(order: Order, asked: bool = True) -> Folder:
    """Open the folder that an order's results go to.

    Args:
        order: whose output it is.
        asked: whether the storage has to answer now: then one that can't be reached ends the run before the training and
            not after it, and one that has answered is waited for when it is away later.

    Raises:
        StorageError: the storage can't be reached, or refuses.
    """
    output = open_folder(order.output, order.hadoop)
    if asked:
        output.exists()
    return output
