"""Computes a little, and reads its own metrics as Prometheus would: through the service of the web page.

Usage: metrics.py ADDRESS
"""

import sys
import urllib.request

from pyspark.sql import SparkSession


def read(address, path):
    with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
        return answer.read().decode().splitlines()


def main(address):
    spark = SparkSession.builder.appName("metrics").getOrCreate()
    spark.sparkContext.parallelize(range(10), 2).sum()
    driver = read(address, "/metrics/prometheus")
    executors = read(address, "/metrics/executors/prometheus")
    names = sorted({line.split("{")[0] for line in driver if "DAGScheduler_job_allJobs" in line})
    print(f"driver: {' '.join(names)}")
    done = [line for line in executors if line.startswith("metrics_executor_completedTasks_total") and '"driver"' not in line]
    print(f"executors: {len(done)} with completed tasks {sum(int(float(line.rsplit(' ', 1)[1])) for line in done)}")
    spark.stop()


main(sys.argv[1])
