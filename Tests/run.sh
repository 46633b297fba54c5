#!/usr/bin/env bash
# Builds Martlet and runs its tests: bash Tests/run.sh [options of `swift test`, such as --filter Recipe]
#
# Installs what the machine lacks (apt-get, as root or with sudo). Safe to run twice; fails if a test fails.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/setup.sh

prepare_machine

say "Building; a target that imports what its row in Package.swift does not list is an error"
# swift test reuses what this builds; without --disable-testable-imports it would compile everything again.
swift build -c release --explicit-target-dependency-import-check error </dev/null

say "Running the tests"
swift test -c release --disable-testable-imports "$@" </dev/null
note "tests passed"
