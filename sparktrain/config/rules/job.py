"""Rules between the sections of a job."""

from __future__ import annotations

from collections.abc import Iterator

from sparktrain.config.errors import Problem, show
from sparktrain.config.job import Job
from sparktrain.config.rules.data import known_classes
from sparktrain.config.rules.rule import rule


@rule(Job, "training.class_weight", "data.label")
def _weighted_outputs(job: Job) -> Iterator[Problem]:
    if job.training.class_weight is not None and job.data.more_labels:
        yield Problem(
            "training.class_weight",
            f"came with {len(job.data.labels)} labels",
            "one label, whose classes it weights",
            "remove it, or weight the rows with data.weight",
        )


@rule(Job, "training.class_weight", "data.label", "data.prepared", "model.load")
def _weighted_classes(job: Job) -> Iterator[Problem]:
    weights = job.training.class_weight
    if weights is None:
        return
    if job.data.classes is not None:
        yield from known_classes(job.data, "training.class_weight", weights)
    elif job.model.load is job.data.prepared is None and any(isinstance(label, str) for label in weights):
        yield Problem(
            "training.class_weight",
            f"names classes by strings: {show(list(weights))}",
            "data.label with its classes, in the order of the model's outputs",
            f"label: {{column: {job.data.label_column}, classes: […]}}",
        )


@rule(Job, "training.early_stopping", "data.validation", "data.prepared")  # a prepared frame is checked when it is read
def _monitored(job: Job) -> Iterator[Problem]:
    stop = job.training.early_stopping
    if stop is not None and stop.monitor.startswith("val_") and job.data.validation is job.data.prepared is None:
        yield Problem(
            "training.early_stopping.monitor",
            f"{stop.monitor} came without data.validation",
            "validation rows to measure it on",
            "set data.validation: {fraction: 0.1}, or monitor: loss",
        )


@rule(Job, "training.save", "data.validation", "data.prepared")
def _best(job: Job) -> Iterator[Problem]:
    if job.training.save == "best" and job.data.validation is job.data.prepared is None:
        yield Problem(
            "training.save",
            "best came without data.validation",
            "validation rows to find the best epoch by",
            "set data.validation: {fraction: 0.1}, or save: last",
        )
