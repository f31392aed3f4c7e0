"""Fitting a twin to a record in memory, again and again as the record grows."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from typing import Any

import torch

from gentwin.datasets import Transitions
from gentwin.datasets.sequences import window_indices
from gentwin.models.modeling_dynamics import DynamicsTwin
from gentwin.training import ModelArguments, build_twin

MOST_NOISE_SEQUENCES = 64  # that the joint noise is fitted to
SHORTEST_WARMUP = 0.1  # share of updates in which the learning rate rises


@dataclass(frozen=True)
class TwinFitArguments:
    """How a twin is fitted.

    Args:
        model_type: Of the twin.
        model_config: Fields of its configuration.
        num_updates: Updates of a fit from scratch.
        refit_updates: Updates of a fit that goes on from the twin of the round before; `None` to begin anew every time,
            which takes longer.
        learning_rate: Highest learning rate of AdamW; it rises, then falls to zero.
        weight_decay: Of AdamW, at least 0.
        batch_size: Sequences of an update.
        sequence_length: Steps of a sequence.
        max_grad_norm: Longest gradient.

    Raises:
        ValueError: If a value is out of range.
    """

    model_type: str = "gentwin_slice_lstm"
    model_config: dict[str, Any] = field(default_factory=dict)
    num_updates: int = 600
    refit_updates: int | None = 300
    learning_rate: float = 1e-2
    weight_decay: float = 0.02
    batch_size: int = 16
    sequence_length: int = 50
    max_grad_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("num_updates", "refit_updates", "batch_size"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")
        if self.sequence_length < 2:
            raise ValueError(f"`sequence_length` must be at least 2, got {self.sequence_length}.")
        for name in ("learning_rate", "max_grad_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be above 0 and finite, got {getattr(self, name)}.")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"`weight_decay` must be at least 0 and finite, got {self.weight_decay}.")


def fit_twin(
    record: Transitions,
    arguments: TwinFitArguments,
    seed: int,
    previous: DynamicsTwin | None = None,
    device: torch.device | None = None,
) -> DynamicsTwin:
    """Fits a twin to a record: normalisation, weights, joint noise.

    For a record on disk, with validation, plots and a card, use `recipes/train_twin.py`; this is for the loop of
    learning and acting, where the record is small and grows.

    Args:
        record: Everything seen so far.
        arguments: How.
        seed: Of weights, batches and the joint noise.
        previous: Twin of an earlier fit to go on from; its normalisation stays, ranges are widened to the record's.
        device: Where to compute; the CPU by default.

    Returns:
        The twin, in evaluation mode.

    Raises:
        ValueError: If `previous` is a twin of other slices or fields than those of the record.
    """
    if previous is not None and previous.transition_schema != record.schema:
        raise ValueError(
            f"`previous` must be a twin of the record's network, slices {list(record.schema.slices)}, got one of "
            f"{previous.transition_schema.name!r} with slices {list(previous.transition_schema.slices)}; fit from "
            "scratch."
        )
    if arguments.refit_updates is None:
        previous = None
    generator = torch.Generator().manual_seed(seed)
    if previous is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            twin = build_twin(ModelArguments(arguments.model_type, dict(arguments.model_config)), record.schema)
    else:
        twin = copy.deepcopy(previous)
    twin = twin.to(device or "cpu").train()
    columns = _columns(record, arguments.sequence_length, twin.device)
    if previous is None:
        twin.fit_normalization(**columns)
    else:
        twin.widen_ranges(columns["labels"], columns["mask"])
    updates = arguments.num_updates if previous is None else arguments.refit_updates
    optimizer = torch.optim.AdamW(
        twin.parameters(), arguments.learning_rate, betas=(0.9, 0.99), weight_decay=arguments.weight_decay, fused=True
    )
    total = max(updates, 3)  # of which the warm-up takes at least 2, or the schedule divides by zero
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, arguments.learning_rate, total_steps=total, pct_start=max(SHORTEST_WARMUP, 2 / total)
    )
    for _ in range(updates):
        rows = torch.randint(len(columns["states"]), (arguments.batch_size,), generator=generator).to(twin.device)
        loss = twin(**{name: values[rows] for name, values in columns.items()}).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(twin.parameters(), arguments.max_grad_norm)
        optimizer.step()
        schedule.step()
    twin.eval()
    noise = torch.Generator(twin.device).manual_seed(seed)
    sequences = _columns(record, 4 * arguments.sequence_length, twin.device, stride=1.0)
    if len(sequences["states"]) > MOST_NOISE_SEQUENCES:  # a long record: enough is enough
        some = torch.randperm(len(sequences["states"]), generator=generator)[:MOST_NOISE_SEQUENCES].to(twin.device)
        sequences = {name: values[some] for name, values in sequences.items()}
    twin.fit_copula(**sequences, generator=noise)
    return twin


def _columns(record: Transitions, length: int, device: torch.device, stride: float = 0.2) -> dict[str, torch.Tensor]:
    """Returns sequences of a record, `stride` lengths apart, as the arguments of a twin's `forward`."""
    index, mask = window_indices(record.runs, length, max(1, round(stride * length)))
    columns = {"states": record.state, "actions": record.action, "contexts": record.context, "labels": record.targets}
    if not record.schema.context:
        del columns["contexts"]
    tensors = {name: torch.from_numpy(values[index]) for name, values in columns.items()}
    return {name: values.to(device) for name, values in (tensors | {"mask": torch.from_numpy(mask)}).items()}
