"""Is this cluster fit to train on? Looks at what training needs of it, the way training does.

    ./spark-submit.sh [spark-submit's options] jobs/doctor.py [--output hdfs:///models] [--workers 2] [--engine horovod] [--json PATH]

Prints a table, and a report as JSON for whoever helps. The exit status is 0 if nothing is bad, else 1.
"""

import sys

from sparktrain.doctor import main

if __name__ == "__main__":
    sys.exit(main())
