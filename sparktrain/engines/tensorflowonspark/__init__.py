"""The engine TensorFlowOnSpark: TFCluster starts a node on each executor, and TensorFlow's own collectives average."""
