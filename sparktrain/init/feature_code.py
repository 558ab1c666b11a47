"""Holds the Python text of a job's module for each kind of feature; templates.py puts the module together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparktrain.init.features import Feature


@dataclass(frozen=True)
class Section:
    """The text of the Python module for the features of one kind.

    Attributes:
        takes: returns whether a feature is of this kind.
        table: the name of the module's dict of these features.
        comment: the comment above the dict.
        entry: returns the text of a feature's value in the dict.
        columns: the text by which `prepare` selects these columns.
        inputs: the text by which `build_model` makes and encodes these inputs.
    """

    takes: Callable[[Feature], bool]
    table: str
    comment: str
    entry: Callable[[Feature], str]
    columns: str
    inputs: str


def _of(kind: str) -> Callable[[Feature], bool]:
    return lambda feature: feature.kind == kind


_WORDS = """
    for name, length in {table}.items():
        words = keras.Input((length,), dtype="string", name=name)
        inputs.append(words)
        numbers = layers.Hashing(HASHES, mask_value="")(words)
        encoded.append(layers.GlobalMaxPooling1D()(layers.Embedding(HASHES, 16)(numbers)))
"""
_VECTORS = """
    for name, (length, mean, std) in {table}.items():
        vector = keras.Input((length,), name=name)
        inputs.append(vector)
        encoded.append(layers.Rescaling(1 / std, -mean / std)(vector))
"""
SECTIONS = (
    Section(
        _of("number"),
        "NUMBERS",
        "Numbers: the mean, which replaces missing values, and the standard deviation; both scale the column.",
        lambda feature: f"({feature.mean!r}, {feature.std!r})",
        """\
        *[F.coalesce(F.nanvl(F.col(name).try_cast("float"), F.lit(None)), F.lit(mean)).cast("float").alias(name)
          for name, (mean, _) in NUMBERS.items()],
""",
        """
    numbers = keras.Input((len(NUMBERS),), name="numbers")
    inputs.append(numbers)
    mean, std = zip(*NUMBERS.values())
    encoded.append(layers.Normalization(mean=mean, variance=[deviation**2 for deviation in std])(numbers))
""",
    ),
    Section(
        _of("category"),
        "CATEGORIES",
        "Categories: the values that each had in the rows that were read; all others and missing ones count as one more value.",
        lambda feature: repr(list(feature.values)),
        """\
        *[F.coalesce(F.col(name).cast("string"), F.lit("")).alias(name) for name in CATEGORIES],
""",
        """
    for name, values in CATEGORIES.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        number = layers.StringLookup(vocabulary=values)(word)
        encoded.append(layers.Flatten()(layers.Embedding(len(values) + 1, 8)(number)))
""",
    ),
    Section(
        _of("hashed"),
        "HASHED",
        "Strings with many different values, which are hashed: the number of hashes.",
        lambda feature: str(1 << max(10, feature.shape[0].bit_length())),
        """\
        *[F.coalesce(F.col(name).cast("string"), F.lit("")).alias(name) for name in HASHED],
""",
        """
    for name, hashes in HASHED.items():
        word = keras.Input((1,), dtype="string", name=name)
        inputs.append(word)
        encoded.append(layers.Flatten()(layers.Embedding(hashes, 8)(layers.Hashing(hashes)(word))))
""",
    ),
    Section(
        _of("text"),
        "TEXTS",
        "Texts: the number of words that are used of each; words are hashed.",
        lambda feature: str(feature.shape[0]),
        """\
        *[F.split(F.lower(F.trim(F.coalesce(name, F.lit("")))), r"\\W+").alias(name) for name in TEXTS],
""",
        _WORDS.format(table="TEXTS"),
    ),
    Section(
        _of("items"),
        "ITEMS",
        "Arrays of ids or strings: the number of items that are used of each; items are hashed.",
        lambda feature: str(feature.shape[0]),
        """\
        *[F.coalesce(F.filter(F.col(name).cast("array<string>"), lambda item: item.isNotNull()), F.array()).alias(name)
          for name in ITEMS],
""",
        _WORDS.format(table="ITEMS"),
    ),
    Section(
        _of("sequence"),
        "SEQUENCES",
        "Sequences: the shape, [steps] or [steps, numbers], and the mean and the standard deviation of the numbers.",
        lambda feature: f"({feature.shape!r}, {feature.mean!r}, {feature.std!r})",
        """\
        *[F.coalesce(F.col(name).cast("array<float>" if len(shape) == 1 else "array<array<float>>"), F.array()).alias(name)
          for name, (shape, _, _) in SEQUENCES.items()],
""",
        """
    for name, (shape, mean, std) in SEQUENCES.items():
        steps = keras.Input(shape, name=name)
        inputs.append(steps)
        scaled = layers.Rescaling(1 / std, -mean / std)(steps)
        encoded.append(layers.LSTM(units)(layers.Reshape((shape[0], -1))(scaled)))
""",
    ),
    Section(
        lambda feature: feature.kind == "vector" and not feature.is_vector,
        "VECTORS",
        "Arrays of one length: the length, and the mean, which replaces missing arrays, and the standard deviation of the numbers.",
        lambda feature: f"({feature.shape[0]}, {feature.mean!r}, {feature.std!r})",
        """\
        *[F.coalesce(F.col(name).cast("array<float>"), F.array_repeat(F.lit(mean).cast("float"), length)).alias(name)
          for name, (length, mean, _) in VECTORS.items()],
""",
        _VECTORS.format(table="VECTORS"),
    ),
    Section(
        lambda feature: feature.kind == "vector" and feature.is_vector,
        "SPARK_VECTORS",
        "Spark ML vectors: the length, and the mean and the standard deviation of the numbers.",
        lambda feature: f"({feature.shape[0]}, {feature.mean!r}, {feature.std!r})",
        """\
        *SPARK_VECTORS,
""",
        _VECTORS.format(table="SPARK_VECTORS"),
    ),
)
