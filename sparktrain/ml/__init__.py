"""Uses trained models in Spark: scoring of a frame."""
