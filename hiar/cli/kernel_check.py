"""Which attention kernels work on this machine, and how fast each is at the model's shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from hiar.bench.config import BenchModel

FRAMES_PER_BLOCK, WINDOW = 3, 21
"""A block that sees a full window, as the paper's models do."""


def examine_kernels(device: torch.device | None = None) -> dict[str, Any]:
    """Time every kernel once the window is full; on a CPU at the sizes of `bench-cpu`.

    Args:
        device: Device to try; None takes the first GPU, or the CPU without one.

    Returns:
        The shapes, and of each kernel its seconds and operations a second, or why it cannot run.
    """
    import torch  # noqa: PLC0415  (seconds to import)

    from hiar.bench.config import bench_models  # noqa: PLC0415

    if device is None:
        device = torch.device("cuda:0" if torch.cuda.device_count() else "cpu")
    is_gpu = device.type == "cuda"
    model = bench_models()["wan-1.3b" if is_gpu else "bench-cpu"]
    dtype = torch.bfloat16 if is_gpu else torch.float32
    return {
        "device": str(device),
        "dtype": str(dtype).removeprefix("torch."),
        "queries": FRAMES_PER_BLOCK * model.frame_tokens,
        "keys": WINDOW * model.frame_tokens,
        "heads": model.config.num_heads,
        "head_dim": model.config.head_dim,
        "kernels": time_kernels(model, device, dtype),
    }


def time_kernels(
    model: BenchModel, device: torch.device, dtype: torch.dtype
) -> list[dict[str, Any]]:
    """Seconds of one call of each kernel, the median of five; or why it cannot run."""
    import torch  # noqa: PLC0415

    from hiar.model.attention_backends import refusal, time_attention  # noqa: PLC0415
    from hiar.model.attention_kernels import KERNELS  # noqa: PLC0415

    heads, head_dim = model.config.num_heads, model.config.head_dim
    tokens = FRAMES_PER_BLOCK * model.frame_tokens, WINDOW * model.frame_tokens
    q, k = (
        torch.randn(1, heads, count, head_dim, device=device).to(dtype).transpose(1, 2)
        for count in tokens
    )  # as the cache stores keys
    operations = 4 * tokens[0] * tokens[1] * heads * head_dim
    rows = []
    for name, kernel in KERNELS.items():
        reason, seconds = kernel.why_not(device, dtype), None
        if name == "flex" and device.type == "cpu":
            reason = "takes a minute to compile on a CPU, and sdpa is faster there"
        if reason is None:
            try:
                seconds = time_attention(kernel.make(), q, k, k)
            except Exception as error:  # each package has exceptions of its own
                reason = refusal(error)
        rows.append(
            {
                "name": name,
                "seconds": seconds,
                "tflops_per_s": operations / seconds / 1e12 if seconds else None,
                "reason": reason,
            }
        )
    return rows


def format_kernels(facts: dict[str, Any]) -> list[str]:
    """The kernels for people, a line each."""
    lines = [
        f"attention, {facts['queries']} queries of {facts['keys']} keys, {facts['heads']} heads x "
        f"{facts['head_dim']}, {facts['dtype']}, on {facts['device']}"
    ]
    for row in facts["kernels"]:
        if row["seconds"] is None:
            lines.append(f"  {row['name']:14} {row['reason']}")
        else:
            lines.append(
                f"  {row['name']:14} {1e3 * row['seconds']:.2f} ms, "
                f"{row['tflops_per_s']:.3g} TFLOP/s"
            )
    return lines
