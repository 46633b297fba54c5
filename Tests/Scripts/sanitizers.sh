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
export SWIFT_BACKTRACE=enable=no
# Leaks are the business of the memory tests: the thread pool and OpenBLAS live until the program ends.
export ASAN_OPTIONS=detect_leaks=0
swift test "${flags[@]}" "$@" </dev/null
