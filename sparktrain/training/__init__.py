"""The child's side of a run: the user's model, this worker's batches, and what makes many workers one fit."""
