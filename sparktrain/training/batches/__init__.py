"""The batches that a model is fed, and their labels."""
