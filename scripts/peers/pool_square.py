#!/usr/bin/env python3
"""`poolbench cell --workload square` by CPython's multiprocessing.Pool: the same options, the same one line of JSON.

A round's value is that of a batch: calls repeated for at least 50 ms. The first batch is discarded. Every result of
every call is checked, outside the timed part.
"""
import argparse
import json
import multiprocessing
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


def batch(call, expected, ordered):
    """(ns per task, every result right?) of calls repeated until they lasted BATCH_NS."""
    spent = calls = 0
    right = True
    while spent < BATCH_NS:
        begin = time.monotonic_ns()
        results = call()
        spent += time.monotonic_ns() - begin
        calls += 1
        right = right and (results if ordered else sorted(results)) == expected
    return spent / (calls * len(expected)), right


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="fork", choices=["fork", "spawn", "forkserver"])
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
    options = parse()
    xs = list(range(1, options.tasks + 1))
    expected = [x * x for x in xs]
    args = [(x, 0) for x in xs] if options.variant.startswith("starmap") else xs
    ordered = options.variant != "imap_unordered"
    with multiprocessing.get_context(options.backend).Pool(options.workers) as pool:
        run = VARIANTS[options.variant]
        batches = [batch(lambda: run(pool, args, options.chunk or None), expected, ordered)
                   for _ in range(options.rounds + 1)]
    values = [ns for ns, _ in batches[1:]]
    verified = all(right for _, right in batches)
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
