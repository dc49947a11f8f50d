#!/usr/bin/env bash
# One GPU, one command: fill reports/measured/ with the speed of the 1.3B model.
#
#   scripts/bench_gpu.sh [OUT]          # default OUT: reports/measured
#
# Random weights (speed does not depend on their values), 480 x 832, 81 latent frames, window 21,
# bfloat16; block_first, step_first and diagonal, and the diagonal with its waves batched; each
# attention backend that works here; compiled or not; bare kernels timed in the same run. About
# 20 minutes on an H100 or H200. A backend that is not here is named and passed over.
set -uo pipefail
cd "$(dirname "$0")/.."

out="${1:-reports/measured}"
python="${PYTHON:-.venv/bin/python}"
device="${DEVICE:-cuda}"
common=(--config "${CONFIG:-wan-1.3b}" --random-weights --device "$device"
    --dtype "${DTYPE:-bfloat16}" --latent-frames "${LATENT_FRAMES:-81}" --window "${WINDOW:-21}"
    --warmup 1 --repeats "${REPEATS:-3}" --kernel-floor --checksum)
mkdir -p "$out"
failed=0

bench() { # NAME FLAGS...
    local name="$1"
    shift
    echo "== $name"
    "$python" -m hiar bench "${common[@]}" "$@" --out "$out/$name.json"
    case $? in
    0) ;;
    2) echo "   passed over: the line above says why" ;;
    *) failed=1 ;;
    esac
}

for attention in sdpa cudnn flash_attn_4 flash_attn flex auto; do
    bench "gpu-$attention" --attention "$attention" --orders block_first,step_first,diagonal
    bench "gpu-$attention-compiled" --attention "$attention" --compile \
        --orders block_first,step_first,diagonal
done
bench gpu-wave-batch --attention auto --orders diagonal --wave-batch
bench gpu-wave-batch-compiled --attention auto --orders diagonal --wave-batch --compile

echo "== memory of a stream"
"$python" scripts/stream_memory.py --device "$device" --out "$out/gpu-stream-memory.json" || failed=1
exit "$failed"
