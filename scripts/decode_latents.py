"""Decode the latents of a folder again, in another number type, into videos with sidecars.

    hiar sample --prompts prompts.txt --save-latents --out videos
    python scripts/decode_latents.py videos --dtype bfloat16 --out again

`scripts/precision_drift.sh` compares the drift of both. The VAE is the tiny model's unless --vae
names the folder of another.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from hiar.codecs.frames import to_output
from hiar.codecs.sidecars import read_sidecar
from hiar.codecs.vae import VideoAutoencoder, load_autoencoder
from hiar.codecs.video import open_mp4
from hiar.runtime.files import atomic_write_text
from hiar.runtime.provenance import provenance
from hiar.tiny.preset import asset
from hiar.weights.tensor_files import read_tensors

LATENT_FRAMES_AT_ONCE = 3


def main() -> int:
    """Run the command line; exit code 2 if the folder holds no latents."""
    parser = argparse.ArgumentParser(description="Decode saved latents in another number type.")
    parser.add_argument("folder", type=Path, help="of `hiar sample --save-latents`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16")
    parser.add_argument("--vae", type=Path, metavar="DIR", help="default: the tiny model's")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    files = sorted(args.folder.glob("*.safetensors"))
    if not files:
        parser.error(f"{args.folder} holds no latents: make it with hiar sample --save-latents")
    vae = load_autoencoder(args.vae or asset("vae"), getattr(torch, args.dtype)).to(args.device)
    args.out.mkdir(parents=True, exist_ok=True)
    for file in files:
        sidecar = read_sidecar(file.with_suffix(".mp4"))
        if sidecar is None:
            parser.error(f"{file.with_suffix('.mp4')} is missing or not whole: sample it again")
        video = args.out / f"{file.stem}.mp4"
        sidecar |= {
            "frames_sha256": decode(vae, read_tensors(file)["latents"], video, sidecar["fps"]),
            "video_bytes": video.stat().st_size,
            "decoded_in": args.dtype,
            "latents_bytes": None,
            "provenance": provenance(args.device),
        }
        text = json.dumps(sidecar, indent=1, ensure_ascii=False) + "\n"
        atomic_write_text(video.with_suffix(".json"), text)
    print(f"{len(files)} videos decoded in {args.dtype} to {args.out}")
    return 0


def decode(vae: VideoAutoencoder, latents: torch.Tensor, path: Path, fps: int) -> str:
    """Write the video of latents [F, C, h, w]; returns the SHA-256 of its frames."""
    stream = vae.stream()
    with open_mp4(path, fps) as writer:
        for block in latents[None].split(LATENT_FRAMES_AT_ONCE, dim=1):
            writer.write(to_output(stream.decode_block(block), "uint8")[0])
    return writer.frames_sha256


if __name__ == "__main__":
    sys.exit(main())
