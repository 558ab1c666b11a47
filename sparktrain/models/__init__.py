"""Keras models as objects and as files, whatever trains them."""
