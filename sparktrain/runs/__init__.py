"""A run as files on the storage, which anyone may read: its folder and claim, records, log, listing. Needs no Spark."""
