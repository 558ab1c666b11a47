"""The rules of the sections `model`, `training` and `output`."""

from __future__ import annotations

from collections.abc import Iterator

from sparktrain.config.errors import Problem, show
from sparktrain.config.rules.rule import among, rule
from sparktrain.config.training import Model, Output, Training, WorkerRange
from sparktrain.interfaces.engines import ENGINES


@rule(Model, "build", "load")
def _one_model(model: Model) -> Iterator[Problem]:
    yield from among("model", model, ("build", "load"), needed=False)


@rule(Model, "build", "load", whole=True)
def _some_model(model: Model) -> Iterator[Problem]:
    if model.build is model.load is None:
        yield Problem(
            "model.build",
            "nothing came",
            "exactly one of model.build, model.load",
            "name the function that returns the compiled model, as module:function",
        )


@rule(Model, "build", "load", "args", whole=True)
def _model_args(model: Model) -> Iterator[Problem]:
    if model.args and model.build is None:
        yield Problem("model.args", "came without model.build", "model.build, whose arguments they are", "remove them")


@rule(Training, "engine", "workers")
def _one_worker(training: Training) -> Iterator[Problem]:
    if ENGINES[training.engine].one_worker and training.workers != 1:
        workers = training.workers
        came = show(workers.model_dump() if isinstance(workers, WorkerRange) else workers)
        yield Problem(
            "training.workers",
            f"{came} came with engine: {training.engine}",
            "1, as that engine has one worker",
            "set workers: 1, or engine: horovod",
        )


@rule(Training, "batch_size", "global_batch_size")
def _one_batch_size(training: Training) -> Iterator[Problem]:
    yield from among("training", training, ("batch_size", "global_batch_size"), needed=False)


@rule(Training, "average", "scale_learning_rate")
def _scaled_steps(training: Training) -> Iterator[Problem]:
    if training.scale_learning_rate is not None and training.average != "step":
        yield Problem(
            "training.scale_learning_rate",
            f"came with average: {show(training.average)}",
            "average: step, where a step has the rows of all workers",
            "remove it: a local step has one worker's rows, and its learning rate",
        )


@rule(Training, "average", "checkpoint")
def _alike_within_an_epoch(training: Training) -> Iterator[Problem]:
    checkpoint = training.checkpoint
    if checkpoint is not None and checkpoint.steps is not None and training.average == "epoch":
        yield Problem(
            "training.checkpoint.every",
            f"{checkpoint.steps} came with average: epoch",
            "every: epoch, as the workers' weights differ until then",
            "or average after a number of steps",
        )


@rule(Training, "global_batch_size", "workers")
def _a_row_each(training: Training) -> Iterator[Problem]:
    size, workers = training.global_batch_size, training.workers
    most = workers.max if isinstance(workers, WorkerRange) else workers
    if size is not None and size < most:
        yield Problem(
            "training.global_batch_size",
            f"{size} came with {most} workers",
            f"at least {most}, a row for each worker",
            "use fewer workers or a larger batch",
        )


@rule(Training, "workers", "global_batch_size", "scale_learning_rate")
def _any_number_of_workers(training: Training) -> Iterator[Problem]:
    workers = training.workers
    if not isinstance(workers, WorkerRange):
        return
    if workers.min > workers.max:
        yield Problem("training.workers", show(workers.model_dump()), "min of at most max", "swap them")
    if training.global_batch_size is None:
        yield Problem(
            "training.workers",
            f"{show(workers.model_dump())} came without training.global_batch_size",
            "a batch of all workers together, whose size doesn't depend on their number",
            "set training.global_batch_size instead of batch_size",
        )
    if training.scale_learning_rate is not None:
        yield Problem(
            "training.scale_learning_rate",
            f"came with workers: {show(workers.model_dump())}",
            "a learning rate that suits global_batch_size, which doesn't grow with the workers",
            "remove it",
        )


@rule(Output, "path", whole=True)
def _some_output(output: Output) -> Iterator[Problem]:
    if output.path is None:
        yield Problem(
            "output.path", "nothing came", "a folder's URL", "set where the model is written, such as hdfs:///models/flights"
        )


@rule(Output, "path")
def _shared_output(output: Output) -> Iterator[Problem]:
    """Refuse storage that processes don't share: the model would be lost when the run has finished."""
    path = output.path or ""
    if path.startswith("memory:"):
        yield Problem(
            "output.path",
            show(path),
            "a storage that the workers and the driver share; memory:// is separate in each process",
            "use hdfs:// or file:///",
        )
    if path.startswith("local:"):
        yield Problem(
            "output.path",
            show(path),
            "file:// for a folder on this machine",
            f"write file://{path.removeprefix('local:').removeprefix('//')}",
        )
