"""`sparktrain init`: a job written for the rows at a path."""
