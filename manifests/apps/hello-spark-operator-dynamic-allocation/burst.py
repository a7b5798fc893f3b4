"""A burst of work and a pause after it, and how many executors there were in each.

Usage: burst.py MOST. Waits until MOST executors are at work, and until one is left in the pause.
"""

import sys
import threading
import time

from pyspark.sql import SparkSession

PATIENCE = 60


def executors(context):
    """Executors that are there, the driver not counted."""
    return context._jsc.sc().getExecutorMemoryStatus().size() - 1


def until(context, wanted):
    end = time.monotonic() + PATIENCE
    while executors(context) != wanted:
        if time.monotonic() > end:
            sys.exit(f"there are {executors(context)} executors after {PATIENCE} s, and not {wanted}")
        time.sleep(0.2)


def main(most):
    spark = SparkSession.builder.appName("burst").getOrCreate()
    context = spark.sparkContext
    tasks = 4 * most
    # Long enough that one executor has not done all of it before the others have come.
    work = context.parallelize(range(tasks), tasks).map(lambda number: (time.sleep(2), number)[1])
    done = []
    thread = threading.Thread(target=lambda: done.append(work.sum()))
    thread.start()
    until(context, most)
    thread.join()
    print(f"burst: sum {done[0]}, {executors(context)} executors")
    until(context, 1)
    print("pause: 1 executor")
    spark.stop()


main(int(sys.argv[1]))
