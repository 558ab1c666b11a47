"""Score rows with a run's model, and write the predictions.

./spark-submit.sh jobs/score.py --config scores.yaml [--set output.path=hdfs:///scores/today] [--run-id ID] [--check]
"""

import sys

from sparktrain.cli import score_main

if __name__ == "__main__":
    sys.exit(score_main())
