"""A run whose workers call one function of the user's."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

from sparktrain.cluster.slots import check_application
from sparktrain.data import Prepared
from sparktrain.driver.attempts import train
from sparktrain.driver.shipping import ship
from sparktrain.driver.training_run import Run
from sparktrain.interfaces.checkpoints import Checkpoint
from sparktrain.interfaces.messages import Fit, returned_name
from sparktrain.models.custom_objects import in_program
from sparktrain.storage import Folder
from sparktrain.usercode.lookup import source
from sparktrain.usercode.modules import modules_of


class FunctionRun(Run):
    """A run whose workers call one function, and which leaves nothing but what that returns."""

    args: dict[str, Any]
    has_rows: bool
    labelled: bool

    def call(self) -> list[Any]:
        context = self.spark.sparkContext
        check_application(context)
        function = source(self.supplied.model, self.args)
        self.folder.claim(self.who)
        prepared = None
        try:
            slots = self.slots()
            self.shipped = ship(context, modules_of(self.job, self.supplied.functions), self.folders, self.job.model.files)
            prepared = self._prepare(self.shipped.digests)
            finished = train(self, prepared, function, slots)
            digests = {self.timeline.joined[part].rank: each.returned_sha256 for part, each in enumerate(finished)}
            return [unpickled(self.folder.staged, rank, digests[rank]) for rank in range(len(finished))]
        finally:
            if prepared is not None:
                self.display.tidy(prepared.release, "the prepared rows are still kept")
            self.display.tidy(self.folder.discard, "what the workers returned is still there")
            self.display.tidy(self._give_back, "what the run had asked of the cluster is not given back")

    def fit(self, sizes: tuple[int, ...], prepared: Prepared, resume: Checkpoint | None) -> Fit:
        return Fit(epochs=1, batch_sizes=sizes, own_loop=True, has_rows=self.has_rows, labelled=self.labelled)


def unpickled(folder: Folder, rank: int, sha256: str) -> Any:
    """Read what a worker's function returned.

    Args:
        folder: the run's, to which others than this run's workers may have access, too.
        rank: the worker's.
        sha256: of its file, as the worker has told it through the authenticated channel.

    Raises:
        NotReturned: the file is another; nothing of it is unpickled.
    """
    data = folder.read_bytes(returned_name(rank))
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NotReturned(
            f"{folder.url}/{returned_name(rank)} is not what rank {rank} has written there: something else has changed it since, and a "
            "pickle may run any code. See who else may write to that folder, and run again"
        )
    return in_program(lambda: pickle.loads(data))


class NotReturned(RuntimeError):
    """What lies where a worker's return value should is not from that worker."""
