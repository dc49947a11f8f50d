"""Times `drift score` against a plain loop over pyiqa, lpips and transformers.

Both measure the same video with the same random weights, one after the other, in processes of their
own that this script starts. The plain loop is what one writes by hand: frame by frame, each library
as it comes. Needs the extra `metrics` (pyiqa: noncommercial licence). No weights are downloaded.

    python scripts/bench_drift.py --frames 16 --size 480x832
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hiar.codecs.video import write_mp4

METRICS = ("musiq", "clip_iqa", "dino_coherence", "lpips", "saturation", "sharpness")
Values = dict[str, list[float]]
now = time.perf_counter


def main() -> None:
    """Runs the two sides and prints what they took and how far their values are apart."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--frames", type=int, default=16, help="frames of the video (default 16)")
    parser.add_argument("--size", default="480x832", help="height x width (default 480x832)")
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "float32", "bfloat16"),
        help="precision of ours (default auto)",
    )
    parser.add_argument("--metrics", default=",".join(METRICS), help="default: all six")
    parser.add_argument(
        "--cpu-time", action="store_true", help="CPU seconds, for a machine that others use too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--side", choices=("plain", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--video", type=Path, help="measure this file, not a drawn one")
    arguments = parser.parse_args()
    if arguments.side:
        globals()["now"] = time.process_time if arguments.cpu_time else time.perf_counter
        run = {"plain": plain, "ours": ours}[arguments.side]
        metrics = tuple(arguments.metrics.split(","))
        with contextlib.redirect_stdout(sys.stderr):
            result = run(arguments.video, metrics, arguments.dtype)
        sys.stdout.write(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as folder:
        video = arguments.video or draw(
            Path(folder) / "video.mp4", arguments.frames, arguments.size
        )
        sides = {side: start(side, video, arguments) for side in ("plain", "ours")}
    report(sides, as_json=arguments.json)


def draw(path: Path, num_frames: int, size: str) -> Path:
    """A camera that moves over smooth random textures, with a little noise."""
    height, width = (int(number) for number in size.split("x"))
    rng = np.random.default_rng(0)
    coarse = rng.random((3, height // 8 + 16, width // 8 + 16, 3)).repeat(8, 1).repeat(8, 2)

    def frames() -> Iterator[Any]:
        for index in range(num_frames):
            layers = [t[index * k : height + index * k, :width] for k, t in enumerate(coarse)]
            frame = 255 * np.mean(layers, axis=0) + rng.normal(0, 2, (height, width, 3))
            yield frame.clip(0, 255).astype(np.uint8)

    write_mp4(path, frames(), 16)
    return path


def start(side: str, video: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Runs one side in a process of its own."""
    command = [sys.executable, __file__, "--side", side, "--video", str(video)]
    command += ["--dtype", arguments.dtype, "--metrics", arguments.metrics]
    command += ["--cpu-time"] * arguments.cpu_time
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, object] = json.loads(done.stdout)
    return result


def ours(video: Path, metrics: tuple[str, ...], dtype: Any) -> dict[str, object]:
    """The metrics of this toolkit, timed one by one and together, decoding apart."""
    from drift.metrics.networks.settings import MetricSettings
    from drift.metrics.registry import METRICS as SPECS
    from drift.video.batch import FrameBatch
    from drift.video.decode import open_video

    settings = MetricSettings(random_weights=True, dtype=dtype)
    running = {name: SPECS[name].new_metric(settings) for name in metrics}
    values: Values = {name: [] for name in metrics}
    seconds = dict.fromkeys(("decode", *metrics), 0.0)
    with open_video(video) as reader, clock(seconds, "decode"):
        frames = list(reader.frames())
    step = settings.frames_per_batch(*frames[0].shape[:2])
    for start_index in range(0, len(frames), step):
        batch = FrameBatch(frames[start_index : start_index + step], start_index)
        with clock(seconds, "decode"):
            if any(SPECS[name].learned for name in metrics):
                batch.pixels(settings.device)
        for name, update in running.items():
            with clock(seconds, name):
                values[name] += update(batch)
    return {"seconds": seconds, "values": values, "frames": len(frames), "peak": peak()}


def plain(video: Path, metrics: tuple[str, ...], dtype: str) -> dict[str, object]:
    """The libraries, frame by frame, in float32, with the weights that ours has."""
    import cv2
    import torch

    del dtype
    capture = cv2.VideoCapture(str(video))
    seconds = dict.fromkeys(("decode", *metrics), 0.0)
    frames = []
    with clock(seconds, "decode"):
        while True:
            read, bgr = capture.read()
            if not read:
                break
            frames.append(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    values: Values = {name: [] for name in metrics}
    models = {name: PLAIN[name]() for name in metrics}
    with torch.inference_mode():
        previous = None
        for frame in frames:
            with clock(seconds, "decode"):
                tensor = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255
            for name in metrics:
                with clock(seconds, name):
                    value = models[name](frame, tensor, previous)
                if value is not None:
                    values[name].append(value)
            previous = tensor
    return {"seconds": seconds, "values": values, "frames": len(frames), "peak": peak()}


def peak() -> float:
    """GFLOP/s of a float32 matrix product, best of ten: the clock decides on cores or one."""
    import torch

    matrix = torch.rand(2048, 2048)
    seconds = []
    for _ in range(10):
        begin = now()
        matrix @ matrix
        seconds.append(now() - begin)
    return 2 * 2048**3 / min(seconds) / 1e9


@contextlib.contextmanager
def clock(seconds: dict[str, float], name: str):  # type: ignore[no-untyped-def]
    """Adds the time that its body takes."""
    begin = now()
    yield
    seconds[name] += now() - begin


def plain_musiq():  # type: ignore[no-untyped-def]
    """Pyiqa's MUSIQ."""
    from pyiqa.archs.musiq_arch import MUSIQ

    from drift.metrics.musiq import _network
    from drift.metrics.networks.settings import MetricSettings

    model = MUSIQ(pretrained=False).eval()
    model.load_state_dict(_network("koniq", MetricSettings(random_weights=True)).state_dict())
    return lambda frame, tensor, previous: float(model(tensor))


def plain_clip_iqa():  # type: ignore[no-untyped-def]
    """Pyiqa's CLIP-IQA, which encodes its ten prompts at every call."""
    from pyiqa.archs import clip_model, clipiqa_arch

    from drift.metrics.networks.clip import Clip
    from drift.metrics.networks.loading import load_network
    from drift.metrics.networks.settings import MetricSettings

    ours = load_network(Clip, dict, MetricSettings(random_weights=True), "clip_iqa")
    sizes = (1024, 224, (3, 4, 6, 3), 64, None, 77, 49408, 512, 8, 12)
    clip = clip_model.CLIP(*sizes).float().eval()
    clip.load_state_dict(ours.state_dict())
    clipiqa_arch.load = lambda *_, **__: clip
    model = clipiqa_arch.CLIPIQA(model_type="clipiqa").eval()
    return lambda frame, tensor, previous: float(model(tensor))


def plain_dino_coherence():  # type: ignore[no-untyped-def]
    """Transformers' DINOv2, once a frame: the token of the last one is kept, as a user would."""
    import torch
    from safetensors.torch import save_file
    from torchvision.transforms import v2
    from transformers import Dinov2Config, Dinov2Model

    from drift.metrics.dino_coherence import DEVIATION, MEAN, published_network
    from drift.metrics.networks.settings import MetricSettings

    with tempfile.TemporaryDirectory() as folder:
        state = published_network("vit-b", MetricSettings(random_weights=True)).state_dict()
        save_file(dict(state), Path(folder) / "model.safetensors", {"format": "pt"})
        Dinov2Config(patch_size=14, image_size=518).save_pretrained(folder)
        model = Dinov2Model.from_pretrained(folder).eval()
    prepare = v2.Compose(
        [
            v2.Resize((224, 224), v2.InterpolationMode.BICUBIC, antialias=True),
            v2.Normalize(MEAN, DEVIATION),
        ]
    )
    last: list[torch.Tensor] = []

    def measure(frame, tensor, previous):  # type: ignore[no-untyped-def]
        token = model(prepare(tensor)).last_hidden_state[:, 0]
        value = float(torch.cosine_similarity(last[0], token)) if last else None
        last[:] = [token]
        return value

    return measure


def plain_lpips():  # type: ignore[no-untyped-def]
    """The lpips package on both frames of a pair."""
    from lpips import LPIPS

    from drift.metrics.lpips import Lpips
    from drift.metrics.networks.loading import load_network
    from drift.metrics.networks.settings import MetricSettings

    model = LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    state = load_network(Lpips, dict, MetricSettings(random_weights=True), "lpips").state_dict()
    own = model.state_dict()
    for name in own:
        layer, _, kind = name.rpartition(".")
        if layer.startswith("net."):
            own[name] = state[f"features.{layer.rpartition('.')[2]}.{kind}"]
        elif layer.startswith("lin"):
            own[name] = state[name.replace("lins.", "lin")]
    model.load_state_dict(own)
    return lambda frame, tensor, previous: (
        None if previous is None else float(model(previous, tensor, normalize=True))
    )


def plain_saturation():  # type: ignore[no-untyped-def]
    """OpenCV and numpy."""
    import cv2

    return lambda frame, *_: float(cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 1].mean() / 255)


def plain_sharpness():  # type: ignore[no-untyped-def]
    """OpenCV and numpy."""
    import cv2

    return lambda frame, *_: float(
        cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()
    )


PLAIN = {name: globals()[f"plain_{name}"] for name in METRICS}


def report(sides: dict[str, dict[str, object]], *, as_json: bool) -> None:
    """A row a metric: seconds of both, their ratio, the largest relative difference."""
    plain_s, ours_s = (dict(sides[side]["seconds"]) for side in ("plain", "ours"))  # type: ignore[call-overload]
    rows = []
    for name in plain_s:
        theirs, mine = (np.array(sides[s]["values"].get(name, [])) for s in ("plain", "ours"))  # type: ignore[attr-defined]
        largest = float(np.max(np.abs(mine - theirs) / np.abs(theirs))) if theirs.size else None
        rows.append((name, plain_s[name], ours_s[name], largest))
    rows.append(("all", sum(plain_s.values()), sum(ours_s.values()), None))
    if as_json:
        keys = ("metric", "plain_s", "ours_s", "largest_relative_difference")
        data = [dict(zip(keys, row, strict=True)) | {"ratio": row[1] / row[2]} for row in rows]
        peaks = {f"{side}_peak_gflops": sides[side]["peak"] for side in sides}
        about = {"schema": "bench-drift/1", "frames": sides["ours"]["frames"], "rows": data} | peaks
        sys.stdout.write(json.dumps(about, indent=1) + "\n")
        return
    sys.stdout.write(f"{sides['ours']['frames']} frames, weights loaded before, random\n")
    rates = " and ".join(f"{sides[side]['peak']:.0f}" for side in ("plain", "ours"))
    sys.stdout.write(f"matrix product after each side: {rates} GFLOP/s\n")
    sys.stdout.write(f"{'':15} {'plain s':>9} {'ours s':>9} {'ratio':>6}  largest difference\n")
    for name, theirs, mine, largest in rows:
        difference = "" if largest is None else f"{100 * largest:.4f} %"
        line = f"{name:15} {theirs:9.3f} {mine:9.3f} {theirs / mine:6.2f}  {difference}"
        sys.stdout.write(line.rstrip() + "\n")


if __name__ == "__main__":
    main()
