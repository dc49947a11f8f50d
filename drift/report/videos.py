"""One video as the report shows it: its row in the table, its pictures and its curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drift.metrics.registry import METRICS
from drift.record.tables import RunData, VideoRow
from drift.report.charts import frame_chart, sparkline
from drift.score.score import MetricScore, VideoScore, slope_values
from drift.video.discover import printable
from drift.video.thumbnails import strip_size

DETAIL_BUDGET_BYTES = 20_000_000  # largest size of the pictures and curves of all videos


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """One metric of one video.

    Args:
        name: Name of the metric.
        part: Score of the metric.
        spark: SVG of the segments.
        chart: SVG of the values over the frames, or empty.
        low: Smallest value of the chart.
        high: Largest value of the chart.
    """

    name: str
    part: MetricScore
    spark: str
    chart: str
    low: float
    high: float


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
        picture_size: Width and height of the picture in pixels.
    """

    rank: int
    name: str
    row: VideoRow
    score: VideoScore
    metrics: tuple[MetricView, ...]
    picture: str
    picture_size: tuple[int, int]

    @property
    def haystack(self) -> str:
        """Text that the filter of the page searches."""
        return f"{self.name} {self.row.prompt}".lower()

    @property
    def labels(self) -> str:
        """Directions of the metrics, as `metric:label`."""
        return " ".join(f"{metric.name}:{metric.part.label}" for metric in self.metrics)


def view_videos(
    run: RunData, scores: Sequence[VideoScore], thumbnails: Mapping[str, str]
) -> list[VideoView]:
    """Prepares every scored video for the page, in falling order of drift.

    Args:
        run: Everything that was measured.
        scores: Scores of the videos of status `ok`.
        thumbnails: Content hash -> WebP in base 64, where there is one.

    Returns:
        Views of the videos. Pictures and curves are left out once those before reach 20 MB, which
        is after more than a thousand videos.
    """
    rows = {row.path: row for row in run.rows}
    views: list[VideoView] = []
    left = DETAIL_BUDGET_BYTES
    for rank, score in enumerate(sorted(scores, key=lambda score: (-score.score, score.path))):
        row = rows[score.path]
        view = _view(rank, row, score, run, thumbnails.get(row.sha256, "") if left > 0 else "",
                     with_charts=left > 0)  # fmt: skip
        left -= len(view.picture) + sum(len(metric.chart) for metric in view.metrics)
        views.append(view)
    return views


def _view(
    rank: int, row: VideoRow, score: VideoScore, run: RunData, picture: str, *, with_charts: bool
) -> VideoView:
    metrics = []
    for name, part in score.metrics.items():
        values = slope_values(row.values[name], METRICS[name])
        chart = frame_chart(values, part.segment_means) if with_charts else ""
        metrics.append(
            MetricView(
                name=name,
                part=part,
                spark=sparkline(part.segment_means, run.preset.term(name).scale),
                chart=chart,
                low=float(values.min()),
                high=float(values.max()),
            )
        )
    return VideoView(
        rank=rank,
        name=printable(row.path),
        row=row,
        score=score,
        metrics=tuple(metrics),
        picture=picture,
        picture_size=strip_size(int(row.media["width"]), int(row.media["height"])),
    )
