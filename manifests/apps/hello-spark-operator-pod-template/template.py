"""Tells what the driver and an executor have from their templates."""

import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("pod-template").getOrCreate()
executor = spark.sparkContext.parallelize([0], 1).map(lambda _: os.environ.get("FROM_TEMPLATE")).collect()
print(f"driver: {os.environ.get('FROM_TEMPLATE')}")
print(f"executor: {executor[0]}")
spark.stop()
