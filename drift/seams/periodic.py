"""Statistics of a series of frame pairs whose borders return with a period. Pure, without files.

Pair i is the change from frame i to frame i + 1. A value is judged against the median of its
neighbours within half a block, so neither slow drift nor fast motion counts as a seam. Medians over
border pairs keep single scene cuts from counting either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drift.stats.bootstrap import percentile_interval

RESAMPLES = 1000
SEED = 0
MIN_BORDERS = 2
TEMPORAL_STRIDE = 4
"""Frames that one latent frame of Wan's VAE decodes to; the first one decodes to 1
(Wan2.1, wan/modules/vae.py)."""
CANDIDATE_BLOCKS = range(2 * TEMPORAL_STRIDE, 15 * TEMPORAL_STRIDE + 1, TEMPORAL_STRIDE)
"""Blocks, in frames, that `estimate_borders` looks for: whole latent frames, and at least two of
them, since a block of one cannot be told from the pattern that the VAE leaves in any video."""

Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Borders:
    """Where blocks end: pair `first - 1` is the first border, and then every `block`-th pair.

    Attributes:
        first: Frames in the first block, >= 1.
        block: Frames in each later block, >= 2.
        source: `sidecar`, `given` or `estimated`.
    """

    first: int
    block: int
    source: str

    @property
    def phase(self) -> int:
        """Index of a border pair modulo the block."""
        return (self.first - 1) % self.block

    def pairs(self, num_pairs: int) -> NDArray[np.int64]:
        """Indices of the border pairs of a video with `num_pairs` pairs."""
        return np.arange(self.first - 1, num_pairs, self.block)


@dataclass(frozen=True, kw_only=True)
class Seam:
    """What one metric says about the borders of one video or of several.

    Attributes:
        seam_ratio: Median over borders of a pair's value over that of its neighbours; 1 without
            seams.
        ci95: Bootstrap interval of the ratio over prompts and borders.
        largest_other_phase: The same median at the phase, other than the borders', where it is
            largest: what the ratio must exceed to mean anything.
        jump: Median over borders of a pair's value less that of its neighbours, in the metric's
            unit.
        trend: Change of the ratio from the first to the last border, by least squares.
        num_borders: Border pairs behind these numbers.
        profile: Median ratio at each phase, the first entry at phase 0.
    """

    seam_ratio: float
    ci95: tuple[float, float]
    largest_other_phase: float
    jump: float
    trend: float
    num_borders: int
    profile: tuple[float, ...]

    @property
    def found(self) -> bool:
        """Whether borders stand out: above 1 and above every other phase, interval included."""
        return self.ci95[0] > max(1.0, self.largest_other_phase)


def neighbour_medians(values: Values, half: int) -> Values:
    """Median of the values within `half` places on either side, the value itself left out.

    Args:
        values: (pairs,), at least two.
        half: Places on either side, >= 1; at an end only those that exist.

    Returns:
        float64 (pairs,).
    """
    padded = np.pad(np.asarray(values, dtype=np.float64), half, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    around = np.delete(windows, half, axis=1)
    medians: Values = np.nanmedian(around, axis=1)
    return medians


def local_ratios(values: Values, block: int, floor: float) -> Values:
    """Each value over the median of its neighbours within half a block.

    Args:
        values: (pairs,), >= 0.
        block: Frames a block, >= 2.
        floor: Added above and below, so that two changes which nobody can see have the ratio 1.

    Returns:
        float64 (pairs,), > 0.
    """
    ratios: Values = (values + floor) / (neighbour_medians(values, block // 2) + floor)
    return ratios


def phase_profile(series: Sequence[Values], block: int, offsets: Sequence[int]) -> Values:
    """Median ratio at each phase of the block, over the pairs of all videos.

    Args:
        series: Ratios of each video, (pairs,).
        block: Frames a block.
        offsets: Phase of the borders of each video; phase 0 of the result is theirs.

    Returns:
        float64 (block,); NaN at a phase that no video reaches.
    """
    phases = np.concatenate(
        [
            (np.arange(len(one)) - offset) % block
            for one, offset in zip(series, offsets, strict=True)
        ]
    )
    pooled = np.concatenate(list(series))
    return np.array(
        [
            np.median(pooled[phases == phase]) if np.any(phases == phase) else np.nan
            for phase in range(block)
        ]
    )


def measure_seam(
    series: Sequence[Values],
    borders: Sequence[Borders],
    clusters: Sequence[str],
    *,
    floor: float,
) -> Seam:
    """The seam of one or more videos with blocks of one length.

    Args:
        series: Values of each video's pairs, (pairs,), in the metric's unit.
        borders: Borders of each video; all have the same `block`.
        clusters: Prompt of each video; videos of one prompt are resampled together.
        floor: See `local_ratios`.

    Returns:
        The seam; every border counts the same.

    Raises:
        ValueError: If blocks differ, or a video has fewer than two borders.
    """
    blocks = {one.block for one in borders}
    if len(blocks) != 1:
        raise ValueError(f"videos with blocks of {sorted(blocks)} frames are not one seam")
    block = blocks.pop()
    around = [neighbour_medians(values, block // 2) for values in series]
    ratios = [
        (values + floor) / (medians + floor) for values, medians in zip(series, around, strict=True)
    ]
    at_borders = [one[where.pairs(len(one))] for one, where in zip(ratios, borders, strict=True)]
    if min(map(len, at_borders)) < MIN_BORDERS:
        raise ValueError(f"a seam needs at least {MIN_BORDERS} borders in each video")
    jumps = [
        (values - medians)[where.pairs(len(values))]
        for values, medians, where in zip(series, around, borders, strict=True)
    ]
    profile = phase_profile(ratios, block, [where.phase for where in borders])
    return Seam(
        seam_ratio=float(np.median(np.concatenate(at_borders))),
        ci95=_interval(at_borders, clusters),
        largest_other_phase=float(np.nanmax(profile[1:])),
        jump=float(np.median(np.concatenate(jumps))),
        trend=float(np.mean([_trend(one) for one in at_borders])),
        num_borders=sum(map(len, at_borders)),
        profile=tuple(np.roll(profile, borders[0].phase).tolist()),
    )


def _interval(at_borders: Sequence[Values], clusters: Sequence[str]) -> tuple[float, float]:
    """Percentile bootstrap of the median: prompts are drawn, then borders within each video."""
    groups: dict[str, list[Values]] = {}
    for ratios, cluster in zip(at_borders, clusters, strict=True):
        groups.setdefault(cluster, []).append(ratios)
    names = sorted(groups)
    rng = np.random.default_rng(SEED)
    medians = []
    for _ in range(RESAMPLES):
        drawn = [groups[names[i]] for i in rng.integers(len(names), size=len(names))]
        parts = [one[rng.integers(len(one), size=len(one))] for group in drawn for one in group]
        medians.append(np.median(np.concatenate(parts)))
    low, high = percentile_interval(np.array(medians)).tolist()
    return low, high


def _trend(ratios: Values) -> float:
    position = np.linspace(-0.5, 0.5, len(ratios))
    return float(position @ (ratios - ratios.mean()) / (position @ position))


def estimate_borders(series: Sequence[Values], floor: float) -> Borders:
    """The period and phase at which values stand out most, for videos made in the same way.

    Every block of `CANDIDATE_BLOCKS` is tried at every phase. The score is the
    mean log ratio there less the mean elsewhere, over its standard error. A multiple of the true
    period has fewer borders and a part of it includes other pairs, so both score lower.

    Args:
        series: Values of each video's pairs; at least one video with two blocks of pairs.
        floor: See `local_ratios`.

    Returns:
        Borders whose `source` is `estimated`. There is always a best one, also without any seam.

    Raises:
        ValueError: If no video is long enough.
    """
    longest = max(map(len, series))
    periods = [block for block in CANDIDATE_BLOCKS if block * MIN_BORDERS <= longest]
    if not periods:
        raise ValueError(f"{longest} pairs are too few to find a period in")
    best = (-np.inf, 0, 0)
    for period in periods:
        logs = [np.log(local_ratios(values, period, floor)) for values in series]
        phases = np.concatenate([np.arange(len(one)) % period for one in logs])
        pooled = np.concatenate(logs)
        counts = np.bincount(phases, minlength=period)
        sums = np.bincount(phases, weights=pooled, minlength=period)
        others = len(pooled) - counts
        gaps = sums / counts - (pooled.sum() - sums) / others
        spread = max(float(pooled.std()), 1e-12)
        scores = gaps / (spread * np.sqrt(1 / counts + 1 / others))
        phase = int(scores.argmax())
        best = max(best, (float(scores[phase]), period, phase))
    _, block, phase = best
    return Borders(first=phase + 1, block=block, source="estimated")


def periodogram(values: Values, floor: float, periods: Sequence[float]) -> dict[str, float]:
    """Power of the log of a series at some periods, over what independent values would have.

    Args:
        values: (pairs,), >= 0.
        floor: Added before the logarithm.
        periods: In frames, >= 2.

    Returns:
        Power by period; 1 is the mean for noise, and noise exceeds 4.6 at one period in a hundred.
    """
    logs = np.log(values + floor)
    centred = logs - logs.mean()
    variance = float(centred @ centred)
    time = np.arange(len(values))
    return {
        f"{period:g}": (
            float(abs(centred @ np.exp(-2j * np.pi * time / period)) ** 2 / variance)
            if variance > 0
            else 0.0
        )
        for period in periods
    }
