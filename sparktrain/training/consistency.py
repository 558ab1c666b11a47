"""Checks that all workers still have the same model, by comparing digests of its variables when they communicate anyway."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.averaging import SEED
from sparktrain.training.devices import copies
from sparktrain.training.statistics import pieces_of_rank_0, take_rank_0s

# Relative to a variable's largest magnitude: the rounding errors allowed over an epoch. Operations are bit-identical on
# identical workers, but a matrix product may round differently on another CPU or GPU, or with another number of threads.
_ROUNDING = 1e-4
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10}  # the relative distance from one number to the next
_CAUSES = (
    "Each worker would go on training a model of its own, and only rank 0's would be saved. What most often causes it: random "
    "numbers, data or rows of a worker's own in what changes a weight; a callback or code that some ranks run and others don't, "
    "and that sets weights or a learning rate; train_on_batch in a callback, or an optimizer that the model doesn't hold (a global one), whose "
    "gradients nobody averages; own assignments to weights. Let every worker make the same change, or make it on rank 0 and "
    "hand it to the others (worker.broadcast)"
)


class Consistency:
    """Compares the variables that must be the same on all workers: weights, optimizers' state, learning rates.

    Metric states, which are sums over each worker's rows, and random number states are left out. Integers among the variables
    that aren't trained (a layer's count of its rows) may differ, which is noted.

    Args:
        model: a built model; its optimizers need not be built.
        collective: the workers.
    """

    def __init__(self, model: keras.Model, collective: Collective) -> None:
        self._model, self._collective = model, collective
        self._mended: dict[str, float] = {}  # by path, how far apart at most
        self._own: set[str] = set()  # paths of whole numbers that are each worker's own

    def digest(self) -> int:
        """Return a digest of this worker's variables, which takes some 5 ms for 100 MB."""
        if self._collective.size == 1:
            return 0
        return zlib.crc32(b"".join(_fingerprint(each) for each in self._variables()))

    def compare(self, when: str) -> None:
        """Compare all workers' variables. Collective. See `hold`."""
        if self._collective.size > 1:
            self.hold(self._collective.gather(self.digest()), when)

    def hold(self, digests: Sequence[int], when: str) -> None:
        """If the workers' digests differ, find the variables that do. Collective.

        Rounding differences are corrected, with rank 0's values, and noted.

        Args:
            digests: every worker's digest, by rank.
            when: a phrase for the message.

        Raises:
            TrainingError: a variable differs; the message names the first one, and the ranks.
        """
        if len(set(digests)) == 1:
            return
        variables = list(self._variables())
        told = self._collective.gather([(each.path, _fingerprint(each)) for each in variables])
        if len({len(each) for each in told}) > 1:
            counts = ", ".join(f"rank {rank} has {len(each)}" for rank, each in enumerate(told))
            raise TrainingError(f"{when}, the workers' models have different numbers of variables ({counts}). {_CAUSES}")
        mended = []
        for index, variable in enumerate(variables):
            prints = [each[index][1] for each in told]
            if len(set(prints)) == 1:
                continue
            path = told[0][index][0]
            if not keras.backend.is_float_dtype(variable.dtype) and variable in self._model.non_trainable_variables:
                self._own.add(path)
                continue
            apart = max(self._collective.gather(self._apart(variable)))
            if apart > _tolerance(variable):
                others = sum(len({each[place][1] for each in told}) > 1 for place in range(len(variables))) - 1
                raise TrainingError(
                    f"{when}, {path} is not the same on all workers: {_grouped(prints)}{_size(apart)}. "
                    f"{others or 'None'} of the {len(variables) - 1} other variables "
                    f"differ{'' if others else 's'}. {_CAUSES}"
                )
            self._mended[path] = max(apart, self._mended.get(path, 0.0))
            mended.append(variable)
        take_rank_0s(mended, self._collective)

    def notes(self) -> list[str]:
        """Return notes on corrected rounding differences, and on integers that differ between workers."""
        notes = []
        if self._mended:
            some = ", ".join(sorted(self._mended)[:3]) + (", ..." if len(self._mended) > 3 else "")
            notes.append(
                f"the workers' copies of {some} ({len(self._mended)} in all) were apart by the rounding of their processors, at "
                f"most {max(self._mended.values()):.1e} of the largest value; all went on with rank 0's"
            )
        if self._own:
            notes.append(
                f"whole numbers that each worker counted by itself, of which rank 0's are saved: {', '.join(sorted(self._own))}"
            )
        return notes

    def _variables(self) -> Iterator[keras.Variable]:
        every = [*self._model.weights, *optimizer_variables(self._model)]
        return (variable for variable in {id(each): each for each in every}.values() if variable.name != SEED)

    def _apart(self, variable: keras.Variable) -> float:
        """Return this worker's largest difference from rank 0's value, relative to its largest magnitude. Collective."""
        own = _value(variable).numpy()
        if not keras.backend.is_float_dtype(variable.dtype):
            return float("inf")
        far, largest = 0.0, 0.0
        for ours, theirs in pieces_of_rank_0(own, self._collective):
            with np.errstate(invalid="ignore"):
                difference = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
            difference[(ours == theirs) | (np.isnan(ours) & np.isnan(theirs))] = 0
            far = max(far, float(np.nan_to_num(difference, nan=np.inf).max(initial=0)))
            largest = max(largest, float(np.nan_to_num(np.abs(theirs.astype(np.float64))).max(initial=0)))
        return far / max(largest, 1e-30) if far else 0.0


def _value(variable: keras.Variable) -> tf.Tensor:
    return tf.convert_to_tensor(copies(variable)[0])


def _fingerprint(variable: keras.Variable) -> bytes:
    """Return an 8-byte hash of a variable's values, computed at the speed of memory."""
    return tf.fingerprint(tf.reshape(_value(variable), [1, -1])).numpy().tobytes()


def _tolerance(variable: keras.Variable) -> float:
    return max(_ROUNDING, 2 * _EPSILON.get(keras.backend.standardize_dtype(variable.dtype), 0.0))


def _grouped(prints: Sequence[bytes]) -> str:
    """Return a phrase that names the ranks with different values."""
    groups: dict[bytes, list[int]] = {}
    for rank, each in enumerate(prints):
        groups.setdefault(each, []).append(rank)
    if len(groups) == len(prints) > 2:
        return "each rank has a value of its own"
    first, second, *more = groups.values()
    rest = f", and there are {len(more)} more values on other ranks" if more else ""
    return f"{_ranks(first)} {'has' if len(first) == 1 else 'have'} another value than {_ranks(second)}{rest}"


def _ranks(ranks: Sequence[int]) -> str:
    if len(ranks) == 1:
        return f"rank {ranks[0]}"
    shown = ", ".join(map(str, ranks[:8])) + (f" and {len(ranks) - 8} more" if len(ranks) > 8 else "")
    return f"ranks {shown}"


def _size(apart: float) -> str:
    return f" (they differ by up to {apart:.2g} of its largest magnitude)" if np.isfinite(apart) else ""
