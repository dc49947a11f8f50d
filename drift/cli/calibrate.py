"""`drift calibrate`: fits a preset to a stable reference or to published scores."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drift.cli.layout import aligned
from drift.cli.runs import chosen_metrics, read_runs, run_or_folder
from drift.errors import UsageError
from drift.files import atomic_write_text, dump_json

if TYPE_CHECKING:
    from drift.compare.comparable import NamedRun
    from drift.metrics.preset import Preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describes the command."""
    parser.description = (
        "Write a preset: the scale and weight of each metric. With --reference the scales follow "
        "from how much stable videos change (real clips, of the length, frame rate and codec of "
        "the videos to score). With --published the weights, and a common factor on the scales, "
        "are fitted by non-negative least squares to models whose score is known. Use it with "
        "--preset FILE of score, report and compare; scores of different presets are not compared."
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--reference", type=Path, metavar="RUN_OR_DIR", help="run, or folder, of stable videos"
    )
    source.add_argument(
        "--published",
        action="extend",
        nargs="+",
        metavar="RUN=SCORE",
        help="runs of models, each with the published score of its model",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE", help="preset to write")
    parser.add_argument("--name", help="name of the preset (default: that of FILE)")
    parser.add_argument(
        "--runs", type=Path, default=Path(), metavar="DIR", help="folder of the --published runs"
    )
    parser.add_argument(
        "--base", default="v1", metavar="FILE", help="preset to start from (default v1)"
    )
    parser.add_argument(
        "--metrics", metavar="A,B", help="metrics of the preset (default: those of the run)"
    )
    parser.add_argument(
        "--multiple",
        type=float,
        metavar="X",
        help="with --reference: a change that counts as drift 1, in RMS changes of the reference "
        "(default 5)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Fits the preset, writes it and prints it."""
    from drift.metrics.preset import dump_preset, load_preset  # noqa: PLC0415

    if arguments.multiple is not None and arguments.published:
        raise UsageError("--multiple goes with --reference; published scores fix the scales")
    name = arguments.name or arguments.out.stem
    if name == "v1":
        raise UsageError("the name v1 is taken by the built-in preset; give another with --name")
    base = load_preset(arguments.base)
    fit = _from_reference if arguments.reference is not None else _from_published
    preset, origin = fit(arguments, name, base)
    data = dump_preset(preset, {"base": {"name": base.name, "sha256": base.sha256}, **origin})
    atomic_write_text(arguments.out, dump_json(data))
    sys.stdout.write(dump_json(data) if arguments.json else _text(data, arguments.out))
    return 0


def _from_reference(
    arguments: argparse.Namespace, name: str, base: "Preset"
) -> tuple["Preset", dict[str, Any]]:
    from drift.compare.comparable import select  # noqa: PLC0415
    from drift.record.summary import score_videos  # noqa: PLC0415
    from drift.score.aggregate import mean  # noqa: PLC0415
    from drift.score.calibrate import (  # noqa: PLC0415
        REFERENCE_MULTIPLE,
        check_valid,
        reference_preset,
    )

    multiple = REFERENCE_MULTIPLE if arguments.multiple is None else arguments.multiple
    named = _reference_run(arguments.reference, arguments.metrics)
    check_valid(named.name, named.data.provenance)
    used = select(named, chosen_metrics(arguments.metrics), base).data
    scores = score_videos(used, base)
    if not scores:
        raise UsageError(f"{arguments.reference} has no scored video; see its summary.json")
    preset = reference_preset(name, scores, base=base, multiple=multiple)
    own = mean(score.score for score in score_videos(used, preset))
    return preset, {
        "method": "stable reference",
        "reference": named.name,
        "videos": len(scores),
        "segments": used.config.segments,
        "multiple": multiple,
        "reference_score": own,
    }


def _from_published(
    arguments: argparse.Namespace, name: str, base: "Preset"
) -> tuple["Preset", dict[str, Any]]:
    from drift.compare.comparable import check_comparable, select  # noqa: PLC0415
    from drift.record.summary import score_videos  # noqa: PLC0415
    from drift.score.calibrate import Published, check_valid, published_preset  # noqa: PLC0415

    targets = [_split(text) for text in arguments.published]
    named = read_runs([arguments.runs / path for path, _ in targets])
    for run in named:
        check_valid(run.name, run.data.provenance)
    runs = [select(run, chosen_metrics(arguments.metrics), base) for run in named]
    notes = check_comparable(runs) if len(runs) > 1 else []
    for note in notes:
        sys.stderr.write(f"drift: note: {note}\n")
    models = [
        Published(name=run.name, scores=score_videos(run.data, base), target=target)
        for run, (_, target) in zip(runs, targets, strict=True)
    ]
    for model in models:
        if not model.scores:
            raise UsageError(f"{model.name} has no scored video; see its summary.json")
    preset, fit = published_preset(name, models, base=base)
    return preset, {
        "method": "published scores",
        "segments": runs[0].data.config.segments,
        **fit,
    }


def _reference_run(path: Path, metrics: str | None) -> "NamedRun":
    """Reads a run; a folder of videos is measured first."""
    from drift.compare.comparable import NamedRun  # noqa: PLC0415
    from drift.metrics.networks.settings import MetricSettings  # noqa: PLC0415
    from drift.score.config import ScoreConfig  # noqa: PLC0415

    config = ScoreConfig(metrics=chosen_metrics(metrics) or ("fast",))
    return NamedRun(name=path.resolve().name, data=run_or_folder(path, config, MetricSettings()))


def _split(text: str) -> tuple[Path, float]:
    """Splits `RUN=SCORE` at the last `=`, since a path may hold one too."""
    path, equals, score = text.rpartition("=")
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if not (equals and path and 0 < value <= 1):
        raise UsageError(f"--published {text}: give RUN=SCORE with a score above 0 and at most 1")
    return Path(path), value


def _text(data: dict[str, Any], out: Path) -> str:
    """The preset and how well it fits, as text for a terminal."""
    terms: Sequence[dict[str, Any]] = data["terms"]
    rows = [("metric", "family", "scale", "weight")]
    rows += [(t["metric"], t["family"], f"{t['scale']:.5g}", f"{t['weight']:.4f}") for t in terms]
    origin, lines = data["origin"], [f"preset {data['name']}, sha256 {data['sha256']}\n"]
    lines.append(aligned(rows))
    if origin["method"] == "stable reference":
        lines.append(
            f"the reference scores {origin['reference_score']:.4f} over {origin['videos']} videos "
            f"(scales are {origin['multiple']:g} times its RMS change)\n"
        )
    else:
        fits = [("model", "published", "with this preset", "videos")]
        for m in origin["models"]:
            numbers = (f"{m['published']:.4f}", f"{m['reproduced']:.4f}", str(m["videos"]))
            fits.append((m["name"], *numbers))
        lines.append(f"\n{aligned(fits)}root mean square error {origin['rms_error']:.4f}\n")
        if origin["underdetermined"]:
            lines.append(
                f"underdetermined: {origin['rank']} independent scores for {origin['unknowns']} "
                "weights. Of all weights that fit best, these are nearest to the base preset's; "
                "they are no evidence of what the publisher used\n"
            )
    lines.append(f"wrote {out}; use it with --preset {out}\n")
    return "".join(lines)
