"""Runs workers on Spark: slots, the barrier stage, the child process, the control channel."""
