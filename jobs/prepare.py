"""Prepare a job's rows once, where the cores are, and write them for the jobs whose `data.prepared` names the folder.

./spark-submit.sh jobs/prepare.py --config mine.yaml --to hdfs:///prepared/may [--set seed=3] [--result PATH]
"""

import sys

from sparktrain.cli import prepare_main

if __name__ == "__main__":
    sys.exit(prepare_main())
