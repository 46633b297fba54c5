#!/usr/bin/env bash
# Kills a training run with SIGKILL at random moments, resumes it each time, and compares the adapter with that of a run
# that nobody disturbed, bit for bit:
#
#     bash Tests/Scripts/kills.sh [COUNT] [FOLDER]      (500 kills, in a folder of its own below $TMPDIR)
#
# Every step writes a checkpoint, so that most kills hit one being written. Runs follow each other until COUNT kills are
# reached; each takes a quantisation, a thread count and a folder of its own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
count="${1:-500}"
# MARTLET names a program that is built already.
[ -n "${MARTLET:-}" ] || swift build -c release --product martlet </dev/null | tail -1
martlet="${MARTLET:-$PWD/.build/release/martlet}" fixtures="$PWD/Tests/MartletTests/Fixtures/cli"
work="${2:-$(mktemp -d "${TMPDIR:-/tmp}/martlet-kills-XXXXXX")}"
mkdir -p "$work" && cd "$work"
export XDG_CACHE_HOME="$work/cache" SWIFT_BACKTRACE=enable=no

recipe() {
    cat >recipe.yaml <<YAML
model:
  path: $fixtures/llama
  quantization: $1
adapter:
  rank: 2
  alpha: 4
data:
  train:
    - path: $fixtures/tokens.jsonl
  max_length: 64
training:
  steps: 100
  warmup_steps: 10
  micro_batch_size: 1
  learning_rate: 1e-3
  precision: float32
  threads: 1
checkpoint:
  every_steps: 1
  keep: 2
output:
  directory: run
YAML
}

kills=0 runs=0 midsave=0
start=$SECONDS
while [ "$kills" -lt "$count" ]; do
    quantization=$([ $((runs % 2)) = 0 ] && echo stored || echo nf4)
    if [ ! -d "whole-$quantization" ]; then
        recipe $quantization
        "$martlet" train recipe.yaml output.directory="whole-$quantization" >/dev/null 2>&1
    fi
    recipe $quantization
    runs=$((runs + 1))
    run="run-$runs"
    arguments=(train recipe.yaml output.directory="$run")
    while :; do
        before=$(readlink "$run/checkpoints/latest" || true)
        "$martlet" "${arguments[@]}" >out 2>err &
        pid=$!
        # A quarter of the kills hits the start; the others come some steps later, at a random moment.
        if [ $((RANDOM % 4)) != 0 ]; then
            while [ "$(readlink "$run/checkpoints/latest" || true)" = "$before" ] && kill -0 $pid 2>/dev/null; do sleep 0.01; done
        fi
        sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
        if [ "$kills" -ge "$count" ] || ! kill -KILL $pid 2>/dev/null; then
            if ! wait $pid; then
                echo "run $runs ended with an error:" && cat err
                exit 1
            fi
            break
        fi
        if wait $pid 2>/dev/null; then break; fi
        kills=$((kills + 1))
        ! compgen -G "$run/checkpoints/.step-*" >/dev/null || midsave=$((midsave + 1))
        if [ -e "$run/checkpoints/latest" ] || [ -L "$run/checkpoints/latest" ]; then
            [ -e "$run/checkpoints/latest/state.json" ] || { echo "latest leads nowhere in $work/$run"; exit 1; }
        fi
        [ ! -e "$run/resolved.yaml" ] || arguments=(train --resume "$run" --threads $((1 + kills % 2)))
        # Now and then the whole run moves to another folder.
        if [ $((kills % 10)) = 0 ] && [ -e "$run/resolved.yaml" ]; then
            elsewhere=$([ "$run" = "run-$runs" ] && echo "moved-$runs" || echo "run-$runs")
            mv "$run" "$elsewhere" && run="$elsewhere" && arguments=(train --resume "$run")
        fi
    done
    cmp "$run/adapter/adapter_model.safetensors" "whole-$quantization/adapter/adapter_model.safetensors"
    if grep -q "damaged" err; then echo "a damaged checkpoint in $work/$run" && cat err && exit 1; fi
    if compgen -G "$run/checkpoints/.*tmp-*" >/dev/null; then echo "leftovers in $work/$run" && exit 1; fi
    rm -rf "$run"
done
echo "$kills kills in $runs runs ($midsave while a checkpoint was being written), $((SECONDS - start)) s: every adapter equals the undisturbed run's, bit for bit"
rm -rf "$work"
