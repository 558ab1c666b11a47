"""Pads and cuts sequences to one length."""

from __future__ import annotations

import numpy as np


def pad(elements: np.ndarray, offsets: np.ndarray, length: int, value: float | bytes, side: str) -> np.ndarray:
    """Pad and cut sequences to one length.

    Side "pre" is the same as keras.utils.pad_sequences by default (padding="pre", truncating="pre"): padding goes before the
    sequence, and of a longer one the last `length` elements are kept. With side "post", padding goes after it, and the first
    elements are kept (padding="post", truncating="post").

    Args:
        elements: [total, ...], the elements of all sequences, one after another.
        offsets: [n + 1], the start of each sequence and the end of the last, from 0 to total.
        length: the length to pad or cut to.
        value: the element to pad with.
        side: "pre" or "post".

    Returns:
        [n, length, ...] of the elements' dtype. Shares memory with `elements` if all sequences have the length.
    """
    count = len(offsets) - 1
    lengths = np.diff(offsets)
    if (lengths == length).all():
        return elements.reshape(count, length, *elements.shape[1:])
    kept = np.minimum(lengths, length)
    # The offsets of the kept elements' positions, in source and target, from their running number.
    running = np.cumsum(kept) - kept
    target = np.arange(count) * length - running
    source = offsets[:-1] - running
    if side == "pre":
        target += length - kept
        source = source + (lengths - kept)
    number = np.arange(int(kept.sum()))
    padded = np.full((count * length, *elements.shape[1:]), value, dtype=elements.dtype)
    padded[np.repeat(target, kept) + number] = elements[np.repeat(source, kept) + number]
    return padded.reshape(count, length, *elements.shape[1:])
