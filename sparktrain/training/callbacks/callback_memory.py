"""Saves the state of callbacks for a checkpoint: early stopping's best and patience, the history, users' counters.

Saved are numbers, by themselves, in lists and in dicts, and lists of arrays, for each worker separately. Attributes that a
callback hasn't changed since training began describe this process (a rank, a start time), and aren't saved. Nor are strings:
some are names of files of the attempt that is over.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np

_NOT_THEIRS = ("params", "model", "_model", "validation_data")  # attributes that Keras sets on a callback


@dataclass
class Memory:
    """The saved state of a callback.

    Attributes:
        kind: the name of its class.
        plain: numbers, or lists and dicts of them, by attribute.
        arrays: the digests of lists of arrays, by attribute.
    """

    kind: str
    plain: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, list[str]] = field(default_factory=dict)


class CallbackMemories:
    """The state of a worker's callbacks: the attributes that they have changed since `begin`.

    Args:
        callbacks: this worker's callbacks.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        self._callbacks = callbacks
        self._at_first: list[dict[str, str]] = [{} for _ in callbacks]

    def begin(self) -> None:
        """Take the callbacks' attributes as those of this process; call it after their on_train_begin."""
        self._at_first = [_prints(_memory(callback, {})) for callback in self._callbacks]

    def state_dict(self) -> dict[str, Any]:
        """Return `memories`, the state of each callback, and `arrays`, those that it refers to, by their digests."""
        arrays: dict[str, np.ndarray] = {}
        memories = []
        for callback, at_first in zip(self._callbacks, self._at_first, strict=True):
            memory = _memory(callback, arrays)
            now = _prints(memory)
            changed = {name for name, value in now.items() if at_first.get(name) != value}
            memories.append(
                Memory(
                    memory.kind,
                    *({name: value for name, value in kept.items() if name in changed} for kept in (memory.plain, memory.arrays)),
                )
            )
        return {"memories": memories, "arrays": {digest: arrays[digest] for digest in named(memories)}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the state of the callbacks from `state_dict`; those of the same class are matched in their order."""
        known = dict(_numbered([memory.kind for memory in state["memories"]], state["memories"]))
        for key, callback in _numbered([type(callback).__name__ for callback in self._callbacks], self._callbacks):
            memory = known.get(key, Memory(""))
            for name, value in memory.plain.items():
                setattr(callback, name, value)
            for name, digests in memory.arrays.items():
                setattr(callback, name, [state["arrays"][digest] for digest in digests])


def named(memories: Sequence[Memory]) -> set[str]:
    """Return the digests of the arrays that states refer to."""
    return {digest for memory in memories for digests in memory.arrays.values() for digest in digests}


def to_json(memories: Mapping[int, Sequence[Memory]]) -> dict[str, Any]:
    """Return the callbacks' states of each part as values for JSON."""
    return {str(part): [asdict(memory) for memory in each] for part, each in memories.items()}


def joined(memories: Sequence[Memory], more: Sequence[Memory]) -> list[Memory]:
    """Return the states of a worker's callbacks, with further ones for callbacks that they have no state of."""
    both = [dict(_numbered([memory.kind for memory in each], each)) for each in (more, memories)]
    return list({**both[0], **both[1]}.values())


def common(memories: Mapping[int, Sequence[Memory]]) -> list[Memory]:
    """Return the state that the callbacks of all workers have in common, for new workers."""
    numbered = [dict(_numbered([memory.kind for memory in each], each)) for each in memories.values()]
    alike = []
    for key, first in numbered[0].items():
        others = [each.get(key) for each in numbered]
        if None in others:  # a callback that only some workers have
            continue
        alike.append(
            Memory(
                first.kind,
                *(
                    {
                        name: value
                        for name, value in getattr(first, kept).items()
                        if all(
                            name in getattr(other, kept) and _print(getattr(other, kept)[name]) == _print(value)
                            for other in others
                        )
                    }
                    for kept in ("plain", "arrays")
                ),
            )
        )
    return alike


def _numbered(kinds: Sequence[str], values: Sequence[Any]) -> Iterator[tuple[tuple[str, int], Any]]:
    counts: dict[str, int] = {}
    for kind, value in zip(kinds, values, strict=True):
        counts[kind] = counts.get(kind, 0) + 1
        yield (kind, counts[kind]), value


def _memory(callback: keras.callbacks.Callback, arrays: dict[str, np.ndarray]) -> Memory:
    """Return all attributes of a callback that can be saved; its arrays are added to `arrays`."""
    memory = Memory(type(callback).__name__)
    for name, value in vars(callback).items():
        if name in _NOT_THEIRS:
            continue
        if isinstance(value, list) and value and all(isinstance(item, np.ndarray) and not item.dtype.hasobject for item in value):
            memory.arrays[name] = [_digest(item) for item in value]
            arrays.update(zip(memory.arrays[name], value))
        elif _is_plain(value):
            memory.plain[name] = value.item() if isinstance(value, np.generic) else value
    return memory


def _prints(memory: Memory) -> dict[str, str]:
    return {name: _print(value) for kept in (memory.plain, memory.arrays) for name, value in kept.items()}


def _print(value: Any) -> str:
    return json.dumps(value, default=np.generic.item)  # NumPy's numbers, in lists


def _digest(array: np.ndarray) -> str:
    digest = hashlib.sha1(f"{array.dtype.name} {array.shape}".encode(), usedforsecurity=False)
    digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    return value is None or isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating))
