"""A stand-in for the hiar commands: same files, drawn instead of sampled, in a second.

Copied as `hiar/__main__.py` into a folder that stands first on PYTHONPATH, so the tests run the
whole graph of real processes without torch. `FAKE_HIAR_FAIL=context` makes that sampling fail;
`FAKE_HIAR_SLEEP=seconds` makes sampling slow.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import av
import numpy as np

FPS = 16
ENCODER = {"crf": "12", "threads": "4", "x264-params": "cpu-independent=1"}
"""As of hiar.codecs.video, which cannot be imported: this file stands in for that package."""
GROWTH = {"clean": 0.9, "output": 0.5, "input": 0.1}


def draw(prompt_index: int, num_frames: int, growth: float) -> np.ndarray:
    """A disc that moves over grey, its colour growing more saturated with time: uint8 TxHxWx3."""
    rng = np.random.default_rng(prompt_index)
    time_axis = np.linspace(0, 1, num_frames)
    y, x = np.mgrid[0:48, 0:48]
    frames = np.empty((num_frames, 48, 48, 3), np.uint8)
    phase, rate = rng.uniform(0, 6), rng.uniform(3, 8)
    for index, now in enumerate(time_axis):
        centre = 24 + 14 * np.cos(phase + rate * now), 24 + 14 * np.sin(phase + rate * now)
        disc = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < 90
        colour = 0.25 + growth * now * rng.uniform(0.5, 0.9)
        image = np.full((48, 48, 3), 0.5)
        image += 0.12 * np.sin(x / 3 + prompt_index)[..., None]
        image[disc] = [0.55 + 0.4 * colour, 0.5 - 0.4 * colour, 0.45 - 0.3 * colour]
        frames[index] = np.clip(image * 255, 0, 255)
    return frames


def write_mp4(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = 48, 48, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def sample(args: argparse.Namespace) -> None:
    time.sleep(float(os.environ.get("FAKE_HIAR_SLEEP", "0")))
    if os.environ.get("FAKE_HIAR_FAIL") == args.context:
        sys.exit("sampling failed on purpose: <b>&</b>")
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    num_frames = 4 * (args.latent_frames - 1) + 1
    names = []
    for index, prompt in enumerate(Path(args.prompts).read_text(encoding="utf-8").splitlines()):
        growth = GROWTH[args.context] * (0.8 if args.order == "step_first" else 1)
        write_mp4(out / f"{index:03d}.mp4", draw(index, num_frames, growth))
        sidecar = {
            "schema": "hiar-sample/1",
            "video": f"{index:03d}.mp4",
            "prompt": prompt,
            "prompt_index": index,
            "sample_index": 0,
            "seed": args.seed,
            "num_latent_frames": args.latent_frames,
            "num_frames": num_frames,
            "fps": FPS,
            "config": {"order": args.order, "context": args.context},
            "frames_sha256": "0" * 64,
            "model": {"name": args.model, "weights": {"tiny.safetensors": "0" * 64}},
            "seconds": 0.1,
            "provenance": {},
        }
        (out / f"{index:03d}.json").write_text(json.dumps(sidecar), encoding="utf-8")
        names.append(f"{index:03d}.json")
    run = {"schema": "hiar-run/1", "videos": names, "provenance": {}}
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")


def bench(args: argparse.Namespace) -> None:
    if os.environ.get("RANK", "0") != "0":
        return  # the first process of a pipeline writes
    speeds = {
        "block_first": (52.1, 0.23, 5), "step_first": (33.4, 0.36, 8), "pipelined": (60.2, 0.2, 8),
    }  # fmt: skip
    rows = [
        {
            "order": order,
            "gpus": 0,
            "config": args.config,
            "dtype": "float32",
            "backend": "sdpa",
            "latent_frames": args.latent_frames,
            "window": args.window,
            "seconds": 177 / speeds[order][0],
            "throughput_fps": speeds[order][0],
            "latency_s": speeds[order][1],
            "first_block_s": speeds[order][1],
            "passes_per_block": speeds[order][2],
            "tflops_per_s": 0.05,
            "peak_memory_bytes": 10**9,
        }
        for order in args.orders.split(",")
    ]
    data = {"schema": "bench/1", "rows": rows, "provenance": {}}
    Path(args.out).write_text(json.dumps(data), encoding="utf-8")


def strips(args: argparse.Namespace) -> None:
    clips = []
    for index, prompt in enumerate(Path(args.prompts).read_text(encoding="utf-8").splitlines()):
        clip = {"prompt": prompt, "seed": 0}
        for name, growth in (("bidirectional", 0.1), ("causal", 0.9)):
            clip[name] = f"strips/{index}-{name}.mp4"
            (Path(args.out) / "strips").mkdir(parents=True, exist_ok=True)
            write_mp4(Path(args.out) / clip[name], draw(index, 33, growth))
        clips.append(clip)
    record = {"schema": "reports-strips/1", "scale": "tiny", "timestep": 1000.0, "clips": clips,
              "provenance": {}}  # fmt: skip
    (Path(args.out) / "strips.json").write_text(json.dumps(record), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("sample")
    one.add_argument("--context-noise")
    for name in ("--model", "--prompts", "--out", "--order", "--context"):
        one.add_argument(name, required=True)
    one.add_argument("--weights")
    one.add_argument("--prompt-range")  # the drawn study has two prompts: all of them are made
    two = commands.add_parser("bench")
    three = commands.add_parser("strips")
    for name in ("--prompts", "--out"):
        three.add_argument(name, required=True)
    for name in ("--config", "--orders", "--out"):
        two.add_argument(name, required=True)
    for command in (one, two):
        for name in ("--latent-frames", "--window"):
            command.add_argument(name, type=int, required=True)
    one.add_argument("--seed", type=int, required=True)
    for name in ("--warmup", "--repeats"):
        two.add_argument(name, type=int, required=True)
    args = parser.parse_args()
    {"sample": sample, "bench": bench, "strips": strips}[args.command](args)


if __name__ == "__main__":
    main()
