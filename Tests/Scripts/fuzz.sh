#!/usr/bin/env bash
# Feeds damaged input to the JSON reader, the tokenizer.json loader and the template evaluator, each for a while:
#
#     bash Tests/Scripts/fuzz.sh [SECONDS] [SEED]      (600 seconds each, seed 1)
#
# Fails if one crashes, if an input takes long, or if memory passes 4 GB; a crash names the seed to start again from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export MARTLET_FUZZ_SECONDS="${1:-600}" MARTLET_FUZZ_SEED="${2:-1}"
swift build -c release --build-tests >/dev/null
ulimit -v $((64 * 1024 * 1024))
for target in json tokenizer template; do
    MARTLET_FUZZ=$target timeout $((MARTLET_FUZZ_SECONDS + 120)) \
        swift test -c release --disable-testable-imports --skip-build --filter TokenizationTests.Fuzzing
done
