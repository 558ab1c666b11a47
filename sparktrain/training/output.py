"""Opens and checks the run's folder on the storage in a training process."""

from __future__ import annotations

import socket

from sparktrain.feed import BadInput
from sparktrain.interfaces.messages import Order
from sparktrain.interfaces.training_spec import Output
from sparktrain.storage import Folder, claims, open_folder


class NotShared(BadInput):
    """Raised where a worker doesn't see the folder that the driver has claimed for the run."""


def check_output(output: Output) -> None:
    """Check that this process and the driver see the same folder, by the driver's claim in it.

    Raises:
        NotShared: the claim isn't there, as in a folder that is local to this host.
        ClaimLost: another driver has taken the run over.
        StorageError: the storage can't be reached, or refuses.
    """
    folder = open_folder(output.url, output.hadoop)
    if claims.owner(folder) is None:
        raise NotShared(
            f"on {socket.gethostname()} there is nothing of the driver's at {output.url}: what this worker writes there would never "
            "reach the driver. A file:// folder has to lie on a mount that all hosts share, and memory:// is each process's own: "
            "name a folder on HDFS, an object store or such a mount (output.path)"
        )
    claims.check_claim(folder, output.token)


def open_output(order: Order, asked: bool = True) -> Folder:
    """Open the folder that an order's results are written to.

    Args:
        order: the order.
        asked: whether to access the storage now, so that one that can't be reached fails the run before the training, and
            one that has answered is waited for if it is away later.

    Raises:
        StorageError: the storage can't be reached, or refuses.
    """
    output = open_folder(order.spec.output.url, order.spec.output.hadoop)
    if asked:
        output.exists()
    return output
