"""The values that the parts of one run share: the job, its folder, its display, its timeline."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyspark.sql import SparkSession

from sparktrain.config import Job
from sparktrain.config.rules.data import refuse_cross_validation
from sparktrain.display.console import RunDisplay
from sparktrain.driver.artifacts.fingerprint import of_supplied
from sparktrain.driver.control.controlled_run import ControlledRun
from sparktrain.driver.control.run_control import RunControl
from sparktrain.driver.failure_report import failed
from sparktrain.driver.hadoop import hadoop_settings, qualified
from sparktrain.driver.scratch import scratch_folder
from sparktrain.driver.supplied_objects import SuppliedObjects
from sparktrain.driver.timeline import RunTimeline
from sparktrain.runs.folder import RunFolder
from sparktrain.runs.identity import identity


@dataclass
class RunContext:
    """The values that the parts of one run share.

    Attributes:
        asked: the job as it was configured.
        job: the same job with the number of workers that the run has, once it is known.
        id: the run's id.
        supplied: objects that a program passes in place of names in the configuration.
        search: the folders where `module:function` is looked up.
        hadoop: Hadoop's settings that the storage needs.
        folder: the folder that the run is made in.
        control: stops the run where it is asked for, and passes on its events; to be entered as a context.
        rehearsal: whether to make one step only, and keep nothing.
    """

    spark: SparkSession
    asked: Job
    job: Job
    id: str
    supplied: SuppliedObjects
    search: Sequence[str]
    display: RunDisplay
    hadoop: Mapping[str, str]
    folder: RunFolder
    control: ControlledRun
    rehearsal: bool = False
    timeline: RunTimeline = field(default_factory=RunTimeline)

    @classmethod
    def of_job(
        cls,
        spark: SparkSession,
        job: Job,
        run_id: str,
        supplied: SuppliedObjects,
        search: Sequence[str],
        display: RunDisplay,
        rehearsal: bool = False,
        control: RunControl | None = None,
    ) -> RunContext:
        """Return the context for a new run.

        Args:
            control: the program's control of the run; None if it has none.

        Raises:
            ConfigError: it stands for cross-validation; or the scratch folder, where the job names no `output.path`, belongs to another user.
        """
        refuse_cross_validation(job.data, "train one model")
        hadoop = hadoop_settings(spark)
        display.run = run_id
        output = qualified(spark, job.output.path) if job.output.path else scratch_folder(spark, job.name)
        name = f"{run_id}.check-{secrets.token_hex(4)}" if rehearsal else run_id
        folder = RunFolder(output, name, hadoop)

        def ending(error: BaseException | None) -> tuple[str, str | None]:
            if error is None:
                return "checked" if rehearsal else "finished", None
            result, _ = failed(error, run_id, job, 0)
            return result.status, result.reason

        controlled = ControlledRun(control, run_id, spark.sparkContext, display, ending)
        return cls(spark, job, job, run_id, supplied, search, display, hadoop, folder, controlled, rehearsal)

    @property
    def who(self) -> dict[str, str]:
        """The run's application and user, for its claim and its records."""
        context = self.spark.sparkContext
        return {"application": context.applicationId, "user": context.sparkUser()}

    @property
    def workers(self) -> int:
        """How many workers the run has, once their executors were gathered."""
        workers = self.job.training.workers
        assert isinstance(workers, int)
        return workers

    @property
    def all_rows_each(self) -> bool:
        """Whether every worker has all training rows (`split: epochs`)."""
        return self.job.training.split == "epochs"

    def identity(self, code: Mapping[str, str], inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """Return what must be the same for the run to be resumed.

        Args:
            code: the SHA-256 of each of the user's files that were shipped.
            inputs: the files that are read.
        """
        supplied = of_supplied(self.supplied, rows_kept=self.job.data.keep == "storage")
        return identity(self.asked.model_dump(mode="json"), code, inputs, supplied)
