#!/usr/bin/env python3
"""The job of pool_sha256.c by CPython: pool_sha256.py WORKERS TREE; 0 workers is a plain loop."""
import hashlib
import multiprocessing
import os
import stat
import sys


def files(tree):
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and os.access(path, os.R_OK):
                yield path


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def main():
    workers, tree = int(sys.argv[1]), sys.argv[2]
    paths = sorted(files(tree))
    if workers == 0:
        digests = list(map(digest, paths))
    else:
        with multiprocessing.get_context("fork").Pool(workers) as pool:
            digests = pool.map(digest, paths)
    sys.stdout.writelines(f"{d}  {p}\n" for d, p in zip(digests, paths))


if __name__ == "__main__":
    main()
