#!/usr/bin/env bash
# Feeds damaged input to every reader of files, guided by coverage (libFuzzer, which is part of the Swift toolchain):
#
#     bash Tests/Scripts/fuzz.sh [SECONDS] [SEED] [TARGET…]      (600 seconds each, seed 1, all targets)
#
# Fails if a reader crashes, reads outside of its input, takes more than 25 seconds or more than 2 GB. What was found
# lies in .build-fuzz/findings and is fed again with `.build-fuzz/…/Fuzz FILE` and MARTLET_FUZZ=TARGET. Inputs that
# reached new code stay in .build-fuzz/corpus for the next time; the first ones are the fixtures of the tests.
# MARTLET_FUZZ_BUILD=1 builds only; MARTLET_FUZZ_SANITIZER= (empty) leaves the address sanitizer away.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds="${1:-600}" seed="${2:-1}"
shift $(($# < 2 ? $# : 2))
targets=("$@")
all=(json tokenizer template recipe safetensors shards gguf bitsandbytes manifest adapter table lines packed checkpoint)
[ ${#targets[@]} -gt 0 ] || targets=("${all[@]}")

build=.build-fuzz
flags=(-c release --scratch-path "$build" --product Fuzz -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld)
sanitizer="${MARTLET_FUZZ_SANITIZER-address}"
[ -z "$sanitizer" ] || flags+=(--sanitize="$sanitizer")
MARTLET_FUZZING=1 swift build "${flags[@]}" </dev/null | tail -3
program="$build/release/Fuzz"
[ -z "${MARTLET_FUZZ_BUILD:-}" ] || exit 0

# The first inputs of a target, from fixtures; libFuzzer copies what is useful.
seeds() {
    local to="$build/seeds/$1" fixtures=Tests/TokenizationTests/Fixtures models=Tests/ModelsTests/Fixtures
    rm -rf "$to" && mkdir -p "$to"
    local number=0 file
    add() { for file in "$@"; do number=$((number + 1)); cp "$file" "$to/$number"; done; }
    put() { number=$((number + 1)); printf "$1" >"$to/$number"; }
    case "$1" in
        json) add $fixtures/tokenizers/*/tokenizer_config.json $models/*/config.json
            put '{"a":[1,-2.5e-3,true,false,null,"\\u00e9\\ud83d\\ude00\\n"],"b":{"c":{}},"":[[[[]]]]}' ;;
        tokenizer) for file in $fixtures/tokenizers/*/tokenizer.json; do
                [ "$(stat -c %s "$file")" -gt 100000 ] || add "$file"
            done ;;
        template) add $fixtures/chat/templates/*.jinja
            python3 - "$fixtures/jinja/cases.json" "$to" <<'PYTHON' || true
import json, sys
for number, case in enumerate(json.load(open(sys.argv[1]))["cases"][::10]):
    open(f"{sys.argv[2]}/case{number}", "w").write(case[0])
PYTHON
            ;;
        recipe) add recipes/*.yaml ;;
        safetensors) add $models/llama/adapter/adapter_model.safetensors $models/llama-bnb-4bit/model.safetensors ;;
        shards) add $models/mixtral/model.safetensors.index.json ;;
        gguf) add $models/gguf-headers/*.gguf-header Tests/CheckpointsTests/Fixtures/tiny.gguf ;;
        bitsandbytes) add $models/llama-bnb-4bit/model.safetensors $models/llama-bnb-4bit-dq/model.safetensors ;;
        manifest) put '{"digest":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","files":{"config.json":"00"},"layout":1,"tensors":{"a":1}}' ;;
        adapter) cat $models/llama/adapter/adapter_config.json <(printf '\0') $models/llama/adapter/adapter_model.safetensors >"$to/1" ;;
        table) put ' prompt,completion\n"a ""b""",c\r\n1,"2\n3"\n'; put '!text\tx\nab\t"c\td"\n'; put ' instruction;output\n1;2\n' ;;
        lines) add Tests/MartletTests/Fixtures/cli/tokens.jsonl Tests/MartletTests/Fixtures/cli/tokens-masked.jsonl
            put '[{"text":"a"},{"text":"b\\n"} , {"text":1}]'; put '{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}\n'
            put '{"conversations":[{"from":"human","value":"x"},{"from":"gpt","value":"y"}]}\n{"prompt":"a","chosen":"b","rejected":"c"}' ;;
        packed) printf '{"text":"hello"}\n{"text":"world"}\n' >"$build/plain"
            gzip -c "$build/plain" >"$to/1" && cat "$to/1" "$to/1" >"$to/2"
            ! command -v zstd >/dev/null || zstd -qc "$build/plain" >"$to/3" ;;
        checkpoint) put '{"checksum":"00","sha256":{"adapter_config.json":"00"},"state":{"cursor":{"epoch":0,"batch":1},"format":1,"step":2,"tokens":1,"supervisedTokens":1,"evaluationsSinceBest":0,"isFinished":false,"identity":{"base":"a","tokenizer":"b","data":"c","recipe":"d","precision":"float32","instructionSet":"e","openBLASCore":"f"}}}' ;;
        *) echo "unknown target $1; there are ${all[*]}" >&2 && exit 64 ;;
    esac
}

failed=0
for target in "${targets[@]}"; do
    seeds "$target"
    mkdir -p "$build/corpus/$target" "$build/findings"
    dictionary="Tests/Fuzz/Dictionaries/$target.txt"
    arguments=(-max_total_time="$seconds" -seed="$seed" -timeout=25 -rss_limit_mb=2048 -malloc_limit_mb=1024 -len_control=20
        -use_value_profile=0 -print_final_stats=1 -artifact_prefix="$build/findings/$target-" -max_len=200000)
    [ ! -f "$dictionary" ] || arguments+=(-dict="$dictionary")
    echo "== $target for $seconds s, seed $seed"
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 SWIFT_BACKTRACE=enable=no MARTLET_FUZZ="$target"
    if ! "$program" "${arguments[@]}" "$build/corpus/$target" "$build/seeds/$target" >"$build/$target.log" 2>&1; then
        failed=1
        echo "FOUND: see $build/$target.log"
        grep -E "^(==|SUMMARY|artifact_prefix|Fatal|broken)" "$build/$target.log" | tail -8 || true
    fi
    grep -E "Done|stat::(number_of_executed_units|average_exec_per_sec|peak_rss_mb|slowest)" "$build/$target.log" || true
done
exit $failed
