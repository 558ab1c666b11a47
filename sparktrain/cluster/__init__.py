"""Spark's scheduler and what runs on it: slots, the barrier stage, the child process, the control channel."""
