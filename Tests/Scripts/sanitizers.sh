#!/usr/bin/env bash
# Builds everything with a sanitizer in a folder of its own and runs the tests:
#
#     bash Tests/Scripts/sanitizers.sh address|thread|undefined [options of `swift test`, such as --filter Checkpoint]
#
# `undefined` checks the C kernels only; the Swift compiler checks its own code always.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kind="${1:-address}"
shift $(($# < 1 ? $# : 1))
flags=(-c release --disable-testable-imports --scratch-path ".build-$kind")
case "$kind" in
    address | thread) flags+=(--sanitize="$kind") ;;
    undefined) flags+=(-Xcc -fsanitize=undefined -Xcc -fno-sanitize-recover=all -Xlinker -lubsan) ;;
    *) echo "the sanitizers are address, thread and undefined, not $kind" >&2 && exit 64 ;;
esac
export SWIFT_BACKTRACE=enable=no
# Leaks are the business of the memory tests: the thread pool and OpenBLAS live until the program ends.
export ASAN_OPTIONS=detect_leaks=0
# OpenBLAS is not instrumented: what it does between its own threads (it has none here) cannot be judged.
export TSAN_OPTIONS="suppressions=$PWD/Tests/Scripts/thread-suppressions.txt"
swift test "${flags[@]}" "$@" </dev/null
