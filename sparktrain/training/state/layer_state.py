"""Shares the state of preprocessing layers (vocabularies, bins, means) between workers, and adapts it to all workers' rows."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from sparktrain.interfaces.collective import Collective
from sparktrain.models.errors import TrainingError
from sparktrain.training.framework import framework

_LOOKUPS = (keras.layers.StringLookup, keras.layers.IntegerLookup, keras.layers.TextVectorization)
_KNOWN = "StringLookup, IntegerLookup, TextVectorization, Normalization and Discretization"


def share_layer_state(model: keras.Model, collective: Collective) -> None:
    """Give the state of rank 0's layers to all workers whose layers have none. Collective.

    Args:
        model: built or not.
        collective: the workers.

    Raises:
        TrainingError: a layer was adapted differently on another worker; the message names layer and ranks.
    """
    if collective.size == 1:
        return
    layers = list(_learning(model))
    states = [_state(layer) for layer in layers]
    by_rank = collective.gather([(type(layer).__name__, layer.name, _digest(state)) for layer, state in zip(layers, states)])
    if any([kind for kind, _, _ in described] != [kind for kind, _, _ in by_rank[0]] for described in by_rank):
        return  # the workers have different models, which is refused when their variables are compared
    for place, (layer, state) in enumerate(zip(layers, states)):
        kind, name, first = by_rank[0][place]
        digests = [described[place][2] for described in by_rank]
        if all(digest == first for digest in digests):
            continue
        if first is None or any(digest not in (first, None) for digest in digests):
            other = next(rank for rank, digest in enumerate(digests) if digest != first)
            raise TrainingError(_differ(kind, name, other, first is None))
        given = collective.broadcast(state if collective.rank == 0 else None)
        if state is None:
            _give(layer, given)


def adapt(layer: keras.Layer, data: Any, collective: Collective) -> None:
    """Adapt a layer to all workers' rows. Collective.

    Args:
        layer: a StringLookup, IntegerLookup, TextVectorization, Normalization or Discretization.
        data: this worker's data: an array, or a tf.data.Dataset or another iterable of batches, of which a tuple's first
            element is used.

    Raises:
        TrainingError: the layer is of another class, a batch isn't one array, or no worker has rows.
    """
    adapting = next((function for kinds, function in _ADAPTING.items() if isinstance(layer, kinds)), None)
    if adapting is None:
        raise TrainingError(
            f"worker.adapt knows {_KNOWN}, and a {type(layer).__name__} came: adapt it on rank 0 alone, to rows of all workers "
            "(worker.gather), and worker.distribute gives its saved assets to the other workers; or set it up from Spark before the run"
        )
    adapting(layer, _batches(layer, data), collective)


def _adapt_lookup(layer: Any, batches: Iterator[Any], collective: Collective) -> None:
    layer.reset_state()
    for batch in batches:
        layer.update_state(batch)
    lookup = _lookup_of(layer)
    tables = [
        table
        for table in (getattr(lookup, name, None) for name in ("token_counts", "token_document_counts"))
        if table is not None
    ]
    documents = getattr(lookup, "num_documents", None)
    own = [[part.numpy() for part in table.export()] for table in tables]
    by_rank = collective.gather((own, None if documents is None else int(documents.numpy())))
    if not any(len(tables[0][0]) for tables, _ in by_rank):
        raise TrainingError(f"worker.adapt: no worker has a token for {type(layer).__name__} {layer.name!r}")
    layer.reset_state()
    for place, table in enumerate(tables):
        counts: Counter[Any] = Counter()
        for exported, _ in by_rank:
            counts.update(dict(zip(exported[place][0].tolist(), exported[place][1].tolist())))
        table.insert(list(counts), list(counts.values()))
    if documents is not None:
        documents.assign(sum(number for _, number in by_rank))
    layer.finalize_state()


def _adapt_normalization(layer: Any, batches: Iterator[Any], collective: Collective) -> None:
    seen = 0  # values in a worker's mean
    shape: tuple[int | None, ...] | None = None

    def counted() -> Iterator[Any]:
        nonlocal seen, shape
        for batch in batches:
            seen, shape = seen + int(np.prod(batch.shape)), (None, *batch.shape[1:])
            yield batch

    every = counted()
    first = next(every, None)
    if first is not None:
        layer.adapt(_chained(first, every))
    own = None if first is None else [np.asarray(stat.numpy(), np.float64) for stat in (layer.adapt_mean, layer.adapt_variance)]
    contributions = [contribution for contribution in collective.gather((seen, shape, own)) if contribution[0]]
    if not contributions:
        raise TrainingError(f"worker.adapt: no worker has a row for Normalization {layer.name!r}")
    if not layer.built:
        layer.build(contributions[0][1])
    weights = np.array([count for count, _, _ in contributions], np.float64) / sum(count for count, _, _ in contributions)
    means, variances = ([parts[place] for _, _, parts in contributions] for place in (0, 1))
    mean = sum(weight * own_mean for weight, own_mean in zip(weights, means))
    layer.adapt_mean.assign(mean)
    layer.adapt_variance.assign(
        sum(weight * (variance + (own_mean - mean) ** 2) for weight, own_mean, variance in zip(weights, means, variances))
    )
    layer.finalize_state()


def _adapt_discretization(layer: Any, batches: Iterator[Any], collective: Collective) -> None:
    layer.reset_state()
    for batch in batches:
        layer.update_state(batch)
    merged = np.concatenate(collective.gather(np.asarray(layer.summary)), axis=1)  # [value and weight, n]
    if not merged.shape[1]:
        raise TrainingError(f"worker.adapt: no worker has a row for Discretization {layer.name!r}")
    layer.summary = merged[:, np.argsort(merged[0], kind="stable")]
    layer.finalize_state()


_ADAPTING: dict[Any, Callable[[Any, Iterator[Any], Collective], None]] = {
    _LOOKUPS: _adapt_lookup,
    keras.layers.Normalization: _adapt_normalization,
    keras.layers.Discretization: _adapt_discretization,
}


def _batches(layer: keras.Layer, data: Any) -> Iterator[Any]:
    """Yield the batches with rows, each as one array."""
    if isinstance(data, (list, tuple)) or hasattr(data, "shape"):
        data = [np.asarray(data) if isinstance(data, (list, tuple)) else data]
    for batch in data:
        batch = batch[0] if isinstance(batch, tuple) else batch
        if not hasattr(batch, "shape"):
            names = f" ({', '.join(map(str, batch))})" if isinstance(batch, dict) else ""
            raise TrainingError(
                f"worker.adapt takes batches of one array for {type(layer).__name__} {layer.name!r}, and a {type(batch).__name__}{names} came: "
                "give it the one that the layer is for, as worker.dataset(batch_size).map(lambda inputs, *_: inputs['name'])"
            )
        if framework().rows_in(batch):
            yield batch


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _learning(model: keras.Model) -> Iterator[Any]:
    """Yield the layers that have state beside their weights, each once, without their inner layers."""
    held: set[int] = set()
    for layer in model._flatten_layers():
        if id(layer) in held or not (
            isinstance(layer, (*_LOOKUPS, keras.layers.Normalization, keras.layers.Discretization)) or _saves_assets(layer)
        ):
            continue
        held.update(id(inner) for inner in layer._flatten_layers())
        yield layer


def _saves_assets(layer: keras.Layer) -> bool:
    return hasattr(layer, "save_assets") and hasattr(layer, "load_assets")


def _lookup_of(layer: Any) -> Any:
    return getattr(layer, "_lookup_layer", layer)  # of a TextVectorization


def _state(layer: Any) -> Any:
    """Return the state that a layer has learned or was made with; None if it has none."""
    if isinstance(layer, _LOOKUPS):
        words = [word if isinstance(word, str) else int(word) for word in layer.get_vocabulary(include_special_tokens=False)]
        weights = getattr(_lookup_of(layer), "idf_weights", None)
        if weights is not None:  # those of the special tokens come first, and padding may follow
            front = len(layer.get_vocabulary()) - len(words)
            weights = weights.numpy()[front : front + len(words)]
        return {"vocabulary": words, "idf_weights": weights} if words else None
    if isinstance(layer, keras.layers.Normalization):
        if layer.input_mean is not None:
            return {"mean": np.asarray(layer.input_mean), "variance": np.asarray(layer.input_variance)}
        if not layer.built:
            return None
        mean, variance = layer.adapt_mean.numpy(), layer.adapt_variance.numpy()
        return {"mean": mean, "variance": variance} if mean.any() or (variance != 1).any() else None
    if isinstance(layer, keras.layers.Discretization):
        return None if layer.bin_boundaries is None else {"bins": list(layer.bin_boundaries)}
    with tempfile.TemporaryDirectory() as folder:
        layer.save_assets(folder)
        files = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    return files or None


def _digest(state: Any) -> str | None:
    if state is None:
        return None
    plain = json.dumps(state, default=lambda value: value.hex() if isinstance(value, bytes) else np.asarray(value).tolist())
    return hashlib.sha256(plain.encode()).hexdigest()


def _give(layer: Any, state: Any) -> None:
    """Set a layer's state to that of another."""
    if isinstance(layer, _LOOKUPS):
        layer.set_vocabulary(state["vocabulary"], idf_weights=state["idf_weights"])
    elif isinstance(layer, keras.layers.Normalization):
        if not layer.built:
            raise TrainingError(
                f"Normalization {layer.name!r} is adapted on rank 0, and not built on other workers: build it there, too"
            )
        layer.adapt_mean.assign(state["mean"])
        layer.adapt_variance.assign(state["variance"])
        layer.finalize_state()
    elif isinstance(layer, keras.layers.Discretization):
        layer.bin_boundaries = state["bins"]
    else:
        with tempfile.TemporaryDirectory() as folder:
            for name, data in state.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            layer.load_assets(folder)


def _differ(kind: str, name: str, other: int, first_is_empty: bool) -> str:
    what = f"layer {name!r} ({kind}) has learned something else on rank {other} than on rank 0"
    if first_is_empty:
        what = f"layer {name!r} ({kind}) was adapted on rank {other}, and not on rank 0"
    return (
        f"{what}: adapt() in a worker sees that worker's rows alone, so the same value would be another number there. Call "
        "worker.adapt(layer, dataset) on all workers in place of layer.adapt(dataset), which goes by the rows of all; or adapt the "
        "layer on rank 0 alone, before worker.distribute(model), which then gives it to the others"
    )
