#!/usr/bin/env bash
# One host, 1 to 4 GPUs: block-first on one GPU beside HiAR pipelined over each number of ranks.
#
#   scripts/bench_gpus.sh [OUT]         # default OUT: reports/measured
#
# Random weights (speed does not depend on their values), 480 x 832, 81 latent frames, window 21,
# bfloat16; with and without fused passes; each with a timeline picture. The first record has the
# two rows of the paper's comparison. The cost model is checked against all of them at the end.
# Without GPUs, on idle cores (about ten minutes on two):
#
#   CONFIG=bench-cpu DEVICE=cpu DTYPE=float32 LATENT_FRAMES=45 WARMUP=0 REPEATS=1 FUSED=off \
#       OMP_NUM_THREADS=1 scripts/bench_gpus.sh reports/measured
set -uo pipefail
cd "$(dirname "$0")/.."

out="${1:-reports/measured}"
python="${PYTHON:-.venv/bin/python}"
device="${DEVICE:-cuda}"
config="${CONFIG:-wan-1.3b}"
most="${RANKS:-4}"
if [[ "$device" == cuda ]]; then
    found="$("$python" -c 'import torch; print(torch.cuda.device_count())')"
    ((found > 0)) || { echo "no GPU is here: see the CPU command above" >&2; exit 2; }
    ((most <= found)) || most="$found"
fi
common=(--config "$config" --random-weights --device "$device" --dtype "${DTYPE:-bfloat16}"
    --latent-frames "${LATENT_FRAMES:-81}" --window "${WINDOW:-21}"
    --warmup "${WARMUP:-1}" --repeats "${REPEATS:-3}" --checksum)
mkdir -p "$out"
failed=0
records=()

bench() { # RANKS NAME FLAGS...
    local ranks="$1" name="$out/$config-$2"
    shift 2
    echo "== $ranks ranks: $name"
    if "$python" -m torch.distributed.run --standalone --nproc_per_node="$ranks" -m hiar bench \
        "${common[@]}" "$@" --timeline "$name.png" --out "$name.json"; then
        records+=("$name.json")
    else
        failed=1
    fi
}

for ranks in $(seq "$most"); do
    orders=pipelined
    ((ranks < most)) || orders=block_first,pipelined
    for fused in ${FUSED:-off on}; do
        bench "$ranks" "pipelined-$ranks-fused-$fused" --orders "$orders" --fused "$fused"
    done
done
[[ ${#records[@]} == 0 ]] || "$python" -m hiar bench --model "${records[@]}" || failed=1
exit "$failed"
