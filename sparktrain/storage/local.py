"""The store for folders on this machine, including mounted network file systems."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from sparktrain.storage.store import Explanation, Kind, Store, explain_os_error, part_name

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_ADVICE = {
    errno.ENOSPC: ("the disk is full", "Free some space, or choose a folder on another disk."),
    errno.EDQUOT: ("the disk quota is used up", "Free some space, or choose a folder on another disk."),
    errno.EROFS: ("the file system is read-only", "Choose a folder that can be written."),
}


class LocalStore(Store):
    """The local file system. Not fsspec's LocalFileSystem, as that moves INTO an existing folder."""

    renames = True

    def kind(self, path: str) -> Kind | None:
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return "folder" if os.path.isdir(path) else "file"

    def entries(self, path: str) -> dict[str, Kind]:
        with os.scandir(path) as found:
            return {entry.name: "folder" if entry.is_dir() else "file" for entry in found}

    def modified(self, path: str) -> dict[str, float]:
        times = {}
        with os.scandir(path) as found:
            for entry in found:
                with contextlib.suppress(FileNotFoundError):  # just removed
                    times[entry.name] = entry.stat().st_mtime
        return times

    def size(self, path: str) -> int:
        return os.stat(path).st_size

    def read(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def chunks(self, path: str) -> Iterator[bytes]:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                yield chunk

    def fetch(self, path: str, local: Path) -> None:
        shutil.copyfile(path, local)

    def write(self, path: str, source: bytes | Path) -> None:
        part = self._part(path, source)
        try:
            os.replace(part, path)
        except OSError:
            part.unlink()
            raise

    def claim(self, path: str, data: bytes) -> bool:
        if os.path.lexists(path):
            return False
        part = self._part(path, data)
        try:
            os.link(part, path)  # the only way to create a file with its content, without replacing another
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _create(path, data)
        finally:
            part.unlink()
        return True

    def remove(self, path: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def move(self, source: str, target: str) -> None:
        # A rename silently replaces an empty folder, and fails if the folder isn't empty.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
            raise

    def transient(self, error: Exception) -> bool:
        return isinstance(error, (ConnectionError, TimeoutError, InterruptedError, BlockingIOError))

    def explain(self, error: Exception) -> Explanation | None:
        if not isinstance(error, OSError):
            return None
        if error.errno in _ADVICE:
            return Explanation(*_ADVICE[error.errno])
        return explain_os_error(error)

    def _part(self, path: str, source: bytes | Path) -> Path:
        folder = Path(path).parent
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / part_name()
        try:
            if isinstance(source, Path):
                shutil.copyfile(source, part)  # in the kernel if possible
            with open(part, "ab") as target:
                if isinstance(source, bytes):
                    target.write(source)
                    target.flush()
                os.fsync(target.fileno())
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return part


def _create(path: str, data: bytes) -> bool:
    try:
        with open(path, "xb") as target:
            target.write(data)
    except FileExistsError:
        return False
    return True
