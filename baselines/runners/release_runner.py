"""Times the released HiAR or Self-Forcing code inside its own environment.

Imports nothing of this toolkit, and changes nothing of the release: its own pipeline makes a video,
and a hook notes when each call of its transformer begins. The transformer's weights are those of
`wan_models/` in the working folder, where the release looks for them. Text encoder and decoder are
stand-ins, which the pipeline's constructor takes, so that neither their weights nor their time
counts. If flash_attn is not installed, PyTorch's attention stands where the release imports it.

The only argument is the path of a job, a JSON file that `baselines.adapters.released_code` writes.
"""

from __future__ import annotations

import json
import sys
import time
import types
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import torch
import yaml  # type: ignore[import-untyped]
from torch.nn import functional


class EmptyPrompt(torch.nn.Module):
    """A text encoder that gives zeros of the right shape."""

    def __init__(self, shape: list[int], noise: torch.Tensor) -> None:
        super().__init__()
        self._embeds = noise.new_zeros([1, *shape])

    def forward(self, text_prompts: list[str]) -> dict[str, torch.Tensor]:
        """Embeddings of one prompt, [1, L, D]."""
        assert len(text_prompts) == 1
        return {"prompt_embeds": self._embeds}


class NoDecoder(torch.nn.Module):
    """A decoder that gives one black pixel."""

    def decode_to_pixel(self, latent: torch.Tensor, use_cache: bool = False) -> torch.Tensor:
        """A video [B, T, C, H, W] of one frame and one pixel."""
        del use_cache
        return latent.new_zeros([len(latent), 1, 3, 1, 1])


def variable_length_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cu_seqlens_q: torch.Tensor,
    cu_seqlens_k: torch.Tensor,
    softmax_scale: float | None = None,
    causal: bool = False,
    **others: Any,
) -> torch.Tensor:
    """PyTorch's attention with the arguments of flash_attn's, for one sequence [L, N, K]."""
    del others  # lengths, no dropout and no window: the release calls it with nothing else
    assert len(cu_seqlens_q) == len(cu_seqlens_k) == 2
    q, k, v = (each.transpose(0, 1).unsqueeze(0) for each in (q, k, v))  # heads before tokens
    out = functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=softmax_scale)
    return out.squeeze(0).transpose(0, 1)


def find_attention() -> str:
    """Name of the attention that the release will use, after PyTorch's took an empty place.

    FlashAttention 4 lies in a package of the same name, without the function that releases import.
    """
    try:
        import flash_attn  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        flash_attn = None
    if hasattr(flash_attn, "flash_attn_varlen_func"):
        from importlib.metadata import version  # noqa: PLC0415

        return f"flash_attn {version('flash_attn')}"
    module = types.ModuleType("flash_attn")
    module.__spec__ = ModuleSpec("flash_attn", None)
    module.flash_attn_varlen_func = variable_length_attention  # type: ignore[attr-defined]
    sys.modules["flash_attn"] = module
    return "PyTorch's scaled_dot_product_attention in the place of flash_attn's"


def load_pipeline(job: dict[str, Any], noise: torch.Tensor) -> Any:
    """The release's pipeline, set up as its inference.py sets it up."""
    from pipeline import (  # type: ignore[import-not-found]  # noqa: PLC0415
        CausalInferencePipeline,
    )

    settings: dict[str, Any] = {}
    for name in job["configs"]:
        settings.update(yaml.safe_load(Path(job["code"], name).read_text(encoding="utf-8")))
    pipe = CausalInferencePipeline(
        types.SimpleNamespace(**settings), device=noise.device,
        text_encoder=EmptyPrompt(job["text_shape"], noise), vae=NoDecoder(),
    )  # fmt: skip
    pipe = pipe.to(dtype=noise.dtype)
    pipe.generator.to(device=noise.device)
    if noise.shape[1] > job["window"]:
        pipe.local_attn_size = pipe.generator.model.local_attn_size = job["window"]
        for block in pipe.generator.model.blocks:
            block.self_attn.local_attn_size = job["window"]
            block.self_attn.max_attention_size = job["window"] * pipe.frame_seq_length
    return pipe


class Clock:
    """Marks in the queue of a GPU, or in time on a CPU."""

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"

    def mark(self) -> Any:
        """A mark at this place."""
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def seconds(self, start: Any, end: Any) -> float:
        """Seconds between two marks."""
        if not self._on_gpu:
            return float(end - start)
        end.synchronize()
        return float(start.elapsed_time(end)) / 1000


def time_video(pipe: Any, job: dict[str, Any], noise: torch.Tensor) -> list[tuple[int, float]]:
    """Make one video; returns the block of each call and the seconds until the next call began."""
    clock = Clock(noise.device)
    marks: list[tuple[int, Any]] = []
    block_tokens = pipe.num_frame_per_block * pipe.frame_seq_length

    def before(_module: Any, _args: Any, arguments: dict[str, Any]) -> None:
        marks.append((arguments["current_start"] // block_tokens, clock.mark()))

    handle = pipe.generator.register_forward_pre_hook(before, with_kwargs=True)
    try:
        with torch.no_grad():
            getattr(pipe, job["method"])(noise=noise, text_prompts=[""], **job["arguments"])
    finally:
        handle.remove()
    ends = [mark for _, mark in marks[1:]] + [clock.mark()]
    return [
        (block, clock.seconds(start, end))
        for (block, start), end in zip(marks, ends)  # noqa: B905
    ]


def run_job(job: dict[str, Any]) -> dict[str, Any]:
    """Time some videos; returns the calls of each, and what computed them."""
    device = torch.device(job["device"])
    noise = torch.randn(job["noise_shape"], device=device, dtype=getattr(torch, job["dtype"]))
    attention = find_attention()
    pipe = load_pipeline(job, noise)
    runs = [time_video(pipe, job, noise) for _ in range(job["warmup"] + job["repeats"])]
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return {
        "runs": runs[job["warmup"] :],
        "attention": attention,
        "torch": torch.__version__,
        "peak_memory_bytes": peak,
    }


def main() -> None:
    """Run the job and write its answer."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(job["answer"]).write_text(json.dumps(run_job(job)), encoding="utf-8")


if __name__ == "__main__":
    main()
