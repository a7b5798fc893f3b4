"""Per carrier and month: flights, cancellations, mean and 95th percentile of the arrival delay in minutes.

Usage: report.py DATA OUTPUT. Reads DATA/flights.csv and DATA/airlines.csv; writes OUTPUT/parquet and OUTPUT/report.csv.
A flight without a departure time was cancelled; one without an arrival delay (diverted too) counts in neither figure.
"""

import csv
import os
import sys

from pyspark.sql import SparkSession, functions as F

COLUMNS = ["carrier", "name", "month", "flights", "cancelled", "arr_delay_mean", "arr_delay_p95"]


def report(flights, airlines):
    return (
        flights.groupBy("carrier", "month")
        .agg(
            F.count(F.lit(1)).alias("flights"),
            F.count(F.when(F.col("dep_time").isNull(), 1)).alias("cancelled"),
            F.round(F.avg("arr_delay"), 2).alias("arr_delay_mean"),
            F.round(F.expr("percentile(arr_delay, 0.95)"), 2).alias("arr_delay_p95"),
        )
        .join(F.broadcast(airlines), "carrier", "left")
        .select(*COLUMNS)
        .orderBy("carrier", "month")
    )


def write_csv(rows, path):
    partial = path + ".partial"
    with open(partial, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in rows:
            writer.writerow(["" if value is None else value for value in row])
    os.replace(partial, path)


def main(data, output):
    spark = SparkSession.builder.appName("flights-report").getOrCreate()
    flights = spark.read.csv(
        f"file://{data}/flights.csv",
        header=True,
        nullValue="NA",
        schema="year int, month int, day int, dep_time int, sched_dep_time int, dep_delay int, arr_time int,"
        " sched_arr_time int, arr_delay int, carrier string, flight int, tailnum string, origin string, dest string,"
        " air_time int, distance int, hour int, minute int, time_hour string",
    )
    airlines = spark.read.csv(f"file://{data}/airlines.csv", header=True, schema="carrier string, name string")
    result = report(flights, airlines).cache()
    result.coalesce(1).write.mode("overwrite").parquet(f"file://{output}/parquet")
    rows = result.collect()
    write_csv(rows, os.path.join(output, "report.csv"))
    print(f"{sum(row.flights for row in rows)} flights, {sum(row.cancelled for row in rows)} cancelled, {len(rows)} rows")
    spark.stop()


main(sys.argv[1], sys.argv[2])
