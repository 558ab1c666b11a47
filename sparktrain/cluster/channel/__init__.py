"""The control channel between the driver and the tasks."""
