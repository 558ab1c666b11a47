"""A real Hadoop of one machine, as child processes: for the quickstart, the tests and the benchmarks."""

from __future__ import annotations

from sparktrain.sandbox.errors import SandboxError
from sparktrain.sandbox.kerberos import Kerberos
from sparktrain.sandbox.sandbox import Sandbox, Status

__all__ = ["Kerberos", "Sandbox", "SandboxError", "Status"]
