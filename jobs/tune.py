"""Search for the best values of some keys of a job, by training it many times in one application.

./spark-submit.sh jobs/tune.py --config conf/tune.yaml [--set trials=20] [--set base.training.epochs=3] [--run-id ID] [--check]
"""

import sys

from sparktrain.cli import tune_main

if __name__ == "__main__":
    sys.exit(tune_main())
