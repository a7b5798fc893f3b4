"""Fails the first and the second time, and works the third. A file on a volume counts the attempts.

Usage: third_time.py FILE
"""

import os
import sys

from pyspark.sql import SparkSession


def attempt(path):
    number = 1
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            number += int(file.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(number))
    return number


def main(path):
    number = attempt(path)
    if number < 3:
        sys.exit(f"attempt {number}: fails on purpose")
    spark = SparkSession.builder.appName("third-time").getOrCreate()
    total = spark.sparkContext.parallelize(range(10), 2).sum()
    # The next run begins anew.
    os.remove(path)
    print(f"attempt {number}: sum {total}")
    spark.stop()


main(sys.argv[1])
