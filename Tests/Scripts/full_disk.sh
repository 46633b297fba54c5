#!/usr/bin/env bash
# Trains on disks that are too small, fill up, or can no longer be written: every run stops with one sentence and the
# right exit code, what it reported as saved is whole, and it goes on to the same bytes once the disk is well again.
#
#     bash Tests/Scripts/full_disk.sh [ROUNDS]      (20 rounds of a disk that fills up in the middle of a run)
#
# Needs to mount: as root, in a mount namespace of its own. Where that is not permitted, a limit on the size of files
# takes the place of a small disk, and the rest is said to be left out. MARTLET names a program that is built already.
set -euo pipefail
rounds="${1:-20}"
if [ -z "${MARTLET_OWN_MOUNTS:-}" ] && unshare -m true 2>/dev/null; then
    MARTLET_OWN_MOUNTS=1 exec unshare -m bash "${BASH_SOURCE[0]}" "$rounds"
fi
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ -n "${MARTLET:-}" ] || swift build -c release --product martlet </dev/null | tail -1
martlet="${MARTLET:-$PWD/.build/release/martlet}" fixtures="$PWD/Tests/MartletTests/Fixtures/cli"
work="$(mktemp -d "${TMPDIR:-/tmp}/martlet-disk-XXXXXX")"
cd "$work" && mkdir disk
export XDG_CACHE_HOME="$work/cache" SWIFT_BACKTRACE=enable=no
trap 'cd /; umount -q "$work"/disk/run/checkpoints 2>/dev/null; umount -q "$work"/disk 2>/dev/null; rm -rf "$work"' EXIT

cat >recipe.yaml <<YAML
model:
  path: $fixtures/llama
adapter:
  rank: 2
  alpha: 4
data:
  train:
    - path: $fixtures/tokens.jsonl
  max_length: 64
training:
  steps: 60
  micro_batch_size: 1
  learning_rate: 1e-3
  precision: float32
  threads: 1
checkpoint:
  every_steps: 1
  keep: 2
output:
  directory: disk/run
YAML
"$martlet" train recipe.yaml output.directory=whole >/dev/null 2>err || { cat err && exit 1; }

stops=0 completed=0 context=""
declare -A codes
fail() { echo "$context: $*" >&2 && cat err >&2 && ls -laR disk >&2 && exit 1; }

# What a run has left when it ended with a code: one sentence, and every checkpoint whole that it spoke of.
check_end() {
    codes[$1]=$((${codes[$1]:-0} + 1))
    if [ "$1" = 0 ]; then completed=$((completed + 1)) && return; fi
    stops=$((stops + 1))
    case "$1" in 69 | 73 | 74) ;; *) fail "exit code $1" ;; esac
    [ "$(grep -c '^error: ' err)" = 1 ] || fail "expected one sentence"
    ! grep -q "CocoaError\|Error Domain\|Fatal" err || fail "expected a sentence"
    local checkpoints=disk/run/checkpoints said
    for checkpoint in "$checkpoints"/step-*; do
        [ ! -e "$checkpoint" ] || "$martlet" inspect "$checkpoint" >/dev/null || fail "$checkpoint is not whole"
    done
    said="$(sed -n 's/^step \([0-9]*\): checkpoint written$/\1/p' err | tail -1)"
    [ -z "$said" ] || [ -e "$(printf '%s/step-%06d' "$checkpoints" "$said")" ] || fail "no checkpoint of step $said"
    if [ -L "$checkpoints/latest" ]; then
        [ -e "$checkpoints/latest/state.json" ] || fail "latest leads nowhere"
    fi
    # On a disk that can be written, nothing half written stays either.
    if [ "${2:-}" != readonly ] && compgen -G "disk/run/checkpoints/.*tmp-*" >/dev/null; then fail "leftovers"; fi
}

# The disk is well again: the run goes on to the bytes of one that nothing disturbed.
check_recovery() {
    local arguments=(train recipe.yaml)
    [ ! -e disk/run/resolved.yaml ] || arguments=(train --resume disk/run)
    "$martlet" "${arguments[@]}" >/dev/null 2>err || fail "does not go on"
    ! grep -q damaged err || fail "a damaged checkpoint"
    cmp disk/run/adapter/adapter_model.safetensors whole/adapter/adapter_model.safetensors || fail "other bytes"
    ! find disk -name '.*tmp-*' -o -name '.*old-*' | grep -q . || fail "leftovers"
    rm -rf disk/run
}

# Runs the program to its end; its exit code is in `status`.
train() { status=0 && "$martlet" "$@" >/dev/null 2>err || status=$?; }

# Starts a run in the background and waits until it has written some checkpoints.
start() {
    "$martlet" train "$@" >/dev/null 2>err &
    pid=$!
    local before after=$((RANDOM % 10 + 1))
    for _ in $(seq 3000); do
        before=$(grep -c ': checkpoint written$' err || true)
        if [ "$before" -ge "$after" ] || ! kill -0 $pid 2>/dev/null; then break; fi
        sleep 0.005
    done
}
finish() { status=0 && wait $pid || status=$?; }

# Leaves a run that has been stopped on request.
stop_early() {
    start recipe.yaml && kill -TERM $pid && finish
    [ "$status" = 75 ] || fail "did not stop on request, but with $status"
}

if ! mount -t tmpfs -o size=1m tmpfs disk 2>/dev/null; then
    echo "mounting is not permitted here: files are limited in size instead; full and read-only disks are left out"
    for kilobytes in 1 2 4 8 16 24 30 40 50 56 64; do
        context="files of at most $kilobytes KB"
        status=0 && (ulimit -f "$kilobytes" && exec "$martlet" train recipe.yaml >/dev/null 2>err) || status=$?
        # The sentence itself must fit.
        if [ -s err ]; then check_end $status; fi
        check_recovery
    done
    echo "$stops runs stopped by the limit, $completed not: every one went on to the same bytes"
    exit
fi
umount disk

# Too small from the start, in bytes and in files: the latter is not seen before a file cannot be made.
small() {
    context="a disk with $1"
    mount -t tmpfs -o "$1" tmpfs disk
    train train recipe.yaml && check_end $status
    mount -o remount,size=64m,nr_inodes=100000 disk
    check_recovery && umount disk
}
for kilobytes in 4 16 40 80 160 320 640 1000 1500; do small "size=${kilobytes}k"; done
for files in $(seq 1 30); do small "size=64m,nr_inodes=$files"; done
echo "disks too small: $stops stopped, $completed large enough"

# Filled up by somebody else while the run goes on: to the last byte, or but for a few pages.
stops=0 completed=0
mount -t tmpfs -o size=16m tmpfs disk
for round in $(seq "$rounds"); do
    context="filled up in round $round"
    start recipe.yaml
    dd if=/dev/zero of=disk/filler bs=64k 2>/dev/null || true
    if [ $((round % 3)) = 0 ]; then truncate -s "-$((RANDOM % 100))k" disk/filler; fi
    finish && check_end $status
    rm disk/filler && check_recovery
done
umount disk
echo "disks that filled up: $stops stopped, $completed had finished"

# Read-only: from the start, on resuming, and in the middle, where the folder of checkpoints is a disk of its own (a
# disk with open files cannot be remounted).
stops=0 completed=0
context="read-only from the start"
mount -t tmpfs -o ro tmpfs disk
train train recipe.yaml && check_end $status readonly
mount -o remount,rw disk && check_recovery
context="read-only on resuming"
stop_early
mount -o remount,ro disk
train train --resume disk/run && check_end $status readonly
mount -o remount,rw disk && check_recovery
for round in $(seq 5); do
    context="read-only in the middle, round $round"
    stop_early
    mv disk/run/checkpoints before && mkdir disk/run/checkpoints
    mount -t tmpfs tmpfs disk/run/checkpoints && cp -a before/. disk/run/checkpoints && rm -r before
    start --resume disk/run
    until mount -o remount,ro disk/run/checkpoints 2>/dev/null; do kill -0 $pid 2>/dev/null || break; done
    finish && check_end $status readonly
    mount -o remount,rw disk/run/checkpoints
    cp -a disk/run/checkpoints before && umount disk/run/checkpoints && rmdir disk/run/checkpoints
    mv before disk/run/checkpoints && check_recovery
done
umount disk
echo "read-only disks: $stops stopped, $completed had finished"

# A disk that fails in the middle, upon which the system lets nobody write any more, open files included.
if truncate -s 32M image && mkfs.ext4 -q -b 1024 image && mount -o loop,errors=remount-ro image disk 2>/dev/null; then
    stops=0 completed=0
    for round in $(seq 5); do
        context="failing disk, round $round"
        start recipe.yaml
        device="$(findmnt -no SOURCE disk)"
        echo 1 >"/sys/fs/ext4/$(basename "$device")/trigger_fs_error"
        finish && check_end $status readonly
        umount disk && { fsck.ext4 -py image >/dev/null 2>&1 || true; } && mount -o loop,errors=remount-ro image disk
        rm -rf disk/lost+found && check_recovery
    done
    umount disk
    echo "disks that failed: $stops stopped, $completed had finished"
else
    echo "no ext4 on a loop device here: disks that fail are left out"
fi
echo "exit codes: $(for code in "${!codes[@]}"; do echo -n "$code ${codes[$code]} times  "; done)"
echo "every run left what it had reported, and went on to the same bytes"
