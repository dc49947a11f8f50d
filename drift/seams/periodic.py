"""Statistics of a series of frame pairs whose borders return with a period. Pure, without files.

Pair i is the change from frame i to frame i + 1. A value is judged against the median of its
neighbours within half a block, so neither slow drift nor fast motion counts as a seam. Medians over
border pairs keep single scene cuts from counting either.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from drift.stats.bootstrap import percentile_interval

RESAMPLES = 1000
SEED = 0
MIN_BORDERS = 2
BATCH_CELLS = 2**21
"""Ratios of all resamples that are held in memory at once."""
TEMPORAL_STRIDE = 4
"""Frames that one latent frame of Wan's VAE decodes to; the first one decodes to 1
(Wan2.1, wan/modules/vae.py)."""
CANDIDATE_BLOCKS = range(2 * TEMPORAL_STRIDE, 15 * TEMPORAL_STRIDE + 1, TEMPORAL_STRIDE)
"""Blocks, in frames, that `estimate_borders` looks for: whole latent frames, and at least two of
them, since a block of one cannot be told from the pattern that the VAE leaves in any video."""

ESTIMATE_VIDEOS = 40
"""Most videos of a run that an estimate looks at; they are spread evenly over the run."""

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
    return _row_medians(np.delete(sliding_window_view(padded, 2 * half + 1), half, axis=1))


def _row_medians(table: Values) -> Values:
    """Median of each row of a table, in which NaN stands for no value; np.nanmedian is slow."""
    ordered = np.sort(table, axis=1)  # NaN sorts to the end
    count, rows = np.count_nonzero(~np.isnan(ordered), axis=1), np.arange(len(ordered))
    medians: Values = (ordered[rows, (count - 1) // 2] + ordered[rows, count // 2]) / 2
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


def phase_profile(series: Sequence[Values], block: int) -> Values:
    """Median ratio at each phase of the block, over the pairs of all videos.

    Args:
        series: Ratios of each video, (pairs,); one video at least has a whole block of them.
        block: Frames a block.

    Returns:
        float64 (block,).
    """
    return np.array(
        [np.median(np.concatenate([one[phase::block] for one in series])) for phase in range(block)]
    )


def measure_seam(
    series: Sequence[Values], borders: Borders, clusters: Sequence[str], *, floor: float
) -> Seam:
    """The seam of one or more videos with the same borders.

    Args:
        series: Values of each video's pairs, (pairs,), in the metric's unit.
        borders: Borders of the videos.
        clusters: Prompt of each video; videos of one prompt are resampled together.
        floor: See `local_ratios`.

    Returns:
        The seam; every border counts the same.

    Raises:
        ValueError: If a video has fewer than two borders.
    """
    around = [neighbour_medians(values, borders.block // 2) for values in series]
    ratios = [
        (values + floor) / (medians + floor) for values, medians in zip(series, around, strict=True)
    ]
    at_borders = [one[borders.pairs(len(one))] for one in ratios]
    if min(map(len, at_borders)) < MIN_BORDERS:
        raise ValueError(f"a seam needs at least {MIN_BORDERS} borders in each video")
    jumps = [
        (values - medians)[borders.pairs(len(values))]
        for values, medians in zip(series, around, strict=True)
    ]
    profile = phase_profile(ratios, borders.block)
    return Seam(
        seam_ratio=float(np.median(np.concatenate(at_borders))),
        ci95=_interval(at_borders, clusters),
        largest_other_phase=float(np.delete(profile, borders.phase).max()),
        jump=float(np.median(np.concatenate(jumps))),
        trend=float(np.mean([_trend(one) for one in at_borders])),
        num_borders=sum(map(len, at_borders)),
        profile=tuple(profile.tolist()),
    )


def _interval(at_borders: Sequence[Values], clusters: Sequence[str]) -> tuple[float, float]:
    """Percentile bootstrap of the median: prompts are drawn, then borders within each video."""
    groups: dict[str, list[int]] = {}
    for video, cluster in enumerate(clusters):
        groups.setdefault(cluster, []).append(video)
    members = _padded([groups[name] for name in sorted(groups)], -1)
    ratios, lengths = _padded(at_borders, np.nan), np.array([len(one) for one in at_borders])
    rng, medians = np.random.default_rng(SEED), []
    step = max(1, BATCH_CELLS // (len(members) * members.shape[1] * ratios.shape[1]))
    for start in range(0, RESAMPLES, step):
        rows = min(step, RESAMPLES - start)
        prompts = rng.integers(len(members), size=(rows, len(members)))
        videos = members[prompts].reshape(rows, -1, 1)
        size = np.where(videos < 0, 0, lengths[videos])
        picks = (rng.random((rows, videos.shape[1], ratios.shape[1])) * size).astype(np.int64)
        drawn = ratios[videos, picks]
        drawn[np.arange(ratios.shape[1]) >= size] = np.nan
        medians.append(_row_medians(drawn.reshape(rows, -1)))
    low, high = percentile_interval(np.concatenate(medians)).tolist()
    return low, high


def _padded(lists: Sequence[Sequence[float] | Values], filling: float) -> NDArray[Any]:
    """Lists of different lengths as the rows of one array."""
    rows = np.full((len(lists), max(map(len, lists))), filling, np.asarray(lists[0]).dtype)
    for row, values in zip(rows, lists, strict=True):
        row[: len(values)] = values
    return rows


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
    series = series[:: -(-len(series) // ESTIMATE_VIDEOS)]
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
