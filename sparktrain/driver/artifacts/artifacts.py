"""Writes the files that a run keeps beside its model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from sparktrain.config import Job
from sparktrain.data import Prepared, check_writable
from sparktrain.driver.artifacts.plots import curves
from sparktrain.driver.model.model_source import GIVEN
from sparktrain.interfaces.messages import Finished
from sparktrain.runs.json_text import write_json
from sparktrain.runs.paths import KEPT, LINEAGE, MODEL
from sparktrain.runs.records.origin import Lineage
from sparktrain.runs.records.signature import Signature, SignatureColumn, SignatureInput, SignatureOutput
from sparktrain.storage import Folder, NotFound


def keep_fitted(folder: Folder, prepared: Prepared) -> None:
    """Write the fitted pipeline and the classes, if there are any, into a folder."""
    if prepared.pipeline is not None:
        check_writable(prepared.frame.sparkSession, folder.url, "the fitted pipeline")
        prepared.pipeline.write().overwrite().save(f"{folder.url}/pipeline")
    if prepared.labels is not None:
        write_json(folder, "classes.json", prepared.labels)


def keep_known(staged: Folder, job: Job, prepared: Prepared) -> None:
    """Write what is known before training: a failure to write it then costs no hours of training."""
    keep_fitted(staged, prepared)
    staged.write_text("job.yaml", job.to_yaml())


def signature_record(job: Job, prepared: Prepared, leader: Finished) -> Signature:
    """Return the signature of a trained model: what rank 0 says of it, with the columns that its inputs are made of.

    Args:
        leader: how rank 0 ended.
    """
    columns = {source.name: [SignatureColumn(**asdict(column)) for column in source.columns] for source in job.data.inputs}
    outputs = leader.signature["outputs"]
    named = dict(zip(job.data.outputs or [output["name"] for output in outputs], job.data.labels, strict=False))
    return Signature(
        inputs=[SignatureInput(**source, columns=columns[source["feature"]]) for source in leader.signature["inputs"]],
        outputs=[
            SignatureOutput(
                **output,
                label=named.get(output["name"]),
                classes=prepared.labels if named.get(output["name"]) == job.data.label_column else None,
            )
            for output in outputs
        ],
        pipeline=prepared.pipeline is not None,
        preprocess=job.data.preprocess,
    )


class ModelMissing(RuntimeError):
    """Raised where the model file that the driver finds is not the one that rank 0 saved."""


def check_model(staged: Folder, leader: Finished) -> None:
    """Check by size and SHA-256 that the run's folder has the model that rank 0 saved.

    Raises:
        ModelMissing: there is no model, or another one.
        StorageError: the storage can't be read.
    """
    try:
        size, digest = staged.sha256(MODEL)
    except NotFound as error:
        raise ModelMissing(
            f"rank 0 saved a model of {leader.model_bytes:,} bytes, but the driver finds none at {staged.url}/{MODEL}: the workers "
            "and the driver don't share this storage. Choose an output.path that all machines share, such as hdfs:///models"
        ) from error
    if (size, digest) != (leader.model_bytes, leader.model_sha256):
        raise ModelMissing(
            f"{staged.url}/{MODEL} is not what rank 0 saved: {size:,} bytes with the SHA-256 {digest}, but it wrote "
            f"{leader.model_bytes:,} bytes with {leader.model_sha256}. The storage has lost or mixed up what was written; the "
            "checkpoints are kept, so the same command with this run's id resumes from the last one"
        )


def keep(staged: Folder, history: Mapping[str, list[float]], origin: Lineage, note: Callable[[str], object]) -> None:
    """Write history and lineage beside the model, and remove the files that were needed only during the run.

    Args:
        staged: the folder that the run is made in.
        history: each metric's values, one an epoch.
        origin: the record for lineage.json.
        note: called with a message if history.png can't be drawn.
    """
    write_json(staged, "history.json", history)
    try:
        picture = curves(history) if history else None
    except Exception as error:  # no matplotlib, or something of its fonts or its cache folder: no reason to fail the run
        picture = None
        note(f"no history.png was drawn: {type(error).__name__}: {error}")
    if picture is not None:
        staged.write_bytes("history.png", picture)
    origin.write(staged, LINEAGE)
    staged.remove(KEPT, recursive=True)
    staged.remove(GIVEN)
