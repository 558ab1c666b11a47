"""Runs spark-submit: its options, checks before Spark starts, cluster mode, the packaged environment, the JSON line."""
