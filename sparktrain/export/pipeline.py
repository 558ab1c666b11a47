"""Which stages of a run's fitted pipeline an export has in front of the model, and as what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from sparktrain.export import categories, numbers, texts
from sparktrain.export.errors import ExportError
from sparktrain.export.operations import Operations
from sparktrain.export.saved_stages import SavedStage

_KINDS: dict[str, Callable[[SavedStage], Operations]] = {
    "Binarizer": numbers.binarizer,
    "Bucketizer": numbers.bucketizer,
    "ChiSqSelector": numbers.selector,
    "CountVectorizer": texts.count_vectorizer,
    "ElementwiseProduct": numbers.elementwise_product,
    "HashingTF": texts.hashing_tf,
    "IDF": numbers.idf,
    "Imputer": numbers.imputer,
    "IndexToString": categories.index_to_string,
    "MaxAbsScaler": numbers.max_abs_scaler,
    "MinMaxScaler": numbers.min_max_scaler,
    "Normalizer": numbers.normalizer,
    "OneHotEncoder": categories.one_hot_encoder,
    "PCA": numbers.pca,
    "RegexTokenizer": texts.regex_tokenizer,
    "RobustScaler": numbers.robust_scaler,
    "StandardScaler": numbers.standard_scaler,
    "StopWordsRemover": texts.stop_words_remover,
    "StringIndexer": categories.string_indexer,
    "TargetEncoder": categories.target_encoder,
    "Tokenizer": texts.tokenizer,
    "UnivariateFeatureSelector": numbers.selector,
    "VarianceThresholdSelector": numbers.selector,
    "VectorAssembler": numbers.vector_assembler,
    "VectorSlicer": numbers.vector_slicer,
    "Word2Vec": texts.word2vec,
}


@dataclass(frozen=True)
class InFront:
    """What is in front of the model.

    Attributes:
        operations: the stages that the model's columns are made by, in their order.
        columns: the columns that go in.
        left_out: the stages that the caller applies before.
    """

    operations: tuple[Operations, ...]
    columns: tuple[str, ...]
    left_out: tuple[SavedStage, ...]


def needed_stages(stages: Sequence[SavedStage], columns: Collection[str]) -> tuple[list[SavedStage], set[str]]:
    """Return the stages that make columns, directly or by others, in their order, and the columns that those are made of.

    Args:
        stages: all stages, in their order.
        columns: the columns that are needed behind them.
    """
    needed, found = set(columns), []
    for stage in reversed(stages):
        if needed & set(stage.makes):
            needed = (needed - set(stage.makes)) | set(stage.reads)
            found.append(stage)
    return found[::-1], needed


def in_front(stages: Sequence[SavedStage], columns: Sequence[str], form: str, leave_out: bool) -> InFront:
    """Return what is in front of the model.

    A stage that the model's columns don't depend on, such as the label's StringIndexer, is in no export.

    Args:
        stages: the run's fitted pipeline.
        columns: the columns that the model takes.
        form: savedmodel, onnx or keras.
        leave_out: leave out the stages that can't be exported, and those before them that nothing else needs.

    Raises:
        ExportError: a stage can't be exported and isn't to be left out.
    """
    # A stage that doesn't tell its columns may make any, and read any that is there before it
    silent = max((number for number, stage in enumerate(stages) if not stage.makes), default=-1)
    needed, _ = needed_stages(stages[silent + 1 :], columns)
    made: list[Operations] = []
    refused = [(stage, f"{stage} is not among the stages that can be") for stage in stages[: silent + 1] if not stage.makes]
    for stage in needed:
        try:
            operations = _operations(stage, form)
        except ExportError as error:
            refused.append((stage, str(error)))
        else:
            made.append(operations)
    if refused and not leave_out:
        why = "\n".join(f"  {reason}" for _, reason in refused)
        raise ExportError(
            f"the run's pipeline can't be exported as {form}:\n{why}\nExpected stages of {', '.join(_KINDS)}. Leave such stages out with "
            "--leave-out (in Python, leave_out=True): the exported model then takes the columns that they make"
        )
    # The caller applies what is left out, and so what that is made of. What those stages make goes in as it is
    out, _ = needed_stages(needed, {name for stage, _ in refused for name in stage.makes})
    out = [*stages[: silent + 1], *out]
    kept = [each for each in made if each.stage not in out]
    makes = {name for each in kept for name in each.stage.makes}
    reads = [name for each in kept for name in each.stage.reads] + list(columns)
    return InFront(tuple(kept), tuple(dict.fromkeys(name for name in reads if name not in makes)), tuple(out))


def _operations(stage: SavedStage, form: str) -> Operations:
    if stage.kind not in _KINDS:
        raise ExportError(f"{stage} is not among the stages that can be")
    if form == "keras":
        raise ExportError(f"{stage}: a Keras file holds the model alone")
    operations = _KINDS[stage.kind](stage)
    if form == "onnx" and operations.texts:
        raise ExportError(f"{stage}: ONNX has no operations that take texts apart")
    return operations
