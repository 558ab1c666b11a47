"""`sparktrain init`: from the data at a path to a job that trains on it, its YAML and its Python."""
