"""What one key asks of another."""

from __future__ import annotations

import difflib
from collections import Counter
from math import prod
from typing import TYPE_CHECKING, Any, Callable, Collection, Iterable, Iterator, NamedTuple

from sparktrain.config.errors import Problem, show
from sparktrain.config.inputs import Feature, Label
from sparktrain.config.training import ONE_WORKER, WorkerRange

if TYPE_CHECKING:
    from sparktrain.config.job import Job

Check = Callable[["Job"], Iterable[Problem]]


class _Rule(NamedTuple):
    check: Check
    keys: tuple[str, ...]
    whole: bool


_RULES: list[_Rule] = []


def _rule(*keys: str, whole: bool = False) -> Callable[[Check], Check]:
    """Register a rule over the keys that it reads; it is left out where one of them is already wrong."""

    def register(check: Check) -> Check:
        _RULES.append(_Rule(check, keys, whole))
        return check

    return register


def broken(job: Job, wrong: Collection[str], whole: bool) -> Iterator[Problem]:
    """What is wrong between the keys.

    Args:
        job: a job whose single keys are right, but for `wrong`.
        wrong: keys (`section` or `section.key`) that can't be relied on.
        whole: whether the job must name its rows, its model and its output.
    """
    for rule in _RULES:
        reads = {part for key in rule.keys for part in (key, key.partition(".")[0])}
        if (whole or not rule.whole) and not reads & set(wrong):
            yield from rule.check(job)


def _among(prefix: str, values: Any, names: tuple[str, ...], needed: bool) -> Iterator[Problem]:
    given = [f"{prefix}.{name}" for name in names if getattr(values, name) is not None]
    one = f"exactly one of {', '.join(f'{prefix}.{name}' for name in names)}"
    if len(given) > 1:
        yield Problem(given[0], f"came together with {', '.join(given[1:])}", one,
                      "take out all but one (or set it to null)")
    elif needed and not given:
        yield Problem(prefix, f"none of {', '.join(names)} came", one)


@_rule("data.path", "data.table", "data.sql", "data.prepared")
def _one_source(job: Job) -> Iterator[Problem]:
    yield from _among("data", job.data, ("path", "table", "sql", "prepared"), needed=False)


@_rule("data.path", "data.table", "data.sql", "data.prepared", whole=True)
def _some_source(job: Job) -> Iterator[Problem]:
    if job.data.path is job.data.table is job.data.sql is job.data.prepared is None:
        yield Problem("data.path", "nothing came", "exactly one of data.path, data.table, data.sql, data.prepared",
                      "say where the rows are, such as hdfs:///data/flights")


@_rule("data")
def _already_prepared(job: Job) -> Iterator[Problem]:
    """A prepared frame has its preparation behind it, and Spark wrote its files."""
    data = job.data
    if data.prepared is None:
        return
    for name in ("where", "preprocess", "args", "validation", "pipeline", "sample"):
        if getattr(data, name):
            yield Problem(f"data.{name}", "came with data.prepared, whose rows have it behind them",
                          "it in the job that jobs/prepare.py is given, not here", "take it out (or set it to null)")
    for name, said in (("format", data.format != "parquet"), ("options", data.options), ("schema", data.schema),
                       ("corrupt", data.corrupt != "fail")):
        if said:
            yield Problem(f"data.{name}", "came with data.prepared", "data.path, whose files it is about", "take it out")


@_rule("data.path", "data.table", "data.sql", "data.prepared", "data.options", "data.schema", "data.format")
def _reader(job: Job) -> Iterator[Problem]:
    if job.data.prepared is not None:
        return
    elsewhere = "table" if job.data.table is not None else "sql" if job.data.sql is not None else ""
    for name, value in (("options", job.data.options), ("schema", job.data.schema)):
        if value and elsewhere:
            yield Problem(f"data.{name}", f"came with data.{elsewhere}", "data.path, whose files it is about",
                          "take it out")
    if job.data.schema and not elsewhere and job.data.format in ("parquet", "orc", "avro"):
        yield Problem("data.schema", f"came with data.format: {job.data.format}",
                      "a format whose files don't bring their own", "take it out")


_FORMATS = ("parquet", "orc", "avro", "csv", "json", "tfrecord", "text", "xml", "binaryFile", "image", "libsvm", "delta")


@_rule("data.format")
def _format(job: Job) -> Iterator[Problem]:
    """Spark knows more formats, so only what looks like a slip is refused here."""
    name = job.data.format
    if name == "jdbc":
        yield Problem("data.format", "jdbc came, which has no files", "a table of a JDBC catalog",
                      "name it in data.table, such as warehouse.sales.flights, with --conf spark.sql.catalog.warehouse="
                      "org.apache.spark.sql.execution.datasources.v2.jdbc.JDBCTableCatalog and …warehouse.url")
    known = {each.casefold(): each for each in _FORMATS}
    close = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.75)
    if name not in _FORMATS and close:
        yield Problem("data.format", f"{show(name)} came", "a format that Spark has a reader for",
                      f"did you mean {known[close[0]]}?")


@_rule("data.preprocess", "data.args", "data.prepared", whole=True)
def _preprocess_args(job: Job) -> Iterator[Problem]:
    if job.data.args and job.data.preprocess is None and job.data.prepared is None:
        yield Problem("data.args", "came without data.preprocess", "data.preprocess, whose arguments they are",
                      "name the function, or take them out")


@_rule("data.validation")
def _validation(job: Job) -> Iterator[Problem]:
    validation = job.data.validation
    if validation is not None:
        yield from _among("data.validation", validation, ("fraction", "where", "path"), needed=True)
        if validation.by is not None and validation.fraction is None:
            yield Problem("data.validation.by", "came without data.validation.fraction",
                          "data.validation.fraction", "say which share, such as fraction: 0.1")


@_rule("data.sample")
def _sample(job: Job) -> Iterator[Problem]:
    if job.data.sample is not None:
        yield from _among("data.sample", job.data.sample, ("fraction", "per_class", "fractions"), needed=True)


@_rule("data.features")
def _features(job: Job) -> Iterator[Problem]:
    features = job.data.features
    if isinstance(features, list):
        yield from _once("data.features", [one.column if isinstance(one, Feature) else one for one in features])
        for number, feature in enumerate(features):
            if isinstance(feature, Feature):
                yield from _sequence(f"data.features[{number}]", feature)
        return
    for name, feature in features.items():
        key = f"data.features.{name}"
        if isinstance(feature, list):
            yield from _once(key, feature)
        elif isinstance(feature, Feature):
            yield from _sequence(key, feature)


def _sequence(key: str, feature: Feature) -> Iterator[Problem]:
    if feature.length is None:
        for name, value, default in (("pad", feature.pad, 0), ("side", feature.side, "pre")):
            if value != default:
                yield Problem(f"{key}.{name}", f"came without {key}.length", "length, which they belong to",
                              "say how long the padded sequence is to be, such as length: 200")
    elif feature.shape is not None and prod(feature.shape) % feature.length:
        yield Problem(f"{key}.shape", f"{show(feature.shape)} came with length: {feature.length}",
                      f"a shape of {feature.length} numbers, or of a multiple",
                      "leave it out, and it is found from the data")


def _once(key: str, values: list[Any]) -> Iterator[Problem]:
    for value, count in Counter(values).items():
        if count > 1:
            yield Problem(key, f"{show(value)} stands {count} times", "each once", "take the others out")


@_rule("data.label")
def _classes(job: Job) -> Iterator[Problem]:
    classes = job.data.classes
    if classes is not None:
        if len({type(one) for one in classes}) > 1:
            yield Problem("data.label.classes", f"{show(classes)} came", "all integers, all strings or all booleans",
                          "quote the strings, such as \"1\"")
        else:
            yield from _once("data.label.classes", classes)


@_rule("data.label")
def _several_labels(job: Job) -> Iterator[Problem]:
    yield from _once("data.label", list(job.data.labels))
    for name in job.data.outputs or ():
        meant = difflib.get_close_matches(name, Label.model_fields, n=1, cutoff=0.75)
        if meant:
            yield Problem(f"data.label.{name}", f"{show(name)} came as the name of an output", "the names of the model's outputs, or column "
                          "and classes", f"did you mean {meant[0]}?")


@_rule("training.class_weight", "data.label")
def _weighted_outputs(job: Job) -> Iterator[Problem]:
    if job.training.class_weight is not None and job.data.more_labels:
        yield Problem("training.class_weight", f"came with {len(job.data.labels)} labels",
                      "one label, whose classes it weighs", "take it out, or weigh the rows by data.weight")


@_rule("data.sample", "data.label")
def _sampled_classes(job: Job) -> Iterator[Problem]:
    if job.data.sample is not None and job.data.sample.fractions is not None:
        yield from _known_classes(job, "data.sample.fractions", job.data.sample.fractions)


@_rule("training.class_weight", "data.label", "data.prepared", "model.load")
def _weighted_classes(job: Job) -> Iterator[Problem]:
    weights = job.training.class_weight
    if weights is None:
        return
    if job.data.classes is not None:
        yield from _known_classes(job, "training.class_weight", weights)
    elif job.model.load is job.data.prepared is None and any(isinstance(label, str) for label in weights):
        yield Problem("training.class_weight", f"names classes by strings: {show(list(weights))}",
                      "data.label with its classes, in the order of the model's outputs",
                      f"label: {{column: {job.data.label_column}, classes: […]}}")


def _known_classes(job: Job, key: str, named: dict[Any, float]) -> Iterator[Problem]:
    classes = job.data.classes
    known = None if classes is None else [(type(one), one) for one in classes]
    for label in named:
        if known is not None and (type(label), label) not in known:
            yield Problem(f"{key}.{str(label).lower() if isinstance(label, bool) else label}",
                          f"no class {show(label)}", f"one of data.label.classes: {show(classes)}")


@_rule("model.build", "model.load")
def _one_model(job: Job) -> Iterator[Problem]:
    yield from _among("model", job.model, ("build", "load"), needed=False)


@_rule("model.build", "model.load", whole=True)
def _some_model(job: Job) -> Iterator[Problem]:
    if job.model.build is job.model.load is None:
        yield Problem("model.build", "nothing came", "exactly one of model.build, model.load",
                      "name the function that returns the compiled model, as module:function")


@_rule("model.build", "model.load", "model.args", whole=True)
def _model_args(job: Job) -> Iterator[Problem]:
    if job.model.args and job.model.build is None:
        yield Problem("model.args", "came without model.build", "model.build, whose arguments they are",
                      "take them out")


@_rule("training.engine", "training.workers")
def _one_worker(job: Job) -> Iterator[Problem]:
    if job.training.engine in ONE_WORKER and job.training.workers != 1:
        workers = job.training.workers
        came = show(workers.model_dump() if isinstance(workers, WorkerRange) else workers)
        yield Problem("training.workers", f"{came} came with engine: {job.training.engine}",
                      "1, as that engine has one worker", "set workers: 1, or engine: horovod")


@_rule("training.batch_size", "training.global_batch_size")
def _one_batch_size(job: Job) -> Iterator[Problem]:
    yield from _among("training", job.training, ("batch_size", "global_batch_size"), needed=False)


@_rule("training.average", "training.scale_learning_rate")
def _scaled_steps(job: Job) -> Iterator[Problem]:
    if job.training.scale_learning_rate is not None and job.training.average != "step":
        yield Problem("training.scale_learning_rate", f"came with average: {show(job.training.average)}",
                      "average: step, where a step has the rows of all workers",
                      "take it out: a local step has one worker's rows, and its learning rate")


@_rule("training.average", "training.checkpoint")
def _alike_within_an_epoch(job: Job) -> Iterator[Problem]:
    checkpoint = job.training.checkpoint
    if checkpoint is not None and checkpoint.steps is not None and job.training.average == "epoch":
        yield Problem("training.checkpoint.every", f"{checkpoint.steps} came with average: epoch",
                      "every: epoch, as the workers' weights differ until then", "or average after a number of steps")


@_rule("training.global_batch_size", "training.workers")
def _a_row_each(job: Job) -> Iterator[Problem]:
    size, workers = job.training.global_batch_size, job.training.workers
    most = workers.max if isinstance(workers, WorkerRange) else workers
    if size is not None and size < most:
        yield Problem("training.global_batch_size", f"{size} came with {most} workers",
                      f"at least {most}, a row for each worker", "take fewer workers or a larger batch")


@_rule("training.workers", "training.global_batch_size", "training.scale_learning_rate")
def _any_number_of_workers(job: Job) -> Iterator[Problem]:
    workers = job.training.workers
    if not isinstance(workers, WorkerRange):
        return
    if workers.min > workers.max:
        yield Problem("training.workers", show(workers.model_dump()), "min of at most max", "exchange them")
    if job.training.global_batch_size is None:
        yield Problem("training.workers", f"{show(workers.model_dump())} came without training.global_batch_size",
                      "a batch of all workers together, which is the same however many there are",
                      "set training.global_batch_size in place of batch_size")
    if job.training.scale_learning_rate is not None:
        yield Problem("training.scale_learning_rate", f"came with workers: {show(workers.model_dump())}",
                      "a learning rate that is right for global_batch_size, which doesn't grow with the workers",
                      "take it out")


@_rule("training.early_stopping", "data.validation", "data.prepared")   # whether a prepared frame has any it says itself
def _monitored(job: Job) -> Iterator[Problem]:
    stop = job.training.early_stopping
    if stop is not None and stop.monitor.startswith("val_") and job.data.validation is job.data.prepared is None:
        yield Problem("training.early_stopping.monitor", f"{stop.monitor} came without data.validation",
                      "validation rows to measure it on", "set data.validation: {fraction: 0.1}, or monitor: loss")


@_rule("training.save", "data.validation", "data.prepared")
def _best(job: Job) -> Iterator[Problem]:
    if job.training.save == "best" and job.data.validation is job.data.prepared is None:
        yield Problem("training.save", "best came without data.validation", "validation rows to tell the best epoch by",
                      "set data.validation: {fraction: 0.1}, or save: last")


@_rule("output.path", whole=True)
def _some_output(job: Job) -> Iterator[Problem]:
    if job.output.path is None:
        yield Problem("output.path", "nothing came", "a folder's URL",
                      "say where the model is to go, such as hdfs:///models/flights")


@_rule("output.path")
def _shared_output(job: Job) -> Iterator[Problem]:
    """What each process has a folder of its own under would leave the model nowhere when the run has finished."""
    path = job.output.path or ""
    if path.startswith("memory:"):
        yield Problem("output.path", show(path), "a storage that the workers and the driver share, as memory:// is "
                      "another one in each process", "take hdfs:// or file:///")
    if path.startswith("local:"):
        yield Problem("output.path", show(path), "file://, by which a folder of this machine goes",
                      f"write file://{path.removeprefix('local:').removeprefix('//')}")
