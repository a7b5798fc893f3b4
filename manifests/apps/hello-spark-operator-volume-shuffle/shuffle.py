"""A shuffle on a volume: tells where it lies, and what it came to."""

import os

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("volume-shuffle").getOrCreate()
context = spark.sparkContext
sums = context.parallelize(range(1000), 4).map(lambda n: (n % 10, n)).reduceByKey(lambda a, b: a + b, 4)
folder = context.parallelize([0], 1).map(lambda _: os.environ["SPARK_LOCAL_DIRS"]).first()
print(f"shuffled: {sums.count()} keys on {folder}")
print(f"sum {sums.values().sum()}")
spark.stop()
