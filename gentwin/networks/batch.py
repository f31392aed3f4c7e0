"""What the batched networks share: keys and indices of their copies, and threads that divide them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def checked_copies(copies: np.ndarray | None, num_copies: int) -> np.ndarray:
    """Returns indices of different copies as int64, those of all for `None`, or raises `ValueError`."""
    copies = np.arange(num_copies) if copies is None else np.asarray(copies, dtype=np.int64)
    if copies.ndim != 1 or len(np.unique(copies)) < len(copies) or not np.isin(copies, range(num_copies)).all():
        raise ValueError(f"`copies` must be different indices below {num_copies}, got {copies.tolist()}.")
    return copies


def checked_keys(name: str, keys: np.ndarray, count: int) -> np.ndarray:
    """Returns `count` random keys as uint64, or raises `ValueError`."""
    keys = np.asarray(keys)
    if keys.shape != (count,) or keys.dtype.kind not in "iu" or (keys < 0).any():
        raise ValueError(
            f"`{name}` must be {count} integers of at least 0, one per copy, got {keys.dtype} of shape {keys.shape}."
        )
    return keys.astype(np.uint64)


def run_in_parts(run: Callable[[slice], None], num_copies: int, num_threads: int) -> None:
    """Calls `run` for parts of the copies that make up all of them, at most `num_threads` at a time."""
    chunks = min(num_threads, num_copies)
    if chunks == 1:
        run(slice(None))
        return
    edges = np.linspace(0, num_copies, chunks + 1).astype(int)
    futures = [_pool(chunks).submit(run, slice(first, last)) for first, last in itertools.pairwise(edges)]
    for future in futures:
        future.result()


@functools.cache
def _pool(num_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_threads, thread_name_prefix="gentwin-network")
