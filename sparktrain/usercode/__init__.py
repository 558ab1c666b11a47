"""The user's functions: found, checked and packed for the executors."""
