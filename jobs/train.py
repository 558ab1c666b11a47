"""The main job: train a Keras model on rows that Spark reads and prepares.

./spark-submit.sh jobs/train.py --config conf/quickstart.yaml [--set training.epochs=3] [--run-id ID] [--check]
"""

import sys

from sparktrain.cli import main

if __name__ == "__main__":
    sys.exit(main())
