#!/usr/bin/env python3
"""`poolbench cell --workload square` by CPython's pools: the same options, the same one line of JSON.

    pool_square.py --backend fork --variant map --tasks 100000 --chunk 16
    pool_square.py cell --record    a row in, a row out: what a run calls (cpython-pool, cpython-executor)
    pool_square.py --version

A round's value is that of a batch: calls repeated until it has lasted long enough. The first batch is discarded. Every
result of every call is checked, outside the timed part. The executor is concurrent.futures.ProcessPoolExecutor, which
has a map only; its default chunk is 1.
"""
import argparse
import concurrent.futures
import contextlib
import json
import multiprocessing
import platform
import statistics
import sys
import time

BATCH_NS = 50_000_000


def square(x):
    return x * x


def square_of(x, _):
    return x * x


def one_by_one(pool, xs, _):
    return [pool.apply(square, (x,)) for x in xs]


# Chunk None is CPython's own choice for the maps; imap has no such choice, its default is 1.
VARIANTS = {
    "apply": one_by_one,
    "apply_async": lambda pool, xs, _: [h.get() for h in [pool.apply_async(square, (x,)) for x in xs]],
    "map": lambda pool, xs, chunk: pool.map(square, xs, chunk),
    "map_async": lambda pool, xs, chunk: pool.map_async(square, xs, chunk).get(),
    "starmap": lambda pool, xs, chunk: pool.starmap(square_of, xs, chunk),
    "starmap_async": lambda pool, xs, chunk: pool.starmap_async(square_of, xs, chunk).get(),
    "imap": lambda pool, xs, chunk: list(pool.imap(square, xs, chunk or 1)),
    "imap_unordered": lambda pool, xs, chunk: list(pool.imap_unordered(square, xs, chunk or 1)),
}


def executor_map(executor, xs, chunk):
    return list(executor.map(square, xs, chunksize=chunk or 1))


def batch(call, expected, ordered, batch_ns):
    """(ns per task, every result right?, calls) of calls repeated until they lasted batch_ns."""
    spent = calls = 0
    right = True
    while calls == 0 or spent < batch_ns:
        begin = time.monotonic_ns()
        results = call()
        spent += time.monotonic_ns() - begin
        calls += 1
        right = right and (results if ordered else sorted(results)) == expected
    return spent / (calls * len(expected)), right, calls


@contextlib.contextmanager
def opened(backend, variant, workers):
    """What runs the variant on a list with a chunk."""
    if backend == "executor":
        if variant != "map":
            raise ValueError("an executor has a map only")
        with concurrent.futures.ProcessPoolExecutor(workers) as executor:
            yield lambda xs, chunk: executor_map(executor, xs, chunk)
        return
    with multiprocessing.get_context(backend).Pool(workers) as pool:
        yield lambda xs, chunk: VARIANTS[variant](pool, xs, chunk)


def measure(backend, variant, workers, tasks, chunk, batches, batch_ns):
    """Of each batch what batch() gives; the first is discarded."""
    xs = list(range(1, tasks + 1))
    expected = [x * x for x in xs]
    args = [(x, 0) for x in xs] if variant.startswith("starmap") else xs
    ordered = variant != "imap_unordered"
    with opened(backend, variant, workers) as run:
        return [batch(lambda: run(args, chunk or None), expected, ordered, batch_ns) for _ in range(batches + 1)][1:]


def clock_ns():
    readings = [time.monotonic_ns() for _ in range(1001)]
    return (readings[-1] - readings[0]) / (len(readings) - 1)


def record():
    """One row of rows.jsonl without samples on stdin, the same with them on stdout."""
    row = json.loads(sys.stdin.readline())
    row["start_ms"] = time.time_ns() // 1_000_000
    try:
        kind = {"cpython-pool": "fork", "cpython-executor": "executor"}[row["backend"]]
        if row["workload"] != "square":
            raise ValueError("the only workload is square")
        done = measure(kind, row["variant"], row["workers"], row["tasks"], row["chunk"], row["batches"], row["batch_ns"])
        row["ns_per_task"] = [ns for ns, _, _ in done]
        row["samples"] = len(done)
        row["calls"] = sum(calls for _, _, calls in done)
        row["clock_ns"] = clock_ns()
        row["verified"] = all(right for _, right, _ in done)
        row["error"] = "" if row["verified"] else "wrong result"
    except (ValueError, KeyError, OSError) as problem:
        row["error"] = str(problem)[:200]
    print(json.dumps(row))
    return 0 if row["verified"] else 1


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fork", choices=["fork", "spawn", "forkserver", "executor"])
    parser.add_argument("--variant", default="map", choices=VARIANTS)
    parser.add_argument("--tasks", type=int, default=100000)
    parser.add_argument("--chunk", default="auto", help="items a message, or auto")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.chunk == "auto":
        options.chunk = 0
    elif options.chunk.isdecimal() and int(options.chunk) > 0:
        options.chunk = int(options.chunk)
    else:
        parser.error("--chunk is a number above 0, or auto")
    if min(options.tasks, options.workers, options.rounds) < 1:
        parser.error("--tasks, --workers and --rounds are at least 1")
    return options


def main():
    if sys.argv[1:] == ["--version"]:
        print("CPython", platform.python_version())
        return 0
    if sys.argv[1:3] == ["cell", "--record"]:
        return record()
    options = parse()
    done = measure(options.backend, options.variant, options.workers, options.tasks, options.chunk, options.rounds,
                   BATCH_NS)
    values = [ns for ns, _, _ in done]
    verified = all(right for _, right, _ in done)
    median = statistics.median(values)
    print(json.dumps({
        "backend": "cpython-" + options.backend, "variant": options.variant, "workload": "square",
        "tasks": options.tasks, "chunk": options.chunk, "workers": options.workers, "rounds": options.rounds,
        "ns_per_task_median": median, "ns_per_task_min": min(values), "tasks_per_s": 1e9 / median,
        "verified": verified,
    }))
    return 0 if verified else 1


if __name__ == "__main__":
    sys.exit(main())
