"""`sparktrain doctor`: is this cluster fit to train on? Facts are looked up, judged by plain functions, and told."""
