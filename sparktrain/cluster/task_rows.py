"""The rows of one task: taken where its executor has kept them, else filled from what Spark sends."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow

from sparktrain import feed
from sparktrain.cluster.assignment import Assignment
from sparktrain.cluster.channel.client import Client
from sparktrain.cluster.disks.kept_rows import keep, make_room, segment_folders, take
from sparktrain.cluster.disks.local_disks import local_dirs
from sparktrain.cluster.task_failure import read_from_storage, received
from sparktrain.interfaces.messages import Filling, Phase

_TELL_EVERY = 0.5  # seconds


class TaskRows:
    """One task's rows, in segments on its executor's local disks.

    Args:
        assignment: what the tasks of the attempt do.
        folders: the task's folders, one on each local disk.
        part: the number of the task's partition.
        executor: the process id of the executor's JVM; None if the task isn't one of its own, so that no rows outlast it.

    Attributes:
        part: the part that the rows are: the partition's, unless the executor has kept another one.
        filled: the description of the segments; None until there are any.
    """

    def __init__(self, assignment: Assignment, folders: Sequence[Path], part: int, executor: int | None) -> None:
        self.part = part
        self.filled: feed.Filled | None = None
        self._assignment = assignment
        self._folders = folders
        self._executor = executor

    def take(self) -> bool:
        """Take rows that an earlier attempt has filled, if the driver says that it has.

        Returns:
            Whether the task has something to do: False if it should take rows, and its executor has none.
        """
        kept = self._assignment.kept
        if kept is None or not kept.filled:
            return True
        if self._executor is None:
            return False
        taken = take(kept.token, self.part, self._executor, self._folders)
        if taken is None:
            return False
        self.part, self.filled = taken
        return True

    def keep(self, finished: bool) -> None:
        """Keep the rows for the next run, or for another attempt of this one, unless the disks are nearly full.

        Args:
            finished: whether the worker has trained and saved.
        """
        kept, spare = self._assignment.kept, self._assignment.spare
        if kept is None or self.filled is None or self._executor is None or (finished and not kept.stay):
            return
        usages = [shutil.disk_usage(folder) for folder in self._folders]
        if all(usage.free >= 2 * spare.of(usage.total) for usage in usages):
            with contextlib.suppress(OSError):  # they are filled again
                keep(kept.token, self.part, self._executor, self._folders, self.filled)

    def disks(self, client: Client, host: str, before: int) -> feed.Disks:
        """Return this host's disks, with the number of workers that share each.

        Args:
            client: the control channel.
            host: this host's name.
            before: the workers of this host with a lower part.
        """
        mine = [str(folder.stat().st_dev) for folder in self._folders]
        told = [json.loads(each) for each in client.gather(json.dumps([host, mine]))]
        sharing = Counter(device for other, devices in told if other == host for device in devices)
        disks = [
            feed.Disk(segments, self._assignment.spare.of(shutil.disk_usage(folder).total), sharing[device])
            for segments, folder, device in zip(segment_folders(self._folders), self._folders, mine)
        ]
        return feed.Disks(disks, before, lambda enough: make_room(local_dirs(), enough))

    def fill(
        self, batches: Iterable[pyarrow.RecordBatch], disks: feed.Disks, client: Client, raise_if_stopped: Callable[[], None]
    ) -> None:
        """Write this part's rows to segments: those that Spark sends or, if the assignment says so, those on the storage.

        Args:
            batches: what Spark sends; none if the rows are on the storage.
            disks: where the segments are written.
            client: the control channel, which is told how far it has come.
            raise_if_stopped: raises Stopped if the attempt has been stopped.

        Raises:
            OSError: there is not enough room (ENOSPC), found before the rows are written where they were counted.
            ExecutorGone, RowsUnread: not all rows have come.
        """
        writer = feed.SegmentWriter(disks, feed.Layout.from_json(self._assignment.layout))
        client.send(Phase("fill"))
        rows = size = 0
        whole: int | None = None
        told = time.monotonic()
        source = received(batches)
        if self._assignment.read is not None:
            for _ in source:  # read to the end: Spark doesn't reuse a Python worker that left some of its input
                pass
            source = read_from_storage(self._assignment.read(self.part, self._folders[0]))
        for batch in source:
            writer.write(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if whole is None and self._assignment.rows is not None and writer.row_bytes is not None:
                whole = self._assignment.rows * writer.row_bytes
                self._check_room(whole, disks)
            if time.monotonic() - told > _TELL_EVERY:
                told = time.monotonic()
                client.send(Filling(rows, size, whole))
            raise_if_stopped()

        def between() -> None:
            client.send(Filling(rows, size, whole))  # also a sign of progress
            raise_if_stopped()

        self.filled = writer.close(between)
        client.send(Filling(rows, size))

    def _check_room(self, whole: int, disks: feed.Disks) -> None:
        if not disks.has_room(whole):
            raise OSError(
                errno.ENOSPC,
                f"this worker's {self._assignment.rows:,} rows need {whole / 1e9:,.1f} GB, and {disks.room / 1e9:,.1f} GB are its "
                "part of that, beside this host's other workers",
            )

    def agree(self, client: Client) -> feed.Shard:
        """Agree on shapes and counts with the other parts, and return this part's rows as training reads them."""
        assert self.filled is not None, "rows are taken or filled first"
        client.send(Phase("join"))
        return feed.Shard(
            segment_folders(self._folders),
            self.filled,
            feed.agree_through(client.gather, self.part, self.filled),
            part=self.part,
            seed=self._assignment.spec.seed,
            batch_sizes=self._assignment.spec.fit.batch_sizes,
        )
