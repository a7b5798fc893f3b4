"""Counts words with a function of a package that comes as a zip, in the driver and in an executor."""

import words
from pyspark.sql import SparkSession


def there(line):
    import words

    return words.__file__, words.count(line)


spark = SparkSession.builder.appName("python-zip").getOrCreate()
counted = spark.sparkContext.parallelize(["to be", "or not to be"], 2).map(there).collect()
print(f"driver: {words.__file__}")
print(f"executor: {counted[0][0]}")
print(f"{sum(number for _, number in counted)} words")
spark.stop()
