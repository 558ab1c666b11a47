"""The files that a run leaves beside its model."""
