"""Keras callbacks: those of the workers, and the user's in every worker."""
