#!/usr/bin/env bash
# Runs the compiled AMX kernels on a CPU without AMX, each instruction carried out by a signal handler: see main.c.
#
#     bash Tests/Scripts/amx_without_amx/run.sh
#
# Needs clang (Swift brings one) and an x86-64 CPU with AVX-512. Ends with 0 when every product has the emulation's bits.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
kernels="$here/../../../Sources/CKernels"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
clang -std=gnu17 -O2 -Wall -Wextra -I "$kernels/include" -I "$kernels" -o "$folder/check" "$here/main.c" \
    "$kernels"/{tile_product_amx,tile_product_emulated,tile_emulation,tile_support,pack_tiles,elementwise,dispatch}.c -lm
"$folder/check"
