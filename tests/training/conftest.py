"""A tiny record and a tiny run of the recipe, shared by the tests of training."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gentwin.datasets import Transitions, write_transitions
from gentwin.schema import Field, TransitionSchema

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes/train_twin.py"
SCHEMA = TransitionSchema(
    slices=("video", "urllc"),
    state=(Field("queued_bits", "bit", scale="log1p", atoms=(0.0,)), Field("channel_db", "dB", low=-100.0)),
    action=(Field("bandwidth_hz", "Hz", high=10.0),),
    context=(Field("num_users", high=50.0),),
    outcome=(Field("ssr", high=1.0, atoms=(0.0, 1.0)),),
    step_ms=100.0,
)
CONFIG = """
validation_size: 2
test_size: 2
sequence_length: 8
model_config: {embedding_size: 8, hidden_size: 8, head_hidden_size: 8, num_members: 2, num_quantiles: 8}
max_steps: 12
global_batch_size: 4
learning_rate: 1.0e-2
lr_scheduler_type: cosine
warmup_steps: 2
seed: 3
use_cpu: true
torch_threads: 1
eval_strategy: steps
eval_steps: 2
save_steps: 2
logging_steps: 1
save_total_limit: 3
load_best_model_at_end: true
horizons: [1, 4]
rollout_starts: 12
rollout_samples: 20
burn_in_steps: 3
"""


def make_record(num_episodes: int = 10, num_steps: int = 25) -> Transitions:
    """Queues that a bandwidth empties; the last episode has a gap, so that some sequences are padded."""
    rng = np.random.default_rng(0)
    shape = (num_episodes, num_steps, len(SCHEMA.slices))
    bandwidth = rng.integers(1, 10, shape).astype(np.float32)
    users = np.broadcast_to(rng.integers(1, 5, (num_episodes, 1, 1)), shape).astype(np.float32)
    queue, channel = np.zeros((2, num_episodes, num_steps + 1, len(SCHEMA.slices)), np.float32)
    for step in range(num_steps):
        channel[:, step + 1] = 0.8 * channel[:, step] + rng.normal(size=channel[:, 0].shape)
        load = users[:, step] * rng.exponential(2.0, channel[:, 0].shape)
        queue[:, step + 1] = np.maximum(0.5 * queue[:, step] + load - bandwidth[:, step], 0)
    states = np.stack([queue, channel], axis=-1)
    ssr = np.clip(1.2 - queue[:, 1:] / 10, 0, 1).astype(np.float32)

    def flat(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]))

    record = Transitions(
        schema=SCHEMA,
        episode=np.arange(num_episodes).repeat(num_steps),
        step=np.tile(np.arange(num_steps), num_episodes),
        state=flat(states[:, :-1]),
        action=flat(bandwidth[..., None]),
        context=flat(users[..., None]),
        outcome=flat(ssr[..., None]),
        next_state=flat(states[:, 1:]),
    )
    return record.take(np.arange(len(record)) != len(record) - 10)


def run_recipe(folder: Path, *arguments: str | Path, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Runs the recipe in `folder`, where `record.parquet` and `tiny.yaml` are, and returns when it has ended."""
    return subprocess.run(command(*arguments, launcher=launcher), **settings(folder), capture_output=True, text=True)


def command(*arguments: str | Path, launcher: tuple[str, ...] = ()) -> list[str]:
    """Returns the command line of the recipe, under `accelerate launch` if there are options for it."""
    start = ["accelerate.commands.launch", *launcher] if launcher else []
    words = [sys.executable, *(["-m", *start] if start else []), RECIPE, "--config", "tiny.yaml", *arguments]
    return [str(word) for word in words]


def settings(folder: Path) -> dict:
    """Returns where and with which variables a run is started."""
    return {"cwd": folder, "env": {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}}


@pytest.fixture(scope="session")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `record.parquet` and `tiny.yaml`."""
    folder = tmp_path_factory.mktemp("training")
    write_transitions(folder / "record.parquet", make_record())
    (folder / "tiny.yaml").write_text(f"data_path: record.parquet\noutput_dir: outputs/tiny\n{CONFIG}")
    return folder


@pytest.fixture(scope="session")
def finished(workplace: Path) -> Path:
    """The output folder of a run by `accelerate launch` in one process."""
    options = ("--num_processes", "1", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no")
    run = run_recipe(workplace, launcher=options)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "CRPS on test episodes" in run.stdout
    return workplace / "outputs/tiny"


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    """The recipe as a module, for runs inside the test process."""
    spec = importlib.util.spec_from_file_location("train_twin", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
