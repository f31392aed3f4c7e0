"""The slicing network: a batch of independent cells, stepped one decision window at a time."""

from __future__ import annotations

import itertools
import math
import os

import numpy as np

from gentwin.networks.batch import checked_copies, checked_keys, run_in_parts
from gentwin.networks.slicing import kernel
from gentwin.networks.slicing import state as st
from gentwin.networks.slicing.parameters import SlicingParameters
from gentwin.schema import Field, TransitionSchema


def allocation_grid(parameters: SlicingParameters) -> np.ndarray:
    """Returns all allocations: every split of the band into positive multiples of the resolution.

    Returns:
        Array of shape `(num_actions, num_slices)` in Hz, in lexicographic order. Each row sums to the band.
    """
    units = round(parameters.bandwidth_hz / parameters.resolution_hz)
    cuts = itertools.combinations(range(1, units), parameters.num_slices - 1)
    edges = np.array([(0, *cut, units) for cut in cuts], dtype=np.float64)
    return np.diff(edges, axis=1) * parameters.resolution_hz


def slicing_schema(parameters: SlicingParameters) -> TransitionSchema:
    """Returns the fields of a transition of the slicing network, with units and ranges."""
    p = parameters
    most_packets = float(p.num_users * p.slots_per_step * (p.queue_packets if p.population == "sessions" else 1))
    largest = max(
        max(entry.packet_bits) if math.isinf(entry.packet_cap_bits) else entry.packet_cap_bits for entry in p.slices
    )
    most_bits = p.num_users * p.queue_packets * largest
    longest_ms = max(p.step_ms, *(entry.latency_sla_ms for entry in p.slices)) + p.step_ms
    state = [
        Field("arrived", "packets", 0, most_packets, "linear", (0,), description="packets arrived in the last window")
    ]
    if p.carry_over:
        state += [
            Field("queued_bits", "bit", 0, most_bits, "log1p", (0,), description="bits waiting at the decision"),
            Field(
                "head_of_line_ms", "ms", 0, longest_ms, "log1p", (0,), description="age of the oldest waiting packet"
            ),
            Field("channel_db", "dB", -100, 150, description="mean SNR of the connected users"),
        ]
    delay = {"unit": "ms", "low": 0, "high": max(longest_ms, st.DELAY_BINS * p.slot_ms), "scale": "log1p"}
    # Delivered bits count when a packet is complete, so a window can be credited with those of the one before.
    efficiency = (
        p.rate_factor * min(p.max_spectral_efficiency, 60.0) * (1 if p.spectral_efficiency == "allocated" else 2)
    )
    return TransitionSchema(
        name=p.preset,
        slices=tuple(entry.name for entry in p.slices),
        step_ms=p.step_ms,
        state=tuple(state),
        action=(Field("bandwidth_hz", "Hz", 0, p.bandwidth_hz, description="bandwidth of the slice"),),
        outcome=(
            Field(
                "delivered", "packets", 0, most_packets, "log1p", (0,), description="packets delivered within the SLA"
            ),
            Field("dropped", "packets", 0, most_packets, "log1p", (0,), description="packets removed undelivered"),
            Field("ssr", "1", 0, 1, "linear", (0, 1), description="SLA satisfaction ratio"),
            Field(
                "slice_spectral_efficiency", "b/s/Hz", 0, efficiency, "log1p", (0,), description="share in the cell's"
            ),
            Field("delay_p50_ms", **delay, description="median delay of the packets that left"),
            Field("delay_p95_ms", **delay, description="95th percentile of that delay"),
            Field("delay_p99_ms", **delay, description="99th percentile of that delay"),
        ),
    )


OUTPUT_COLUMNS = {
    "arrived": st.ARRIVED,
    "queued_bits": st.QUEUED_BITS,
    "head_of_line_ms": st.HEAD_OF_LINE_MS,
    "channel_db": st.CHANNEL_DB,
    "delivered": st.DELIVERED,
    "dropped": st.DROPPED,
    "ssr": st.SSR,
    "slice_spectral_efficiency": st.SPECTRAL_EFFICIENCY,
    "delay_p50_ms": st.DELAY_P50_MS,
    "delay_p95_ms": st.DELAY_P95_MS,
    "delay_p99_ms": st.DELAY_P99_MS,
    "completed": st.COMPLETED,
    "used_rb": st.USED_RB,
    "connected": st.CONNECTED,
}


class SlicingNetwork:
    """A batch of independent copies of the sliced cell.

    Args:
        parameters: What to simulate, from [`slicing_parameters`][gentwin.networks.slicing.slicing_parameters].
        num_copies: Number of copies `C`.
        num_threads: Threads that share the copies, all cores by default.

    Attributes:
        allocations: `(num_actions, num_slices)` Hz.
        schema: Fields of a transition.
        outputs: `(C, num_slices, 14)` raw outputs of the last window; use
            [`values`][gentwin.networks.slicing.SlicingNetwork.values].
    """

    def __init__(self, parameters: SlicingParameters, num_copies: int = 1, num_threads: int | None = None) -> None:
        if num_copies < 1:
            raise ValueError(f"`num_copies` must be at least 1, got {num_copies}.")
        self.parameters = parameters
        self.num_copies = num_copies
        self.allocations = allocation_grid(parameters)
        self.schema = slicing_schema(parameters)
        self._numbers = st.kernel_parameters(parameters)[0]
        self._state = st.empty_state(num_copies)
        blocks = np.arange(1, int(parameters.bandwidth_hz / parameters.resource_block_hz) + 2)
        scale = 0.0 if parameters.power_split else 10.0
        self._block_db = np.concatenate([[0.0], scale * np.log10(blocks)])
        self.outputs = np.zeros((num_copies, parameters.num_slices, st.NUM_OUTPUTS))
        self._num_threads = num_threads or os.cpu_count() or 1
        self._needs_reset = np.ones(num_copies, dtype=bool)

    def reset(
        self, keys: np.ndarray, copies: np.ndarray | None = None, placement_keys: np.ndarray | None = None
    ) -> None:
        """Starts copies anew.

        Args:
            keys: uint64 random keys, one per copy to reset; equal keys give equal copies.
            copies: Indices of the copies to reset, all by default.
            placement_keys: uint64 keys of positions and categories, `keys` by default.

        Raises:
            ValueError: If the copies are not different copies of this network, or the keys are not one per copy.
        """
        copies = checked_copies(copies, self.num_copies)
        keys = checked_keys("keys", keys, len(copies))
        placement_keys = keys if placement_keys is None else checked_keys("placement_keys", placement_keys, len(copies))
        self._state[copies] = st.empty_state(1)
        for copy, key, placement_key in zip(copies, keys, placement_keys, strict=True):
            kernel.reset_copy(self._numbers, self._state, copy, key, placement_key)
        self.outputs[copies] = 0.0
        self.outputs[copies, :, st.SSR] = 1.0
        self.outputs[copies, :, st.CHANNEL_DB] = self._state["channel_db"][copies, : self.parameters.num_slices]
        self._needs_reset[copies] = False
        if self.parameters.warmup_steps:
            self._warm_up(copies)

    def _warm_up(self, copies: np.ndarray) -> None:
        """Runs the reset copies with equal allocations until queues and channels are in their usual regime."""
        part = self._state[copies]
        outputs = np.zeros((len(copies), *self.outputs.shape[1:]))
        equal = np.full(
            (len(copies), self.parameters.num_slices), self.parameters.bandwidth_hz / self.parameters.num_slices
        )
        blocks = self.resource_blocks(equal)
        for _ in range(self.parameters.warmup_steps):
            self._advance(part, blocks, outputs)
        self._state[copies] = part
        self.outputs[copies] = outputs

    def resource_blocks(self, allocation_hz: np.ndarray) -> np.ndarray:
        """Returns the whole RBs that fit allocations in Hz, int64 of the same shape."""
        return np.floor(np.asarray(allocation_hz) / self.parameters.resource_block_hz + 1e-9).astype(np.int64)

    def step(self, allocation_hz: np.ndarray) -> None:
        """Simulates one decision window of every copy under `allocation_hz`, shape `(C, num_slices)`, Hz.

        Raises:
            RuntimeError: If a copy has not been reset.
            ValueError: If the shape is wrong, or an allocation is negative or exceeds the band.
        """
        if self._needs_reset.any():
            raise RuntimeError(
                "the slicing network must be reset before its first step; call `reset` with random keys."
            )
        allocation_hz = np.asarray(allocation_hz, dtype=np.float64)
        expected = (self.num_copies, self.parameters.num_slices)
        if allocation_hz.shape != expected:
            raise ValueError(f"`allocation_hz` must have shape {expected}, got {allocation_hz.shape}.")
        if (
            not (allocation_hz >= 0).all()
            or (allocation_hz.sum(axis=1) > self.parameters.bandwidth_hz * (1 + 1e-9)).any()
        ):
            raise ValueError(
                "`allocation_hz` must be at least 0 and sum to at most "
                f"{self.parameters.bandwidth_hz:g} Hz, got {allocation_hz.tolist()[:3]}."
            )
        self.step_blocks(self.resource_blocks(allocation_hz))

    def step_blocks(self, blocks: np.ndarray) -> None:
        """As `step`, with RBs `(C, num_slices)` int64 that the caller has checked."""
        self._advance(self._state, blocks, self.outputs)

    def _advance(self, state: np.ndarray, blocks: np.ndarray, outputs: np.ndarray) -> None:
        """Runs the kernel, on all cores if there are several copies."""

        def step_part(part: slice) -> None:
            kernel.step_copies(self._numbers, state[part], blocks[part], self._block_db, outputs[part])

        run_in_parts(step_part, len(blocks), self._num_threads)

    def values(self, name: str) -> np.ndarray:
        """Returns an output of the last window by name, `(C, num_slices)` float64: a field of the schema,
        `completed` (packets), `used_rb` (mean RBs in use) or `connected` (users)."""
        return self.outputs[:, :, OUTPUT_COLUMNS[name]].copy()

    @property
    def day_phase(self) -> np.ndarray:
        """Share of the day at which each copy started, `(C,)`; advances by `step_ms / day_s` per window."""
        return self._state["day_phase"].copy()

    def state_values(self) -> np.ndarray:
        """Returns the state fields of the schema, `(C, num_slices, num_state)` float64."""
        return self.outputs[:, :, [OUTPUT_COLUMNS[field.name] for field in self.schema.state]]

    def outcome_values(self) -> np.ndarray:
        """Returns the outcome fields of the schema, `(C, num_slices, num_outcome)` float64."""
        return self.outputs[:, :, [OUTPUT_COLUMNS[field.name] for field in self.schema.outcome]]

    def fork(self, copies: np.ndarray, keys: np.ndarray) -> SlicingNetwork:
        """Returns a network whose copies go on from the present state of `copies` with randomness of their own.

        Args:
            copies: `(num_forks,)` indices of the copies to go on from; the same one may occur several times.
            keys: `(num_forks,)` uint64 random keys of the futures.
        """
        forked = SlicingNetwork(self.parameters, len(copies), self._num_threads)
        forked._state[:] = self._state[copies]
        forked._state["key"] = forked._state["placement_key"] = keys
        forked.outputs[:] = self.outputs[copies]
        forked._needs_reset = self._needs_reset[copies]
        return forked

    def snapshot(self) -> dict[str, np.ndarray]:
        """Returns a copy of the state, for [`restore`][gentwin.networks.slicing.SlicingNetwork.restore]."""
        return {"state": self._state.copy(), "outputs": self.outputs.copy()}

    def restore(self, snapshot: dict[str, np.ndarray]) -> None:
        """Goes back to a snapshot of a network with the same parameters and number of copies."""
        for name, array in (("state", self._state), ("outputs", self.outputs)):
            if array.shape != snapshot[name].shape:
                raise ValueError(f"`snapshot` must have {array.shape} {name}, got {snapshot[name].shape}.")
            array[:] = snapshot[name]
        self._needs_reset[:] = False
