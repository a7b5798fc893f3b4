"""Compiles the modules below a folder, beside each one, and those within the archives in its `lib`, in new archives."""

import importlib.util
import os
import sys
import zipfile
from importlib._bootstrap_external import _code_to_hash_pyc
from py_compile import PycInvalidationMode, PyCompileError, compile as compile_file

root = sys.argv[1]
library = os.path.join(root, "lib")

for folder, _, names in os.walk(root):
    for name in names:
        if name.endswith(".py"):
            try:
                # Never looked at again: the sources do not change.
                compile_file(os.path.join(folder, name), doraise=True, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
            except PyCompileError:
                pass  # templates, and modules for other versions

for name in os.listdir(library) if os.path.isdir(library) else ():
    if not name.endswith(".zip"):
        continue
    path = os.path.join(library, name)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(path + ".new", "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            if entry.filename.endswith(".pyc"):
                continue
            source = old.read(entry)
            new.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), source)
            if not entry.filename.endswith(".py"):
                continue
            try:
                code = compile(source, entry.filename, "exec", dont_inherit=True)
            except (SyntaxError, ValueError):
                continue
            compiled = _code_to_hash_pyc(code, importlib.util.source_hash(source), False)
            new.writestr(zipfile.ZipInfo(entry.filename + "c", entry.date_time), bytes(compiled))
    os.chmod(path + ".new", 0o644)
    os.replace(path + ".new", path)
