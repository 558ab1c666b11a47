"""TensorFlowOnSpark: TFCluster brings up a node on each executor, and TensorFlow's own collectives average."""
