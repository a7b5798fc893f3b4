"""One report of all aggregations.

Usage: report.py TABLES OUTPUT. Reads TABLES/*.csv; writes the CSV file OUTPUT: the column, its value, and the figures.
"""

import csv
import os
import pathlib
import sys

FIGURES = ["flights", "dep_delay_mean", "arr_delay_mean"]


def main(tables: pathlib.Path, output: str) -> None:
    lines = []
    for table in sorted(tables.glob("*.csv")):
        with open(table, newline="", encoding="utf-8") as file:
            lines += [[table.stem, row[table.stem], *(row[name] for name in FIGURES)] for row in csv.DictReader(file)]
    with open(output + ".partial", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["by", "value", *FIGURES])
        writer.writerows(lines)
    os.replace(output + ".partial", output)
    print(f"{len(lines)} lines")


main(pathlib.Path(sys.argv[1]), sys.argv[2])
