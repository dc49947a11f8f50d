"""Runs NOVA or Pyramid Flow inside its own environment; imports nothing of this toolkit.

Each line on standard input is the path of a job: a JSON file with `prompt`, `seed`, `video` (where
the frames go, uint8 (T, H, W, 3) as numpy saves them), `answer` (where the answer goes), and the
arguments of the model's call. The answer is `{"seconds": {...}}` or `{"error": "..."}`. Python
3.8, which Pyramid Flow's authors use, must be able to run this file.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Callable  # noqa: UP035  (Python 3.8 needs this one)

import numpy as np
import torch

Model = Callable[..., Any]


def load_nova(weights: str, device: str) -> Model:
    """NOVA 2cd254a, README: diffnext's pipeline in float16."""
    from diffnext.pipelines import NOVAPipeline  # type: ignore[import-not-found]  # noqa: PLC0415

    pipe = NOVAPipeline.from_pretrained(weights, torch_dtype=torch.float16, trust_remote_code=True)
    pipe = pipe.to(device)

    def generate(prompt: str, generator: Any, **arguments: Any) -> Any:
        output = pipe(prompt, generator=generator, output_type="np", **arguments)
        return output.frames[0]

    return generate


def load_pyramid_flow(weights: str, device: str) -> Model:
    """Pyramid Flow 3040d71, README: the SD3 model, 384p, in bfloat16."""
    from pyramid_dit import (  # type: ignore[import-not-found]  # noqa: PLC0415
        PyramidDiTForVideoGeneration,
    )

    model = PyramidDiTForVideoGeneration(
        weights,
        model_name="pyramid_mmdit",
        model_dtype="bf16",
        model_variant="diffusion_transformer_384p",
    )
    model.vae.enable_tiling()
    for part in (model.vae, model.dit, model.text_encoder):
        part.to(device)

    def generate(prompt: str, generator: Any, **arguments: Any) -> Any:
        with torch.autocast(torch.device(device).type, dtype=torch.bfloat16):
            return model.generate(
                prompt=prompt, generator=generator, output_type="pil", **arguments
            )

    return generate


MODELS = {"nova": load_nova, "pyramid-flow": load_pyramid_flow}


def run_job(model: Model, job: dict[str, Any], device: str) -> dict[str, float]:
    """Make one video and save its frames; returns seconds by part of the work."""
    arguments = {k: v for k, v in job.items() if k not in ("prompt", "seed", "video", "answer")}
    torch.manual_seed(job["seed"])  # Pyramid Flow draws its block noise from the global RNG
    generator = torch.Generator(device).manual_seed(job["seed"])
    started = time.perf_counter()
    with torch.no_grad():
        frames = model(job["prompt"], generator, **arguments)
    pixels = np.stack([np.asarray(frame) for frame in frames])
    seconds = time.perf_counter() - started
    temporary = Path(job["video"] + ".part")
    with temporary.open("wb") as file:
        np.save(file, pixels)
    temporary.replace(job["video"])
    return {"generate": seconds}


def write_answer(path: str, answer: dict[str, Any]) -> None:
    """Write the answer to a temporary file and rename it, because a reader waits for the file."""
    temporary = Path(path + ".part")
    temporary.write_text(json.dumps(answer), encoding="utf-8")
    temporary.replace(path)


def main() -> None:
    """Load the model, then take jobs until standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("weights")
    parser.add_argument("device")
    args = parser.parse_args()
    model = MODELS[args.model](args.weights, args.device)
    for line in sys.stdin:
        job = json.loads(Path(line.strip()).read_text(encoding="utf-8"))
        try:
            answer: dict[str, Any] = {"seconds": run_job(model, job, args.device)}
        except Exception as error:
            traceback.print_exc()
            reason = (str(error).strip() or "no message").splitlines()[0]
            answer = {"error": f"{type(error).__name__}: {reason}"}
        write_answer(job["answer"], answer)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
