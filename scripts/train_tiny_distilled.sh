#!/usr/bin/env bash
# From the tiny teacher to distilled students, one command; run again, it goes on where it stopped.
#
#   scripts/train_tiny_distilled.sh                          one student, the paper's recipe
#   ROWS="context-input no-fkl" scripts/train_tiny_distilled.sh    rows of Tables 2 and 3 instead
#   TEACHER=redo scripts/train_tiny_distilled.sh             a teacher from random weights first
#
# OUT        folder of all runs (runs/train-tiny)
# ROWS       rows of hiar/training/recipes.py; "paper" and "release" are the recipes themselves
# SEEDS      seeds of the distillation (0)
# PROMPTS    trajectories of the teacher (128)
# TEACHER    weights, or redo
# PYTHON     interpreter with the toolkit (.venv/bin/python)
# SET, TRAJECTORIES_SET, ODE_SET     more --set changes of distillation, more arguments of
#            `hiar trajectories`, more --set changes of ode-init: words apart by spaces
set -euo pipefail
cd "$(dirname "$0")/.."

OUT=${OUT:-runs/train-tiny}
ROWS=${ROWS:-paper}
SEEDS=${SEEDS:-0}
PROMPTS=${PROMPTS:-128}
TEACHER=${TEACHER:-tiny/teacher}
PYTHON=${PYTHON:-.venv/bin/python}

hiar() { "$PYTHON" -m hiar "$@"; }

# "a=1 b=2" -> --set a=1 --set b=2, into the array `changes`
changes_of() {
    changes=()
    local change
    for change in $1; do changes+=(--set "$change"); done
}

if [ "$TEACHER" = redo ]; then
    hiar train --config tiny-pretrain --out "$OUT/teacher"
    TEACHER=$OUT/teacher/model.safetensors
fi

# 24 steps at the student's shift: the points 0, 6, 12, 18 and the last are the student's levels.
# shellcheck disable=SC2086  # words on purpose
hiar trajectories --draw-prompts "$PROMPTS" --weights "$TEACHER" --preset paper \
    --steps 24 --saved 0,6,12,18,-1 --out "$OUT/trajectories" ${TRAJECTORIES_SET:-}

changes_of "${ODE_SET:-}"
hiar train --config tiny-ode-init --out "$OUT/ode-init" --set init="$TEACHER" \
    --set trajectories="$OUT/trajectories" ${changes[@]+"${changes[@]}"}

changes_of "${SET:-}"
for row in $ROWS; do
    case $row in
        paper | release) chosen=(--set distill.recipe="$row") ;;
        *) chosen=(--set distill.row="$row") ;;
    esac
    for seed in $SEEDS; do
        hiar train --config tiny-distill --out "$OUT/$row-seed$seed" "${chosen[@]}" \
            --set init="$OUT/ode-init/student.safetensors" --set teacher="$TEACHER" \
            --set trajectories="$OUT/trajectories" --set seed="$seed" \
            ${changes[@]+"${changes[@]}"}
    done
done
