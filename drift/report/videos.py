"""One video as the report shows it: its row in the table, its pictures and its curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift.metrics.registry import METRICS
from drift.record.tables import RunData, VideoRow
from drift.report.charts import CHANGE_POINTS, Line, bin_means, frame_chart, sparkline
from drift.score.score import MetricScore, VideoScore, slope_values
from drift.stats.onset import onset
from drift.stats.segments import segment_bounds
from drift.video.discover import printable
from drift.video.thumbnails import LARGE, SMALL, strip_size

DETAIL_BUDGET_BYTES = 20_000_000  # largest size of the pictures and curves of all videos
WORST = 6  # videos that are shown large
FAR = 0.5  # share of a metric's scale from which on the page says that a video has changed
LEFT = 0.25  # share of the scale from which on such a video has left its start
ONSET_WINDOWS = 30  # parts of a video whose means are compared with its first segment


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """One metric of one video.

    Args:
        name: Name of the metric.
        weight: Weight of the metric in the preset; 0 beside the score.
        part: Score of the metric.
        spark: SVG of the segments.
        chart: SVG of the values over the frames, or empty.
        low: Smallest value of the chart.
        high: Largest value of the chart.
        line: How the metric changes over the video.
    """

    name: str
    weight: float
    part: MetricScore
    spark: str
    chart: str
    low: float
    high: float
    line: Line


@dataclass(frozen=True, kw_only=True)
class VideoView:
    """One video.

    Args:
        rank: Place in the order of drift; 0 for the video that drifts most.
        name: Path of the video, on one line.
        row: Measurements of the video.
        score: Score of the video.
        metrics: Metrics of the video, in order.
        picture: WebP of three thumbnails in base 64, or empty.
        large: The same, large, for the videos that drift most; else empty.
        seams: Metric -> seam of the video, where it was measured.
    """

    rank: int
    name: str
    row: VideoRow
    score: VideoScore
    metrics: tuple[MetricView, ...]
    picture: str
    large: str
    seams: Mapping[str, Mapping[str, Any]]

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of the picture in pixels."""
        return self._strip_size(SMALL)

    @property
    def large_size(self) -> tuple[int, int]:
        """Width and height of the large picture in pixels."""
        return self._strip_size(LARGE)

    def _strip_size(self, box: tuple[int, int]) -> tuple[int, int]:
        return strip_size(int(self.row.media["width"]), int(self.row.media["height"]), box)

    @property
    def duration_s(self) -> float | None:
        """Length in seconds; None if the file gives no frame rate."""
        segment_s = self.score.segment_s
        return segment_s and segment_s * len(self.metrics[0].part.segment_means)

    @property
    def far(self) -> list[MetricView]:
        """Metrics that changed by half their scale or more; those of the score come first."""
        return sorted(
            (metric for metric in self.metrics if metric.line.far),
            key=lambda metric: (not metric.weight, -metric.part.drift),
        )

    def since_s(self, metric: MetricView) -> float | None:
        """Second from which on a metric stays away from its start, if known."""
        share, length = metric.line.onset, self.duration_s
        return None if share is None or length is None else share * length

    @property
    def haystack(self) -> str:
        """Text that the filter of the page searches."""
        return f"{self.name} {self.row.prompt}".lower()

    @property
    def labels(self) -> str:
        """Directions of the metrics, as `metric:label`."""
        return " ".join(f"{metric.name}:{metric.part.label}" for metric in self.metrics)


def view_videos(
    run: RunData,
    scores: Sequence[VideoScore],
    thumbnails: Mapping[str, str],
    large: Mapping[str, str],
    seams: Mapping[str, Mapping[str, Mapping[str, Any]]],
) -> list[VideoView]:
    """Prepares every scored video for the page, in falling order of drift.

    Args:
        run: Everything that was measured.
        scores: Scores of the videos of status `ok`.
        thumbnails: Content hash -> WebP in base 64, where there is one.
        large: Content hash -> the same large, for the videos that drift most.
        seams: Path -> metric -> seam of the video.

    Returns:
        Views of the videos. Pictures and curves are left out once those before reach 20 MB, which
        is after more than a thousand videos.
    """
    rows = {row.path: row for row in run.rows}
    views: list[VideoView] = []
    left = DETAIL_BUDGET_BYTES
    for rank, score in enumerate(most_drift_first(scores)):
        row = rows[score.path]
        view = VideoView(
            rank=rank,
            name=printable(row.path),
            row=row,
            score=score,
            metrics=tuple(
                _metric_view(name, part, row, run, rank, with_chart=left > 0)
                for name, part in score.metrics.items()
            ),
            picture=thumbnails.get(row.sha256, "") if left > 0 else "",
            large=large.get(row.sha256, "") if rank < WORST else "",
            seams=seams.get(row.path, {}),
        )
        left -= len(view.picture) + sum(len(metric.chart) for metric in view.metrics)
        views.append(view)
    return views


def most_drift_first(scores: Sequence[VideoScore]) -> list[VideoScore]:
    """Scores in the order of the page."""
    return sorted(scores, key=lambda score: (-score.score, score.path))


def _metric_view(
    name: str, part: MetricScore, row: VideoRow, run: RunData, rank: int, *, with_chart: bool
) -> MetricView:
    values = slope_values(row.values[name], METRICS[name])
    term = run.preset.term(name)
    far = part.drift >= FAR
    return MetricView(
        name=name,
        weight=term.weight,
        part=part,
        spark=sparkline(part.segment_means, term.scale),
        chart=frame_chart(values, part.segment_means) if with_chart else "",
        low=float(values.min()),
        high=float(values.max()),
        line=Line(
            change=[value - part.segment_means[0] for value in _evenly(values, CHANGE_POINTS)],
            far="" if not far else "rising" if part.slope > 0 else "falling",
            label=str(rank + 1) if far and rank < WORST else "",
            onset=_onset(values, LEFT * term.scale, len(part.segment_means)) if far else None,
        ),
    )


def _evenly(values: NDArray[np.float64], num_points: int) -> list[float]:
    """Values averaged to a number of points; fewer values are repeated first."""
    repeats = max(1, -(-num_points // values.size))
    return bin_means(np.repeat(values, repeats), num_points)


def _onset(values: NDArray[np.float64], threshold: float, num_segments: int) -> float | None:
    """Share of the video after which its values stay away from its first segment."""
    _, num_first = segment_bounds(values.size, num_segments)[0]
    found = onset(values, num_first, max(1, values.size // ONSET_WINDOWS), threshold)
    return None if found is None else found / values.size
