"""Flights, and mean delays in minutes, by one column.

Usage: aggregate.py CLEAN COLUMN OUTPUT. Reads the Parquet folder CLEAN; writes the CSV file OUTPUT, with a header.
"""

import csv
import os
import sys

from pyspark.sql import SparkSession, functions as F


def main(clean, column, output):
    spark = SparkSession.builder.appName(f"flights-by-{column}").getOrCreate()
    flights = spark.read.parquet(f"file://{clean}")
    result = (
        flights.groupBy(column)
        .agg(
            F.count(F.lit(1)).alias("flights"),
            F.round(F.avg("dep_delay"), 2).alias("dep_delay_mean"),
            F.round(F.avg("arr_delay"), 2).alias("arr_delay_mean"),
        )
        .orderBy(column)
    )
    rows = result.collect()
    os.makedirs(os.path.dirname(output), exist_ok=True)
    with open(output + ".partial", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(result.columns)
        writer.writerows(rows)
    os.replace(output + ".partial", output)
    print(f"{len(rows)} rows by {column}")
    spark.stop()


main(*sys.argv[1:])
