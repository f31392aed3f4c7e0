"""One function over many seeds, two processes at a time, with its results kept."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from recipes.figures.result import rounded

ROOT = Path(__file__).parents[2]
CACHE = ROOT / "outputs" / "agent_runs"
OURS = ("gentwin", "recipes")
OTHERS = ("gentwin.signaling", "gentwin.models.signaling")  # imported beside the rest, and never met by an agent
WORKERS = 2  # processes, each with one thread
Run = Callable[[Any, int], dict[str, Any]]


def over_seeds(run: Run, setting: Any, seeds: list[int]) -> list[dict[str, Any]]:
    """Returns `run(setting, seed)` for every seed; what was run before is read, not run again.

    A result counts as run before if setting, seed and the code of everything that the function's module imports, of
    `gentwin` and of the recipes, were the same; signaling, which no agent meets, does not count.

    Args:
        run: A function of a module, whose result can be written as JSON.
        setting: A dataclass; all that the result depends on besides the seed. A file that is read, such as the weights
            of a shipped twin, has its digest there.
        seeds: Seeds.
    """
    name = f"{run.__module__.rpartition('.')[2]}-{run.__name__}"
    content = json.dumps(dataclasses.asdict(setting), sort_keys=True).encode() + _code(run.__module__)
    key = hashlib.sha256(content).hexdigest()[:12]
    folder = CACHE / f"{name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [seed for seed in seeds if not (folder / f"{seed}.json").exists()]
    if missing:
        with ProcessPoolExecutor(min(WORKERS, len(missing)), get_context("spawn")) as pool:
            jobs = [pool.submit(_run, run, setting, seed, folder) for seed in missing]
            for job in tqdm(jobs, desc=name, unit="run"):
                job.result()
    return [json.loads((folder / f"{seed}.json").read_text()) for seed in seeds]


@functools.cache
def _code(module: str) -> bytes:
    """Returns a digest of the sources that a module is made of, its own and those it imports."""
    known: dict[str, bytes] = {}
    pending = [module]
    while pending:
        name = pending.pop()
        file = next(
            (path for path in (_path(name), _path(name) / "__init__") if path.with_suffix(".py").exists()), None
        )
        if file is None or name in known or name.startswith(OTHERS):
            continue
        known[name] = file.with_suffix(".py").read_bytes()
        pending += [name.rpartition(".")[0], *_imported(known[name])]
    return hashlib.sha256(b"".join(known[name] for name in sorted(known))).digest()


def _path(module: str) -> Path:
    return ROOT.joinpath(*module.split("."))


def _imported(source: bytes) -> list[str]:
    """Returns all modules that a source may import; a name from a package counts as one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if name.split(".")[0] in OURS]


def _run(run: Run, setting: Any, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    partial = folder / f"{seed}.json.partial"
    partial.write_text(json.dumps(rounded(run(setting, seed), 7)))
    partial.replace(folder / f"{seed}.json")
