"""The hash of texts that Spark's HashingTF takes, as TensorFlow operations."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def murmur3(texts: Any, seed: int = 42) -> Any:
    """Return the 32-bit MurmurHash3 of texts' bytes, as org.apache.spark.unsafe.hash.Murmur3_x86_32.hashUnsafeBytes2 does.

    Args:
        texts: string tensor [n].
        seed: the hash's seed; 42 is HashingTF's.

    Returns:
        int32 tensor [n].

    Source: Austin Appleby, MurmurHash3 (public domain), the variant x86_32.
    """
    lengths = tf.strings.length(texts)
    words = tf.reduce_max(tf.concat([lengths, [0]], 0)) // 4 + 1  # with a word for what is left of the longest
    blocks = tf.bitcast(tf.io.decode_raw(texts, tf.int32, fixed_length=words * 4), tf.uint32)  # [n, words], zeros behind
    whole = lengths // 4

    def block(place: Any, state: Any) -> tuple[Any, Any]:
        mixed = tf.bitwise.bitwise_xor(state, _mixed(blocks[:, place]))
        mixed = _rotated(mixed, 13) * _uint(5) + _uint(0xE6546B64)
        return place + 1, tf.where(place < whole, mixed, state)

    start = tf.fill(tf.shape(lengths), _uint(seed))
    _, state = tf.while_loop(lambda place, _: place < words, block, (tf.constant(0), start))
    rest = tf.gather(blocks, whole, axis=1, batch_dims=1)
    state = tf.bitwise.bitwise_xor(state, _mixed(rest))
    state = tf.bitwise.bitwise_xor(state, tf.cast(lengths, tf.uint32))
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        state = tf.bitwise.bitwise_xor(state, tf.bitwise.right_shift(state, _uint(shift))) * _uint(factor)
    return tf.bitcast(state, tf.int32)


def _mixed(block: Any) -> Any:
    return _rotated(block * _uint(0xCC9E2D51), 15) * _uint(0x1B873593)


def _rotated(value: Any, by: int) -> Any:
    left, right = tf.bitwise.left_shift(value, _uint(by)), tf.bitwise.right_shift(value, _uint(32 - by))
    return tf.bitwise.bitwise_or(left, right)


def _uint(value: int) -> Any:
    return tf.constant(value, tf.uint32)
