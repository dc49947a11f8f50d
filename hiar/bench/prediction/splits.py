"""Ranks beyond one a step: ranks that run context passes, and ranks that decode.

Every rank is taken to have a device of its own. In HiAR's order each step has a context of its own,
written at the step's output level, so S context passes fall on the context ranks for every block; a
model whose steps share one clean context has a single one. A context rank sends keys and values on
layer by layer, and the step rank denoises the next block one layer behind it. Decoder ranks hold
consecutive layers of the decoder, of equal times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hiar.bench.prediction.cost_model import Machine, PassTimes, predict
from hiar.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Split:
    """How many ranks do what.

    Attributes:
        steps: Ranks that denoise, from 1 to the number of steps.
        context: Ranks that run context passes; 0 leaves them to the ranks that denoise.
        decoder: Ranks that decode, at least 1.
    """

    steps: int
    context: int
    decoder: int

    @property
    def label(self) -> str:
        """The three numbers, as in "4 + 1 + 3"."""
        return f"{self.steps} + {self.context} + {self.decoder}"


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a split needs to know beside the passes.

    Attributes:
        decode_s: Seconds that one rank takes to decode a block.
        num_layers: Layers of the transformer.
        transfer_s: Seconds that a block of latents takes from a rank to the next.
        keys_s: Seconds that the keys and values of a block take, all layers.
    """

    decode_s: float
    num_layers: int
    transfer_s: float = 0.0
    keys_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class SplitPrediction:
    """Seconds from the start until each block is clean, and until it is decoded."""

    clean_s: Sequence[float]
    decoded_s: Sequence[float]


def predict_split(
    times: PassTimes, costs: Costs, split: Split, *, num_steps: int
) -> SplitPrediction:
    """When each block is clean and when it is decoded.

    Raises:
        UsageError: If there are context ranks but fewer ranks than steps, or more context ranks
            than steps, or no decoder rank.
    """
    if split.decoder < 1 or not 0 <= split.context <= num_steps:
        raise UsageError(
            f"{split.label} ranks for {num_steps} steps: give 0 to {num_steps} context ranks and "
            "at least 1 that decodes"
        )
    if split.context and split.steps != num_steps:
        raise UsageError(
            f"{split.label} ranks for {num_steps} steps: context ranks need a rank for each step"
        )
    if split.context:
        clean = _with_context_ranks(times, costs, num_steps, split.context)
    else:
        machine = Machine(transfer_s=costs.transfer_s)
        found = predict(times, machine, num_steps=num_steps, num_ranks=split.steps)
        clean = list(found.finished_s)
    return SplitPrediction(clean_s=clean, decoded_s=_decoded(clean, costs, split.decoder))


def _with_context_ranks(
    times: PassTimes, costs: Costs, num_steps: int, num_context: int
) -> list[float]:
    """When each block is clean; cells run wave by wave, as they become possible."""
    layer = 1 / costs.num_layers
    step_free, context_free = [0.0] * num_steps, [0.0] * num_context
    written = [(0.0, 0.0)] * num_steps
    """When the first and the last layer of each step's newest context have arrived."""
    arrives = [0.0] * times.num_blocks
    for wave in range(times.num_blocks + num_steps - 1):
        for step in range(max(0, wave - times.num_blocks + 1), min(num_steps, wave + 1)):
            block, rank = wave - step, step * num_context // num_steps
            denoise_s = times.denoise_s[block]
            first, last = written[step]
            start = max(arrives[block], step_free[step], first)
            step_free[step] = max(start + denoise_s, last + denoise_s * layer)
            arrives[block] = step_free[step] + costs.transfer_s
            if block + 1 < times.num_blocks:
                begins = max(arrives[block], context_free[rank])
                context_s = max(times.context_s[block], costs.keys_s)
                context_free[rank] = begins + context_s
                written[step] = (begins + context_s * layer, begins + context_s)
    return [arrival - costs.transfer_s for arrival in arrives]


def _decoded(clean_s: Sequence[float], costs: Costs, num_ranks: int) -> list[float]:
    """When each block leaves the last of the ranks that decode; each does its share in turn."""
    share, free, decoded = costs.decode_s / num_ranks, [0.0] * num_ranks, []
    for clean in clean_s:
        at = clean + costs.transfer_s
        for rank in range(num_ranks):
            at = free[rank] = max(at, free[rank]) + share
        decoded.append(at)
    return decoded
