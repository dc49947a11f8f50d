#!/usr/bin/env bash
# Do narrower number types change drift? The same prompts and noise, three times:
# plain (bfloat16 transformer, decoded in float32), decoded (the same latents, decoded in bfloat16),
# and fp8 (feed-forward products in 8 bits, decoded in float32; a CPU emulates them).
#
#   scripts/precision_drift.sh [OUT]     # default OUT: precision-drift
#
# MODEL=tiny PROMPTS=FILE LATENT_FRAMES=42 DEVICE=cpu METRICS=saturation,sharpness,beside PYTHON=python
# VAE=DIR names the folder of the model's VAE; without it that of the tiny model decodes.
# Ends with `drift compare`, against plain; the comparison is also written to OUT/compare.json.
set -euo pipefail
cd "$(dirname "$0")/.."

out="${1:-precision-drift}"
python="${PYTHON:-.venv/bin/python}"
device="${DEVICE:-cpu}"
sample=("$python" -m hiar sample --model "${MODEL:-tiny}" --device "$device" --dtype bfloat16
    --prompts "${PROMPTS:-hiar/tiny/assets/heldout_prompts.txt}"
    --latent-frames "${LATENT_FRAMES:-42}")

"${sample[@]}" --save-latents --out "$out/plain"
"$python" scripts/decode_latents.py "$out/plain" --dtype bfloat16 --device "$device" \
    ${VAE:+--vae "$VAE"} --out "$out/decoded"
"${sample[@]}" --fp8 ffn --out "$out/fp8"
for kind in plain decoded fp8; do
    "$python" -m drift score "$out/$kind" --out "$out/$kind-run" \
        --metrics "${METRICS:-saturation,sharpness,beside}"
done
"$python" -m drift compare "$out/plain-run" "$out/decoded-run" "$out/fp8-run" \
    --out "$out/compare.json"
