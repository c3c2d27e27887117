"""killed_map.py - what killed_map.c does, by CPython: 2,000 tasks of half a millisecond at chunk 1, and every 20 ms
SIGKILL to a random worker.

    killed_map.py Pool|ProcessPoolExecutor SECONDS     one line: what the map did within SECONDS
"""

import concurrent.futures
import multiprocessing
import os
import random
import signal
import sys
import threading
import time

ITEMS, WORKERS, TASK_S, KILL_S = 2000, 2, 0.0005, 0.020
kills = 0


def slow_square(x):
    end = time.monotonic() + TASK_S
    while time.monotonic() < end:
        pass
    return x * x


def kill_workers(pids):
    global kills
    chance = random.Random(1)
    while True:
        time.sleep(KILL_S)
        try:
            os.kill(chance.choice(pids()), signal.SIGKILL)
            kills += 1
        except (IndexError, OSError):
            pass


def by_pool(seconds):
    pool = multiprocessing.get_context("fork").Pool(WORKERS)
    pids = lambda: [worker.pid for worker in list(pool._pool)]
    threading.Thread(target=kill_workers, args=(pids,), daemon=True).start()
    try:
        out = pool.map_async(slow_square, range(ITEMS), chunksize=1).get(seconds)
    except multiprocessing.TimeoutError:
        return f"map did not return within {seconds:g} s"
    return f"{sum(y == i * i for i, y in enumerate(out))} right"


def by_executor(seconds):
    executor = concurrent.futures.ProcessPoolExecutor(WORKERS, multiprocessing.get_context("fork"))
    executor.submit(slow_square, 0).result()
    pids = lambda: [pid for pid in list(executor._processes or {})]
    threading.Thread(target=kill_workers, args=(pids,), daemon=True).start()
    right = 0
    try:
        for i, y in enumerate(executor.map(slow_square, range(ITEMS), timeout=seconds)):
            right += y == i * i
    except concurrent.futures.process.BrokenProcessPool:
        return f"{right} right, then BrokenProcessPool: the rest is lost and the pool unusable"
    except concurrent.futures.TimeoutError:
        return f"map did not return within {seconds:g} s"
    return f"{right} right"


def main():
    peers = {"Pool": by_pool, "ProcessPoolExecutor": by_executor}
    if len(sys.argv) != 3 or sys.argv[1] not in peers:
        sys.exit("usage: killed_map.py Pool|ProcessPoolExecutor SECONDS")
    begun = time.monotonic()
    said = peers[sys.argv[1]](float(sys.argv[2]))
    print(f"CPython {sys.version.split()[0]} {sys.argv[1]}: {said} ({time.monotonic() - begun:.2f} s, {kills} kills)")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)  # the pool's own way to end would wait for ever
    os._exit(0)


if __name__ == "__main__":
    os.setpgid(0, 0)
    main()
