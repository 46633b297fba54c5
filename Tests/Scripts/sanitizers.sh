#!/usr/bin/env bash
# Builds everything with a sanitizer in a folder of its own and runs the tests:
#
#     bash Tests/Scripts/sanitizers.sh address|thread [options of `swift test`, such as --filter Checkpoint]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
kind="${1:-address}"
shift $(($# < 1 ? $# : 1))
flags=(-c release --disable-testable-imports --scratch-path ".build-$kind")
case "$kind" in
    address | thread) flags+=(--sanitize="$kind") ;;
    *) echo "the sanitizers are address and thread, not $kind" >&2 && exit 64 ;;
esac
# Tests that a sanitizer gets in the way of ask for this.
export SWIFT_BACKTRACE=enable=no MARTLET_SANITIZER="$kind"
# Leaks are the business of the memory tests: the thread pool and OpenBLAS live until the program ends.
export ASAN_OPTIONS=detect_leaks=0
if [ "$kind" = thread ]; then
    mkdir -p .build-thread
    "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -Wall -Wextra -shared -fPIC -O1 -o .build-thread/mutex.so \
        Tests/Scripts/thread_sanitizer/mutex.c -ldl
    export LD_PRELOAD="$PWD/.build-thread/mutex.so"
    export TSAN_OPTIONS="suppressions=$PWD/Tests/Scripts/thread_sanitizer/suppressions.txt"
fi
swift test "${flags[@]}" "$@" </dev/null
