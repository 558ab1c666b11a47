"""The attempts of a run: with which executors, on which rows, and whether to try again."""
