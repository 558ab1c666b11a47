"""The training processes of a task, and how they are started."""
