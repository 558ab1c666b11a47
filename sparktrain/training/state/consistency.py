"""Checks that all workers still have the same model, by comparing digests of its variables when they communicate anyway."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.models.optimizers import optimizer_variables
from sparktrain.training.framework import framework
from sparktrain.training.metrics.statistics import pieces_of_rank_0, take_rank_0s
from sparktrain.training.state.model_variables import SEED

# Relative to a variable's largest magnitude: the rounding errors allowed over an epoch. Operations are bit-identical on
# identical workers, but a matrix product may round differently on another CPU or GPU, or with another number of threads.
_ROUNDING = 1e-4
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10}  # the relative distance from one number to the next
_CAUSES = (
    "The workers would continue to train different models, of which only rank 0's would be saved. The most frequent causes: weights "
    "that are changed by random numbers, data or rows of one worker; a callback or other code that only some ranks run, and that "
    "sets weights or a learning rate; train_on_batch in a callback, or an optimizer that the model doesn't hold (a global one), whose "
    "gradients are not averaged; assignments to weights. Let every worker make the same change, or make it on rank 0 and send it to "
    "the others (worker.broadcast)"
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
        return zlib.crc32(b"".join(framework().fingerprint(variable) for variable in self._variables()))

    def compare(self, when: str) -> None:
        """Compare all workers' variables. Collective. See `hold`."""
        if self._collective.size > 1:
            self.hold(self._collective.gather(self.digest()), when)

    def hold(self, digests: Sequence[int], when: str) -> None:
        """Find the variables that differ between the workers, if their digests differ. Collective.

        Rounding differences are corrected with rank 0's values, and noted.

        Args:
            digests: every worker's digest, by rank.
            when: a phrase for the message.

        Raises:
            TrainingError: a variable differs; the message names the first one, and the ranks.
        """
        if len(set(digests)) == 1:
            return
        variables = list(self._variables())
        by_rank = self._collective.gather([(variable.path, framework().fingerprint(variable)) for variable in variables])
        if len({len(fingerprints) for fingerprints in by_rank}) > 1:
            counts = ", ".join(f"rank {rank} has {len(fingerprints)}" for rank, fingerprints in enumerate(by_rank))
            raise TrainingError(f"{when}, the workers' models have different numbers of variables ({counts}). {_CAUSES}")
        mended = []
        for index, variable in enumerate(variables):
            prints = [fingerprints[index][1] for fingerprints in by_rank]
            if len(set(prints)) == 1:
                continue
            path = by_rank[0][index][0]
            if not keras.backend.is_float_dtype(variable.dtype) and variable in self._model.non_trainable_variables:
                self._own.add(path)
                continue
            difference = max(self._collective.gather(self._largest_difference(variable)))
            if difference > _tolerance(variable):
                others = sum(len({fingerprints[place][1] for fingerprints in by_rank}) > 1 for place in range(len(variables))) - 1
                raise TrainingError(
                    f"{when}, {path} is not the same on all workers: {_grouped(prints)}{_size(difference)}. "
                    f"{others or 'None'} of the {len(variables) - 1} other variables "
                    f"differ{'' if others else 's'}. {_CAUSES}"
                )
            self._mended[path] = max(difference, self._mended.get(path, 0.0))
            mended.append(variable)
        take_rank_0s(mended, self._collective)

    def notes(self) -> list[str]:
        """Return notes on corrected rounding differences, and on integers that differ between workers."""
        notes = []
        if self._mended:
            some = ", ".join(sorted(self._mended)[:3]) + (", ..." if len(self._mended) > 3 else "")
            notes.append(
                f"the workers' copies of {some} ({len(self._mended)} in all) differed by rounding errors of their processors, at "
                f"most {max(self._mended.values()):.1e} of the largest value; all continued with rank 0's"
            )
        if self._own:
            notes.append(f"integers that differ between workers, of which rank 0's are saved: {', '.join(sorted(self._own))}")
        return notes

    def _variables(self) -> Iterator[keras.Variable]:
        every = [*self._model.weights, *optimizer_variables(self._model)]
        return (variable for variable in {id(candidate): candidate for candidate in every}.values() if variable.name != SEED)

    def _largest_difference(self, variable: keras.Variable) -> float:
        """Return this worker's largest difference from rank 0's value, relative to its largest magnitude. Collective."""
        own = framework().copies(variable)[0].numpy()
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


def _tolerance(variable: keras.Variable) -> float:
    return max(_ROUNDING, 2 * _EPSILON.get(keras.backend.standardize_dtype(variable.dtype), 0.0))


def _grouped(prints: Sequence[bytes]) -> str:
    """Return a phrase that names the ranks with different values."""
    groups: dict[bytes, list[int]] = {}
    for rank, fingerprint in enumerate(prints):
        groups.setdefault(fingerprint, []).append(rank)
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


def _size(difference: float) -> str:
    return f" (they differ by up to {difference:.2g} of its largest magnitude)" if np.isfinite(difference) else ""
