"""A run as files on the storage: its folder and claim, its records, its log, and the listing of runs. Needs no Spark."""
