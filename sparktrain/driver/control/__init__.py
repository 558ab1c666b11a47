"""A run as a program or a command stops it, and the events that it reports."""
