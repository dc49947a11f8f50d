"""One video as the report shows it: its row, and the pictures and curves behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drift.metrics.registry import METRICS
from drift.record.tables import RunData, VideoRow
from drift.report.charts import frame_chart, sparkline
from drift.score.score import MetricScore, VideoScore, slope_values
from drift.video.discover import printable
from drift.video.thumbnails import strip_size

DETAIL_BUDGET_BYTES = 20_000_000  # pictures and curves of all videos together


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """One metric of one video.

    Args:
        name: The metric.
        part: Its score.
        spark: SVG of its segments.
        chart: SVG of its values over the frames, or empty.
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
        rank: Place, 0 for the one that drifts most.
        name: Its path, on one line.
        row: What was measured.
        score: Its score.
        metrics: Its metrics, in order.
        picture: WebP of three thumbnails in base 64, or empty.
        picture_size: Its width and height in pixels.
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
        """What the filter looks in."""
        return f"{self.name} {self.row.prompt}".lower()

    @property
    def labels(self) -> str:
        """The directions of its metrics, as `metric:label`."""
        return " ".join(f"{metric.name}:{metric.part.label}" for metric in self.metrics)


def view_videos(
    run: RunData, scores: Sequence[VideoScore], thumbnails: Mapping[str, str]
) -> list[VideoView]:
    """Lays out every scored video, most drift first.

    Args:
        run: What was measured.
        scores: The scored videos.
        thumbnails: Content hash -> WebP in base 64, where there is one.

    Returns:
        Views. Pictures and curves end when together they reach 20 MB: that is beyond the thousandth
        video, and the videos that drift most have them.
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
