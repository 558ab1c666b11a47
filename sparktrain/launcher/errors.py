"""Errors of a submit that can't be made."""

from __future__ import annotations


class CantSubmit(RuntimeError):
    """Raised where spark-submit isn't started; the message says why.

    Attributes:
        status: the status in the job's JSON line.
    """

    status = "refused"


class NotReady(CantSubmit):
    """Raised where this machine lacks what every submit needs: Spark, or the quickstart's Hadoop."""

    status = "failed"
