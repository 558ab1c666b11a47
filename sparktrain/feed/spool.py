"""Sorts rows by their keys on disk, with an external merge sort whose memory doesn't grow with the rows."""

from __future__ import annotations

import itertools
import math
import mmap
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from sparktrain.feed import strings
from sparktrain.feed.disks import Disks
from sparktrain.feed.segments import reserve, telling_of_disk

# Ranges of keys, by their first bits; a range's files are deleted once they are merged, so that the disks never have all rows twice
_RANGES = 16
DISK = 1 + 1 / _RANGES  # the most disk space needed, as a multiple of the rows' size, until all are merged and written elsewhere
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_AT_ONCE = 1 << 20  # bytes gathered and written at once: they stay in the processor's cache until they are written
_ALIGNED = 8


class Spool:
    """Sorted stretches of rows on disk, to be merged. A stretch is on one disk, split among files by ranges of keys.

    Args:
        disks: the disks for the files, of which none are left after `merged`.
        name: the prefix of the files' names.
    """

    def __init__(self, disks: Disks, name: str):
        self._disks, self._name = disks, name
        self._ends: list[dict[int, int]] = [{} for _ in range(_RANGES)]  # the size of each range's file, by its disk
        self._stretches: list[list[_Stretch]] = [[] for _ in range(_RANGES)]
        self._bounds = np.array([_LEAST + number * (1 << 64) // _RANGES for number in range(1, _RANGES)], np.int64)

    def write(self, keys: np.ndarray, fields: Mapping[str, np.ndarray]) -> None:
        """Add rows, in any order.

        Args:
            keys: int64 array [n].
            fields: arrays [n, ...] by name, C-contiguous; the same names, shapes and dtypes each time.

        Raises:
            OSError: the disks are full; with a note on the space left if writing has failed.
        """
        order = np.argsort(keys)
        keys = keys[order]
        ends = [0, *np.searchsorted(keys, self._bounds).tolist(), len(keys)]
        items = {name: _items(rows) for name, rows in fields.items()}
        size = keys.nbytes + sum(map(strings.written_size, fields.values()))
        fixed = keys.itemsize + sum(rows.itemsize for rows in items.values() if rows.dtype != strings.DTYPE)
        disk = self._disks.take(size + _RANGES * _ALIGNED * (1 + len(fields)))
        for number, (first, end) in enumerate(itertools.pairwise(ends)):
            if first == end:
                continue
            path, begin = self._path(number, disk), self._ends[number].get(disk, 0)
            stretch = _Stretch(disk, begin, end - first, {})
            with telling_of_disk(path), open(path, "r+b" if begin else "wb") as file:
                file.seek(begin)
                reserve(file, (end - first) * fixed + _ALIGNED)
                file.write(keys[first:end].data)
                for name, rows in items.items():
                    stretch.fields[name] = file.tell(), rows.dtype, rows[0].size
                    if rows.dtype == strings.DTYPE:
                        strings.write_strings(file, rows.take(order[first:end], axis=0))
                        continue
                    step = max(1, _AT_ONCE // rows.itemsize)
                    for start in range(first, end, step):
                        file.write(rows.take(order[start : min(start + step, end)]).data)
                file.write(bytes(-file.tell() % _ALIGNED))
                self._ends[number][disk] = file.tell()
            self._stretches[number].append(stretch)

    def merged(self, most: int, content: int) -> Iterator[Block]:
        """Yield all rows in blocks, in the order of their keys; rows of the same key are in any order.

        Which rows are in a block depends only on the keys and the rows' sizes.

        Args:
            most: rows in a block at most.
            content: bytes of strings in a block at most, unless a single row has more.
        """
        for number, (ends, stretches) in enumerate(zip(self._ends, self._stretches)):
            paths = {disk: self._path(number, disk) for disk in ends}
            with ExitStack() as stack:
                yield from _merged(
                    {disk: stack.enter_context(open(path, "rb")) for disk, path in paths.items()}, stretches, most, content
                )
            for disk, path in paths.items():
                path.unlink(missing_ok=True)
                self._disks.give_back(disk, ends[disk])

    def _path(self, number: int, disk: int) -> Path:
        return self._disks.folders[disk] / f"{self._name}-{number:02d}.spool"


class _Stretch(NamedTuple):
    """The position of sorted rows in a file: their keys, ascending, then one field after the other, each row as bytes."""

    disk: int  # of the file
    start: int
    rows: int
    fields: dict[str, tuple[int, np.dtype, int]]  # the offset, the items' dtype, and the values of a row, of each field

    def keys(self, memory: mmap.mmap) -> np.ndarray:
        """Return the keys, int64 [count], as a view of the mapped file."""
        return np.frombuffer(memory, np.int64, self.rows, self.start)

    def read(self, file: BinaryIO, name: str, first: int, stop: int) -> np.ndarray:
        """Read a field of the rows from `first` to before `stop`."""
        start, dtype, width = self.fields[name]
        if dtype == strings.DTYPE:
            return strings.read_strings(file, start, self.rows, width, first, stop)
        # Not mapped: the system would map much around each small piece, which would count as this process's memory.
        data = os.pread(file.fileno(), (stop - first) * dtype.itemsize, start + first * dtype.itemsize)
        return np.frombuffer(data, dtype)

    def content(self, file: BinaryIO, first: int, stop: int) -> int:
        """Return the bytes of the strings in the rows from `first` to before `stop`."""
        return sum(
            strings.content_of_some(file, start, width, first, stop)
            for start, dtype, width in self.fields.values()
            if dtype == strings.DTYPE
        )


class _Piece(NamedTuple):
    """The rows of a stretch from `start` to before `stop`."""

    stretch: _Stretch
    keys: np.ndarray  # of the whole stretch
    start: int
    stop: int

    def cut(self, key: int) -> tuple[_Piece, _Piece]:
        """Return the rows up to a key, and those after it."""
        at = self.start + int(np.searchsorted(self.keys[self.start : self.stop], key, side="right"))
        return self._replace(stop=at), self._replace(start=at)


class Block:
    """Rows of several stretches, which can be copied in the order of their keys.

    Attributes:
        count: the number of rows.
        paths: the files by their disk, if the block has all their rows, so that they may be overwritten after `copy`; else
            empty.
    """

    def __init__(self, files: Mapping[int, BinaryIO], pieces: Sequence[_Piece], whole: bool):
        keys = [piece.keys[piece.start : piece.stop] for piece in pieces]
        order = np.argsort(np.concatenate(keys), kind="stable")
        ranks = np.empty_like(order)
        ranks[order] = np.arange(len(order))
        self.count = len(order)
        self.paths = {disk: Path(file.name) for disk, file in files.items()} if whole else {}
        self._files = files
        self._ranked = list(zip(pieces, np.split(ranks, np.cumsum([len(each) for each in keys])[:-1])))

    def copy(self, targets: Mapping[str, np.ndarray]) -> None:
        """Copy the rows into arrays [count, ...] by name, C-contiguous."""
        for name, target in targets.items():
            items = _items(target)
            for piece, ranks in self._ranked:
                items[ranks] = piece.stretch.read(self._files[piece.stretch.disk], name, piece.start, piece.stop)


def _merged(files: Mapping[int, BinaryIO], stretches: Sequence[_Stretch], most: int, most_content: int) -> Iterator[Block]:
    """Yield the rows in blocks, by halving ranges of keys until the rows of one fit into a block.

    Args:
        files: the files by their disk.
    """
    memory = {disk: mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) for disk, file in files.items()}
    whole = [_Piece(stretch, stretch.keys(memory[stretch.disk]), 0, stretch.rows) for stretch in stretches]
    waiting = [(_LEAST, _MOST, whole)]
    while waiting:
        least, greatest, pieces = waiting.pop()
        pieces = [piece for piece in pieces if piece.start < piece.stop]
        count = sum(piece.stop - piece.start for piece in pieces)
        content = sum(piece.stretch.content(files[piece.stretch.disk], piece.start, piece.stop) for piece in pieces)
        fits = count <= most and (content <= most_content or count == 1)
        if not fits and least < greatest:
            middle = (least + greatest) // 2
            cuts = [piece.cut(middle) for piece in pieces]
            waiting.append((middle + 1, greatest, [behind for _, behind in cuts]))
            waiting.append((least, middle, [before for before, _ in cuts]))
        elif not fits:
            # All of one key, so in order however they are divided, and mostly of the same size.
            step = max(1, min(most, count * most_content // max(1, content)))
            for first in range(0, count, step):
                yield Block(files, list(_numbered(pieces, first, first + step)), whole=False)
        elif count:
            yield Block(files, pieces, whole=(least, greatest) == (_LEAST, _MOST))
        # Release the pages of the keys, which count as this process's memory.
        if hasattr(mmap, "MADV_DONTNEED"):
            for each in memory.values():
                each.madvise(mmap.MADV_DONTNEED)


def _numbered(pieces: Sequence[_Piece], first: int, end: int) -> Iterator[_Piece]:
    """Yield the rows from `first` to before `end`, numbered through the pieces one after another."""
    for piece in pieces:
        count = piece.stop - piece.start
        start, stop = max(first, 0), min(end, count)
        if start < stop:
            yield piece._replace(start=piece.start + start, stop=piece.start + stop)
        first, end = first - count, end - count


def _items(rows: np.ndarray) -> np.ndarray:
    """Return a view [n] of an array [n, ...] with rows as items, which NumPy copies fastest; for strings, [n, width]."""
    width = math.prod(rows.shape[1:])
    if rows.dtype == strings.DTYPE:
        return rows.reshape(len(rows), width)
    return rows.reshape(len(rows), width).view(f"V{width * rows.itemsize}")[:, 0]
