"""Stages that take texts apart and count their words, as TensorFlow operations on ragged tensors of words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from sparktrain.export.errors import ExportError
from sparktrain.export.murmur import murmur3
from sparktrain.export.operations import Operations, each_column, table
from sparktrain.export.saved_stages import SavedStage

_BETWEEN = "\x1f"  # the unit separator: put between words, to split there
_SPACE = r"[ \t\n\x0B\f\r]"  # what \s is in Java


def tokenizer(stage: SavedStage) -> Operations:
    """From texts to their words in lower case, between single spaces; empty ones at the end are left out, as Java does."""

    def run(text: Any) -> Any:
        words = _split(tf.strings.lower(text, encoding="utf-8"), _SPACE)
        counts = words.row_lengths()
        # A text that is empty is one empty word; of others the empty ones behind the last word are left out
        lengths = tf.strings.length(words)
        places = tf.ragged.range(counts)
        last = tf.reduce_max(tf.where(lengths > 0, places + 1, tf.zeros_like(places)), 1)
        left = tf.where(counts > 1, tf.cast(tf.maximum(last, 0), counts.dtype), counts)
        return tf.ragged.boolean_mask(words, places < tf.cast(left, places.dtype)[:, None])

    return Operations(stage, each_column(lambda conditions, column: run(column)), texts=True)


def regex_tokenizer(stage: SavedStage) -> Operations:
    """From texts to the words between matches of a pattern, or to the matches.

    Raises:
        ExportError: TensorFlow's regular expressions (RE2) don't know the pattern, or words may be empty.
    """
    pattern, least = java_pattern(stage.params["pattern"]), stage.params["minTokenLength"]
    if least < 1:
        raise ExportError(f"{stage} has minTokenLength {least}: expected 1 or more, as empty words are counted otherwise here")
    try:
        tf.strings.regex_replace("", pattern, "")
    except tf.errors.InvalidArgumentError as error:
        raise ExportError(
            f"{stage} has the pattern {stage.params['pattern']!r}, which TensorFlow's regular expressions (RE2) don't know: {error.message}"
        ) from error

    def run(text: Any) -> Any:
        if stage.params["toLowercase"]:
            text = tf.strings.lower(text, encoding="utf-8")
        if stage.params["gaps"]:
            words = _split(text, pattern)
        else:  # what is between two marks, every second part, is a match
            parts = tf.strings.split(tf.strings.regex_replace(text, pattern, rf"{_BETWEEN}\0{_BETWEEN}"), _BETWEEN)
            words = tf.ragged.boolean_mask(parts, tf.ragged.range(parts.row_lengths()) % 2 == 1)
        return tf.ragged.boolean_mask(words, tf.strings.length(words, unit="UTF8_CHAR") >= least)

    return Operations(stage, each_column(lambda conditions, column: run(column)), texts=True)


def java_pattern(pattern: str) -> str:
    r"""Return a regular expression of Java for RE2, where the same text means another thing: Java's \s has \v."""
    made, inside, place = "", False, 0
    while place < len(pattern):
        piece = pattern[place : place + 2] if pattern[place] == "\\" else pattern[place]
        place += len(piece)
        if piece == r"\s":
            made += r"\s\x0B" if inside else r"[\s\x0B]"
            continue
        if piece == r"\S" and not inside:
            made += r"[^\s\x0B]"
            continue
        inside = piece == "[" or (inside and piece != "]")
        made += piece
    return made


def _split(text: Any, pattern: str) -> Any:
    return tf.strings.split(tf.strings.regex_replace(text, pattern, _BETWEEN), _BETWEEN)


def stop_words_remover(stage: SavedStage) -> Operations:
    """Words, without some."""
    exact = stage.params["caseSensitive"]
    listed = list(dict.fromkeys(word if exact else word.lower() for word in stage.params["stopWords"]))
    words_left_out = table(tf.constant(listed, tf.string), range(len(listed)), -1)

    def run(words: Any) -> Any:
        flat = words.flat_values if exact else tf.strings.lower(words.flat_values, encoding="utf-8")
        return tf.ragged.boolean_mask(words, words.with_flat_values(words_left_out.lookup(flat) < 0))

    return Operations(stage, _of_words(run), [words_left_out], texts=True)


def hashing_tf(stage: SavedStage) -> Operations:
    """From words to their counts, each at the place of its hash."""
    size = stage.params["numFeatures"]

    def run(words: Any) -> Any:
        places = tf.math.floormod(murmur3(words.flat_values), size)
        counts = _counts(words, tf.cast(places, tf.int64), size)
        return tf.cast(counts > 0, tf.float64) if stage.params["binary"] else counts

    return Operations(stage, _of_words(run), texts=True)


def count_vectorizer(stage: SavedStage) -> Operations:
    """From words to their counts, each at its place in a vocabulary."""
    vocabulary, least = stage.rows[0]["vocabulary"], stage.number("minTF")
    places_of = table(tf.constant(vocabulary, tf.string), range(len(vocabulary)), len(vocabulary))

    def run(words: Any) -> Any:
        size = len(vocabulary)
        counts = _counts(words, places_of.lookup(words.flat_values), size + 1)[:, :size]  # the last: all other words
        if least >= 1:
            enough = tf.constant(least, tf.float64)
        else:  # a share of the text's words, the unknown ones too
            enough = least * tf.cast(words.row_lengths(), tf.float64)[:, None]
        counts = tf.where(counts >= enough, counts, tf.zeros_like(counts))
        return tf.cast(counts > 0, tf.float64) if stage.params["binary"] else counts

    return Operations(stage, _of_words(run), [places_of], texts=True)


def word2vec(stage: SavedStage) -> Operations:
    """From words to the mean of their vectors, of which those of unknown words are 0."""
    known = [row["word"] for row in stage.rows]
    vectors = np.array([row["vector"] for row in stage.rows], np.float64)
    places_of = table(tf.constant(known, tf.string), range(len(known)), len(known))

    def run(words: Any) -> Any:
        all_vectors = tf.concat([tf.constant(vectors), tf.zeros((1, vectors.shape[1]), tf.float64)], 0)
        each = words.with_flat_values(tf.gather(all_vectors, places_of.lookup(words.flat_values)))
        count = tf.cast(tf.maximum(words.row_lengths(), 1), tf.float64)
        total = tf.math.unsorted_segment_sum(each.flat_values, words.value_rowids(), words.nrows())
        return tf.reshape(total / count[:, None], (-1, vectors.shape[1]))

    return Operations(stage, _of_words(run), [places_of], texts=True)


def _counts(words: Any, places: Any, size: int) -> Any:
    """Return how often each place occurs in each row, float64 [n, size]."""
    at = words.value_rowids() * size + places
    flat = tf.math.unsorted_segment_sum(tf.ones_like(at, tf.float64), at, words.nrows() * size)
    return tf.reshape(flat, (-1, size))


def _of_words(function: Callable[[Any], Any]) -> Any:
    """Return what reads columns of words, which are ragged from a stage before, and dense [n, words] where they come so."""

    def run(conditions: Any, column: Any) -> Any:
        return function(column if isinstance(column, tf.RaggedTensor) else tf.RaggedTensor.from_tensor(column))

    return each_column(run)
