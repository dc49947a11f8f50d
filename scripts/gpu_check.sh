#!/usr/bin/env bash
# One GPU, nine minutes: does the toolkit run on it, how fast, and are its results right?
#
#   scripts/gpu_check.sh [OUT]          # default OUT: gpu-check; PYTHON=python LIMIT_S=540
#   STEPS="fp8 decoder" scripts/gpu_check.sh OUT   # these steps alone, beside what OUT has already
#
# Needs PyTorch 2.10 or newer, einops, safetensors and numpy; random weights, no downloads. What
# needs a package that is not here is passed over. Every step writes a record of its own and a line
# of OUT/gpu-check.json as soon as it ends, so that a run that is cut off leaves what it had. At the
# end OUT/report.html holds tables, roofline and timelines, and the aims are set beside what was
# measured. The most telling steps come first; a step that no time is left for is named as left out.
# Exit code 1 if a step failed, or if ranks that share the GPU give other latents than one process.
set -uo pipefail
cd "$(dirname "$0")/.."

out="${1:-gpu-check}"
python="${PYTHON:-.venv/bin/python}"
limit_s="${LIMIT_S:-540}"
device="${DEVICE:-cuda}"
config="${CONFIG:-wan-1.3b}"
frames="${LATENT_FRAMES:-36}"
common=(--config "$config" --random-weights --device "$device" --dtype "${DTYPE:-bfloat16}"
    --latent-frames "$frames" --window 21 --warmup 1 --repeats 2)
mkdir -p "$out" || exit 2
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" # for a Python that has not installed this
lines="$out/gpu-check.jsonl"
[[ -n ${STEPS:-} ]] || : >"$lines"
failed=0

step() { # NAME COMMAND... : run it in what is left of the time, note how it ended
    local name="$1" left started code state
    shift
    [[ " ${STEPS:-$name} " == *" $name "* ]] || return 0
    left=$((limit_s - SECONDS))
    if ((left < 10)); then
        echo "{\"step\": \"$name\", \"state\": \"left out: no time\"}" >>"$lines"
        echo "== $name: left out, the $limit_s s are over"
        return
    fi
    echo "== $name ($left s left)"
    started=$SECONDS
    timeout "$left" "$@" >"$out/$name.log" 2>&1
    code=$?
    case $code in
    0) state=done ;;
    2) state="passed over" ;;
    124) state="cut off" ;;
    *) state=failed failed=1 ;;
    esac
    tail -n 12 "$out/$name.log"
    echo "{\"step\": \"$name\", \"state\": \"$state\", \"exit\": $code," \
        "\"seconds\": $((SECONDS - started))}" >>"$lines"
}

bench() { # NAME FLAGS...
    local name="$1"
    shift
    step "$name" "$python" -m hiar bench "${common[@]}" "$@" --out "$out/$name.json"
}

step kernels "$python" -c '
import json, pathlib, sys
from hiar.cli.kernel_check import examine_kernels, format_kernels
found = examine_kernels()
pathlib.Path(sys.argv[1]).write_text(json.dumps(found, indent=1) + "\n")
print("\n".join(format_kernels(found)))' "$out/kernels.json"
step golden "$python" scripts/golden_vectors.py --device "$device" --out "$out/golden.json"
bench sampling-sdpa --attention sdpa --orders block_first --kernel-floor
bench sampling-flash4 --attention flash_attn_4 --compile --orders block_first,step_first \
    --decode --decoder vae-bfloat16,vae,tiny-decoder
bench sampling-auto --attention auto --compile --orders block_first,diagonal \
    --decode --decoder vae-bfloat16
bench graphs --attention auto --compile --cuda-graphs --orders block_first \
    --decode --decoder vae-bfloat16
bench fp8 --attention auto --compile --fp8 ffn --orders block_first
bench sage --attention sage --compile --orders block_first
# Ranks that share the GPU: streams, events, double buffers; the bits of one process.
small=(--config tiny --random-weights --device "$device" --latent-frames 15 --window 9 --warmup 0
    --repeats 1 --checksum)
share=()
[[ $device == cuda* ]] && share=(--share-gpu)
step shared-1 "$python" -m hiar bench "${small[@]}" --orders diagonal --out "$out/shared-1.json"
for ranks in 2 3 4; do
    step "shared-$ranks" "$python" -m torch.distributed.run --standalone \
        --nproc_per_node="$ranks" -m hiar bench "${small[@]}" --orders pipelined \
        ${share[@]+"${share[@]}"} --out "$out/shared-$ranks.json"
done
case=wan
[[ $config == tiny ]] && case=tiny
step decoder "$python" scripts/bench_decoder.py --cases "$case" --latent-frames 4 --device "$device" \
    --dtype bfloat16 --out "$out/decoder.json"
step decoder-plain-norm "$python" scripts/bench_decoder.py --cases "$case" --latent-frames 4 \
    --device "$device" --dtype bfloat16 --plain-norm --out "$out/decoder-plain-norm.json"
step training-step "$python" scripts/time_training_step.py --size "$config" --device "$device" \
    --dtype bfloat16 --checkpoint-activations --role both --exit-step 3 --repeats 1 --out "$out/training-step.json"
step page "$python" -m hiar bench --report "$out" --out "$out/report.html"

"$python" - "$out" <<'PYTHON' || failed=1
"""Set the aims beside what was measured; fail if shared ranks gave other latents."""

import json
import sys
from pathlib import Path

out = Path(sys.argv[1])
steps = [json.loads(line) for line in (out / "gpu-check.jsonl").read_text().splitlines()]


def rows(name, **wanted):
    """Rows of a step's record that have the wanted values."""
    path = out / f"{name}.json"
    found = json.loads(path.read_text())["rows"] if path.is_file() else []
    return [row for row in found if all(row.get(key) == value for key, value in wanted.items())]


def best(figure, names, pick, **wanted):
    values = [row[figure] for name in names for row in rows(name, **wanted) if figure in row]
    return pick(values) if values else None


sampling = ("sampling-flash4", "sampling-auto", "sampling-sdpa", "graphs")
block = best("interval_p50_s", sampling, min, order="block_first")
decode = best("seconds", ("decoder",), min)
aims = {
    "block_first, steady frames/s": (32, block and 12 / block, "at least"),
    "end to end frames/s": (22, best("end_to_end_fps", sampling, max, order="block_first"), "at least"),
    "first frame, s": (0.5, best("first_frame_s", sampling, min, order="block_first"), "at most"),
    "decode of a block of 12 frames, bfloat16, s": (0.18, decode and decode * 12 / 13, "at most"),
}
print("the aims are for wan-1.3b in bfloat16 on one H100")
found = {}
for name, (aim, value, kind) in aims.items():
    reached = None if value is None else (value >= aim if kind == "at least" else value <= aim)
    found[name] = {"aim": aim, "measured": value, "reached": reached}
    print(f"{name}: aim {kind} {aim}, measured {'nothing' if value is None else f'{value:.3g}'}")
plain = best("seconds", ("decoder-plain-norm",), min)
norm = next((row["norm"] for row in rows("decoder")), None)
gain = plain / decode if plain and decode else None
print(f"decoder with the norm by {norm}: {gain and f'{gain:.3g}'} times as fast as with PyTorch's norm")
sums = {name: [row.get("sha256") for row in rows(name)] for name in map("shared-{}".format, "1234")}
known = {value for values in sums.values() for value in values}
same = len(known) == 1 if all(sums.values()) else None
print(f"ranks that share the GPU give the latents of one process: {same}")
record = {"schema": "gpu-check/1", "steps": steps, "aims": found, "shared_ranks_agree": same,
          "decoder_norm": {"computed_by": norm, "times_as_fast_as_plain": gain}}
(out / "gpu-check.json").write_text(json.dumps(record, indent=1) + "\n")
sys.exit(same is False)
PYTHON
exit "$failed"
