"""Where a run's model comes from."""
