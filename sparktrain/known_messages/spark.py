"""Spark's own messages. Exceptions of executors reach the driver as text, without their classes and error conditions."""

from __future__ import annotations

from sparktrain.known_messages.known_message import KnownMessage

EXECUTOR_TAKEN = KnownMessage(
    r"exited unrelated to the running tasks",
    "ExecutorLostFailure (executor 2 exited unrelated to the running tasks) Reason: Container marked as failed: "
    "container_1764000000000_0001_01_000003 on host: node-3. Exit status: -100. Diagnostics: Container released on a *lost* node.",
    "Spark 4.3.0",
    "The cluster manager took the executor away, for another application or with its node.",
)
EXECUTOR_DECOMMISSIONED = KnownMessage(
    r"(?i)decommission",
    "Executor decommission: spark scale down",
    "Spark 4.3.0",
    "The executor's node or pod is taken out of use.",
)
EXECUTOR_PREEMPTED = KnownMessage(
    r"(?i)preempt",
    "Container container_1764000000000_0001_01_000003 on host: node-3 was preempted.",
    "Spark 4.3.0",
    "YARN took the container back for another application.",
)
EXECUTOR_LOST = KnownMessage(
    r"ExecutorLostFailure(?! \(executor \S+ exited unrelated)",
    "ExecutorLostFailure (executor 1 exited caused by one of the running tasks) Reason: Executor heartbeat timed out after 131072 ms",
    "Spark 4.3.0",
    "The executor ended, or the driver lost it.",
)
CONTAINER_TOO_LARGE = KnownMessage(
    r"exceeding physical memory limits",
    "Container killed by YARN for exceeding physical memory limits. 814.0 MB of 640 MB physical memory used. Consider boosting "
    "spark.executor.memoryOverhead.",
    "Spark 4.3.0",
    "The executor's processes took more memory than its container may.",
)
BARRIER_STAGE_LOST = KnownMessage(
    r"Could not recover from a failed barrier",
    "Job aborted due to stage failure: Could not recover from a failed barrier ResultStage. Most recent failure reason: Stage "
    "failed because barrier task ResultTask(3, 0) finished unsuccessfully.",
    "Spark 4.3.0",
    "A task of the training's stage ended; Spark never retries it.",
)
FETCH_FAILED = KnownMessage(
    r"FetchFailed",
    "FetchFailed(BlockManagerId(1, 192.0.2.7, 40001, None), shuffleId=0, mapIndex=0, mapId=0, reduceId=1, message=",
    "Spark 4.3.0",
    "The executor that wrote a part of the shuffle is gone, or can't be reached.",
)
WORKER_LOST = KnownMessage(
    r"worker lost",
    "worker lost: Not receiving heartbeat for 60 seconds",
    "Spark 4.3.0",
    "A standalone master has lost the node.",
)
APPLICATION_REMOVED = KnownMessage(
    r"Application has been killed\. Reason: |Master removed our application",
    "Application has been killed. Reason: Master removed our application: FAILED",
    "Spark 4.3.0",
    "A standalone master has given up the application.",
)
PYTHON_VERSION_DIFFERS = KnownMessage(
    r"\[PYTHON_VERSION_MISMATCH\] (.+?)\.(?=\s|\Z)",
    "pyspark.errors.exceptions.base.PySparkRuntimeError: [PYTHON_VERSION_MISMATCH] Python in worker has different version: 3.10 "
    "than that in driver: 3.11, PySpark cannot run with different minor versions.",
    "Spark 4.3.0",
    "The executors' Python has another minor version than the driver's: (which).",
)
PYTHON_WORKER_FAILED = KnownMessage(
    r"Error from python worker",
    "Error from python worker:\n  /usr/bin/python3: Error while finding module specification for 'pyspark.daemon'",
    "Spark 4.3.0",
    "The executors' Python doesn't start.",
)
FILE_UNREADABLE = KnownMessage(
    r"\[FAILED_READ_FILE[^\]]*\] Encountered error while reading file (.+?)\.\s",
    "org.apache.spark.SparkException: [FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER] Encountered error while reading file "
    "file:///rows/damaged.parquet. Could not read footer. Please ensure that the file is in either ORC or Parquet format.",
    "Spark 4.3.0",
    "A file can't be read: (its path).",
)
RECORD_MALFORMED = KnownMessage(
    r"(Malformed records are detected in .+?)\.(?=\s)",
    "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record parsing: [null,null]. Parse Mode: "
    "FAILFAST. To process malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'.",
    "Spark 4.3.0",
    "A line of CSV or JSON can't be parsed: (the message's first sentence).",
)
TASK_THREAD = KnownMessage(
    r"\AExecutor task launch worker for task",
    "Executor task launch worker for task 0.0 in stage 1.0 (TID 1)",
    "Spark 4.3.0",
    "The name of an executor's thread that runs a task.",
)
