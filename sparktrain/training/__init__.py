"""Trains in the child process: the user's model on this worker's batches, together with the other workers."""
