"""Keras models as objects and as files: loading, custom objects, names, optimizers."""
