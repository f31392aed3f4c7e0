"""Windows of consecutive steps for training sequence models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import datasets

    from gentwin.datasets.transitions import Transitions

COLUMNS = {"states": "state", "actions": "action", "contexts": "context", "labels": "targets"}


def window_indices(runs: np.ndarray, length: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts runs into windows; the last window of a run is padded by repeating its last step.

    Args:
        runs: `(num_runs, 2)` start and end of stretches of consecutive steps.
        length: Steps in a window.
        stride: Steps between the starts of two windows of a run.

    Returns:
        indices: `(num_windows, length)` positions of steps.
        mask: `(num_windows, length)` bool, true where a step is real.
    """
    sizes = runs[:, 1] - runs[:, 0]
    counts = np.maximum(0, -(-(sizes - length) // stride)) + 1
    first = np.cumsum(counts) - counts
    nth = np.arange(counts.sum()) - first.repeat(counts)
    indices = (runs[:, 0].repeat(counts) + nth * stride)[:, None] + np.arange(length)
    last = (runs[:, 1].repeat(counts) - 1)[:, None]
    return np.minimum(indices, last), indices <= last


def cut_sequences(transitions: Transitions, length: int, stride: int | None = None) -> datasets.Dataset:
    """Cuts windows of consecutive steps, with the columns the `forward` of a twin takes, as torch tensors.

    Windows never cross an episode or a gap in `step`. `T` is `length`; `N`, `S`, `A`, `C`, `O` are the numbers of
    slices and of state, action, context and target fields.

    | column | shape, type | content |
    |---|---|---|
    | `states` | `(T, N, S)` float32 | state at each decision, physical units |
    | `actions` | `(T, N, A)` float32 | action |
    | `contexts` | `(T, N, C)` float32 | context; only if the schema has context fields |
    | `labels` | `(T, N, O)` float32 | next state, then outcome |
    | `mask` | `(T,)` bool | false where a short window is padded (with its last step) |

    Args:
        transitions: The record.
        length: Steps in a window, at least 1.
        stride: Steps between window starts, from 1 to `length`; `length` if `None`.

    Returns:
        One row per window, in the order of the record.

    Raises:
        ValueError: If `length` or `stride` is out of range.
    """
    import datasets

    stride = length if stride is None else stride
    if length < 1:
        raise ValueError(f"`length` must be at least 1, got {length}.")
    if not 1 <= stride <= length:
        raise ValueError(f"`stride` must be from 1 to `length` = {length}, so that no step is skipped, got {stride}.")
    indices, mask = window_indices(transitions.runs, length, stride)
    columns, features = {}, {}
    for column, role in COLUMNS.items():
        array = getattr(transitions, role)
        if array.shape[-1]:
            columns[column] = array[indices]
            features[column] = datasets.Array3D((length, *array.shape[1:]), "float32")
    columns["mask"] = mask
    features["mask"] = datasets.List(datasets.Value("bool"), length=length)
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features)).with_format("torch")
