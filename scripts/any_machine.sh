#!/usr/bin/env bash
# Runs the tests whose outcome rests on arithmetic or on video encoding (pytest's marker `numerics`)
# under each instruction set that this CPU has, with one thread and with two. Prints a table, goes on
# after a failure, and ends with 1 if a test failed anywhere.
#
#   scripts/any_machine.sh                every setting below
#   scripts/any_machine.sh least avx2     these settings
#   scripts/any_machine.sh --short        a handful of tests under the least instruction set
#
# PYTHON     interpreter with the toolkit and its test tools (.venv/bin/python)
# WORKERS    cores to use (auto: all)
# MARKERS    a marker expression that leaves out the tests of other machines
# LOGS       folder for pytest's output (runs/any-machine)
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-.venv/bin/python}
WORKERS=${WORKERS:-auto}
MARKERS=${MARKERS:-not gpu and not weights}
LOGS=${LOGS:-runs/any-machine}
if [ "$WORKERS" = auto ]; then WORKERS=$(nproc); fi

cpu_has() { grep -qwm 1 "$1" /proc/cpuinfo; }

# A variable for each library: PyTorch's own kernels, oneDNN, MKL, numpy's BLAS and its loops (by the
# names of the version in constraints.txt), OpenCV. On a CPU that is not Intel's, MKL heeds nothing
# but MKL_CBWR=COMPATIBLE, its SSE2 code. x264 is not here: a test of the writer of videos compares
# its files with and without vector instructions.
LEAST="ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_CBWR=COMPATIBLE
    OPENBLAS_CORETYPE=Nehalem NPY_DISABLE_CPU_FEATURES=X86_V3,X86_V4,AVX512_ICL
    OPENCV_IPP=sse42 OPENCV_CPU_DISABLE=AVX,AVX2,FMA3,FP16"
# OpenCV complains when it is told to leave out what the CPU lacks.
if cpu_has avx512bw; then LEAST+=,AVX512-SKX; fi
AVX2="ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2"
AVX512="ATEN_CPU_CAPABILITY=avx512 OPENBLAS_CORETYPE=SkylakeX"

# name, threads, the flag of /proc/cpuinfo without which it cannot run, environment
SETTINGS=(
    "least 1 avx2 $LEAST"
    "least-2 2 avx2 $LEAST"
    "mixed 1 avx2 $AVX2 ATEN_CPU_CAPABILITY=default"
    "avx2 1 avx2 $AVX2 ATEN_CPU_CAPABILITY=avx2 OPENBLAS_CORETYPE=Haswell
        NPY_DISABLE_CPU_FEATURES=X86_V4,AVX512_ICL"
    "avx512 1 avx512bw $AVX512 ONEDNN_MAX_CPU_ISA=AVX512_CORE"
    "avx512-bf16 1 avx512_bf16 $AVX512 ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16"
    "amx 1 amx_tile $AVX512 ONEDNN_MAX_CPU_ISA=AVX512_CORE_AMX"
    "plain 1 sse2"
    "plain-2 2 sse2"
)

# Of --short: the sampler against recorded outputs and against itself, decoding block by block, a
# video made twice, the invariants of the drift score.
SHORT=(
    tests/hiar/model/test_conformance.py
    tests/hiar/sampling/test_sampler.py
    tests/hiar/sampling/test_properties_sampler.py
    tests/hiar/codecs/test_vae_stream.py
    tests/hiar/cli/test_sample_command.py::test_two_ranges_make_the_videos_of_a_whole_run
    tests/drift/stats/test_invariants.py
    tests/drift/metrics/test_winograd.py
)

# number_of passed "2 failed, 31 passed in 9.1s": 31; 0 where it is not named.
number_of() { grep -oP "\d+(?= $1)" <<<"$2" || echo 0; }

# run_setting NAME THREADS FLAG [VARIABLE=VALUE ...]: one row of the table. "arithmetic" is a hash of
# some results: where two settings share it, this CPU runs the same code under both.
run_setting() {
    local name=$1 threads=$2 flag=$3 log="$LOGS/$1.txt" start=$SECONDS code=0 processes summary
    # OpenMP's threads spin while they wait, which on a busy machine takes several times as long.
    local python=(env "${@:4}" OMP_NUM_THREADS="$threads" OMP_WAIT_POLICY=passive "$PYTHON")
    printf '%-12s %7s' "$name" "$threads"
    if ! cpu_has "$flag"; then
        echo "  not run: this CPU has no $flag"
        return
    fi
    processes=$((WORKERS > threads ? WORKERS / threads : 1))
    printf '  %-10s' "$("${python[@]}" scripts/arithmetic_hash.py)"
    "${python[@]}" -m pytest -m "numerics and ($MARKERS)" -n "$processes" --maxprocesses 8 \
        --dist loadfile ${tests[@]+"${tests[@]}"} >"$log" 2>&1 || code=$?
    summary=$(tail -n 1 "$log")
    printf ' %7s %7s %7s %8s\n' "$(number_of passed "$summary")" "$(number_of failed "$summary")" \
        "$(number_of error "$summary")" $((SECONDS - start))
    if [ "$code" -ne 0 ]; then
        { grep -E '^(FAILED|ERROR) ' "$log" || tail -n 5 "$log"; } |
            sed "s/^/$name: /" >>"$LOGS/failures"
    fi
}

known=" "
for setting in "${SETTINGS[@]}"; do known+="${setting%% *} "; done
tests=()
wanted=${*:-$known}
if [ "$wanted" = --short ]; then
    tests=("${SHORT[@]}")
    wanted=least
fi
for name in $wanted; do
    if [[ $known != *" $name "* ]]; then
        echo "error: there is no setting \"$name\"; known:$known" >&2
        exit 2
    fi
done

mkdir -p "$LOGS"
rm -f "$LOGS/failures"
grep -m 1 "model name" /proc/cpuinfo | cut -d : -f 2 | xargs
printf '%-12s %7s  %-10s %7s %7s %7s %8s\n' setting threads arithmetic passed failed errors seconds
for setting in "${SETTINGS[@]}"; do
    # shellcheck disable=SC2086  # words on purpose
    if [[ " $wanted " = *" ${setting%% *} "* ]]; then run_setting $setting; fi
done
if [ -s "$LOGS/failures" ]; then
    cat "$LOGS/failures"
    echo "the whole output is in $LOGS"
    exit 1
fi
