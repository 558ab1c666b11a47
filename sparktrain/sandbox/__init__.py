"""Runs a real Hadoop on one machine, as child processes: for the quickstart, the tests and the benchmarks."""

from __future__ import annotations

from typing import Any

from sparktrain.exports import load_export

_WHERE = {
    "Kerberos": "sandbox.kerberos",
    "Sandbox": "sandbox.sandbox",
    "SandboxError": "sandbox.errors",
    "Status": "sandbox.sandbox",
}
__all__ = ["Kerberos", "Sandbox", "SandboxError", "Status"]


def __getattr__(name: str) -> Any:
    return load_export(__name__, _WHERE, name)
