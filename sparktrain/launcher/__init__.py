"""What goes on around spark-submit: options, checks before Spark starts, cluster mode, the package of the environment, the JSON line."""
