"""Whether a cluster is fit to train on."""
