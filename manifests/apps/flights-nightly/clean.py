"""Keeps the flights that departed and arrived, as Parquet.

Usage: clean.py RAW CLEAN ROWS. Reads RAW/flights.csv; writes the folder CLEAN, and into the file ROWS how many there are.
"""

import os
import sys

from pyspark.sql import SparkSession, functions as F

SCHEMA = (
    "year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int, sched_arr_time int,"
    " arr_delay int, carrier string, flight int, tailnum string, origin string, dest string, air_time int, distance int,"
    " hour int, minute int, time_hour string"
)


def main(raw, clean, rows):
    spark = SparkSession.builder.appName("flights-clean").getOrCreate()
    flights = spark.read.csv(f"file://{raw}/flights.csv", header=True, nullValue="NA", schema=SCHEMA)
    kept = flights.where(F.col("dep_time").isNotNull() & F.col("arr_delay").isNotNull())
    kept = kept.select("month", "hour", "carrier", "origin", "dep_delay", "arr_delay")
    kept.coalesce(2).write.mode("overwrite").parquet(f"file://{clean}")
    count = spark.read.parquet(f"file://{clean}").count()
    with open(rows + ".partial", "w", encoding="utf-8") as file:
        file.write(f"{count}\n")
    os.replace(rows + ".partial", rows)
    print(f"{count} of {flights.count()} flights kept")
    spark.stop()


main(*sys.argv[1:])
