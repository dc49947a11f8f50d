"""Whether the sampler is right on this device: its latents against recorded outputs of the release.

    python scripts/golden_vectors.py --device cuda --out golden.json

Samples the golden vectors of `tests/golden` in every order, plain, compiled, with recorded passes
(`--cuda-graphs`) and ahead on a stream of their own, in float32 and in bfloat16. The last two
change no sum, so they are also compared bit for bit with the plain run. Prints and writes the
rel-L2 distance of each; exit code 1 if one in float32 is more than 1e-5, or a bit differs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from hiar.errors import UsageError
from hiar.model.compiled import check_compiler, compile_layers
from hiar.model.config import WanConfig
from hiar.model.transformer import CausalWan
from hiar.runtime.device import check_device, device_name
from hiar.runtime.files import atomic_write_text
from hiar.runtime.prefetch import sampled_ahead
from hiar.runtime.provenance import provenance
from hiar.sampling.config import SamplerConfig
from hiar.sampling.graphs import SteadyGraphs
from hiar.sampling.sampler import sample_latents, stream_latents
from hiar.weights.checkpoint import load_transformer

SCHEMA = "golden-vectors/1"
GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
ALLOWED_ERROR = 1e-5
SIZES = WanConfig(
    dim=48, ffn_dim=96, num_heads=3, num_layers=3, freq_dim=32, text_dim=20, text_len=16
)
"""Sizes of the model that the golden vectors were made with."""
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "block_first": ("case_c_block_first_21", {"order": "block_first", "context": "clean"}),
    "step_first": ("case_d_step_first_21", {"order": "step_first"}),
    "diagonal": ("case_d_step_first_21", {"order": "diagonal"}),
    "diagonal, wave batch": ("case_d_step_first_21", {"order": "diagonal", "wave_batch": True}),
}
"""For each order, the file with the release's latents and the sampler's settings."""
WINDOW = 9
"""Latent frames visible where recorded passes are compared: four blocks then see a full window."""


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Compare the sampler with the golden vectors.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, metavar="FILE")
    args = parser.parse_args()
    try:
        check_device(args.device)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    device = torch.device(args.device)
    rows = []
    for row in measure(device):
        rows.append(row)
        bits = "" if row["same_bits"] is None else f", same bits: {row['same_bits']}"
        print(f"{row['order']:22} {row['way']:10} {row['dtype']:9} {row['error']:.2e}{bits}")
    about = provenance(args.device) | {"device_name": device_name(device)}
    about["weights"] = {"transformer": "of the golden vectors"}
    record = {"schema": SCHEMA, "rows": rows, "provenance": about}
    if args.out is not None:
        atomic_write_text(args.out, json.dumps(record, indent=1) + "\n")
    wrong = [
        row for row in rows
        if row["same_bits"] is False
        or (row["dtype"] == "float32" and not row["error"] <= ALLOWED_ERROR)
    ]  # fmt: skip
    return int(bool(wrong))


@torch.no_grad()
def measure(device: torch.device) -> Iterator[dict[str, Any]]:
    """A row for each order, way of running and number type."""
    for dtype in (torch.float32, torch.bfloat16):
        model = new_model(device, dtype)
        for order, (name, settings) in CASES.items():
            expected = golden(name)["latents"]
            plain = sample(model, SamplerConfig(**settings))
            yield row_of(order, "plain", dtype, plain, expected)
        usual, ahead = streamed(model, ahead=False), streamed(model, ahead=True)
        yield row_of("diagonal, streamed", "ahead", dtype, ahead, usual, same_as=usual)
        if device.type == "cuda":
            yield from recorded_rows(model, dtype)
        yield from compiled_rows(device, dtype)


def recorded_rows(model: CausalWan, dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    """CUDA graphs against plain passes, twice: recorded anew, and replayed from the start."""
    for order in ("block_first", "diagonal"):
        config = SamplerConfig(**{**CASES[order][1], "window": WINDOW})
        plain = sample(model, config)
        model.replayer = SteadyGraphs(model)
        try:
            for way in ("recorded", "replayed"):
                found = sample(model, config)
                yield row_of(f"{order}, window {WINDOW}", way, dtype, found, plain, same_as=plain)
        finally:
            model.replayer = None


def compiled_rows(device: torch.device, dtype: torch.dtype) -> Iterator[dict[str, Any]]:
    """`--compile` against the release, where this machine can compile."""
    try:
        check_compiler(device)
    except UsageError as error:
        print(f"compiled: passed over, {error}")
        return
    model = new_model(device, dtype)
    compile_layers(model)
    name, settings = CASES["step_first"]
    expected = golden(name)["latents"]
    found = sample(model, SamplerConfig(**settings))
    yield row_of("step_first", "compiled", dtype, found, expected)


@cache
def golden(name: str) -> dict[str, torch.Tensor]:
    """Tensors of one golden file."""
    return load_file(GOLDEN / f"{name}.safetensors")


def new_model(device: torch.device, dtype: torch.dtype) -> CausalWan:
    """The model of the golden vectors."""
    return load_transformer(golden("weights_generator"), SIZES).to(device, dtype)


def inputs(model: CausalWan) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Text, first noise and the noise of each later step."""
    case = golden("case_d_step_first_21")
    text = case["context"].to(model.device, model.dtype)
    return text, case["noise"].to(model.device), case["bank"].to(model.device)


def sample(model: CausalWan, config: SamplerConfig) -> torch.Tensor:
    """The latents of the golden vectors' noise."""
    text, noise, bank = inputs(model)

    def renoise(step: int, block: int) -> torch.Tensor:
        return bank[step, 3 * block : 3 * block + 3][None]

    return sample_latents(model, text, noise, config, renoise=renoise)


def streamed(model: CausalWan, *, ahead: bool) -> torch.Tensor:
    """The latents of a stream with noise of its own, as usual or computed ahead of their use."""
    text, noise, _ = inputs(model)
    _, frames, *latent_shape = noise.shape
    config = SamplerConfig(order="diagonal", window=WINDOW)
    blocks = (
        latents
        for _, latents in stream_latents(
            model, text, config, latent_shape=latent_shape,
            num_blocks=frames // config.frames_per_block,
        )
    )  # fmt: skip
    return torch.cat(list(sampled_ahead(blocks, model.device) if ahead else blocks), dim=1)


def row_of(
    order: str,
    way: str,
    dtype: torch.dtype,
    found: torch.Tensor,
    expected: torch.Tensor,
    same_as: torch.Tensor | None = None,
) -> dict[str, Any]:
    """The distance of some latents from others, and whether their bits are those of `same_as`."""
    wanted = expected.to(found.device).double()
    return {
        "order": order,
        "way": way,
        "dtype": str(dtype).removeprefix("torch."),
        "error": float((found.double() - wanted).norm() / wanted.norm()),
        "same_bits": None if same_as is None else bool(torch.equal(found, same_as)),
    }


if __name__ == "__main__":
    sys.exit(main())
