# Shared by recipes/quickstart.sh and Tests/run.sh: finds out what this machine lacks to build Martlet and installs it.
# To be sourced, after `set -euo pipefail`. Works on Debian and Ubuntu; elsewhere it only says what is missing.

readonly UNAVAILABLE=69 # sysexits: the machine cannot do it
readonly SWIFT_HELP="install Swift 6.1 or later as described at https://www.swift.org/install/linux/ and run this again"

say() { printf '\n==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
fail() { # STATUS SENTENCE
    printf 'error: %s\n' "$2" >&2
    exit "$1"
}

# Runs a command as root, directly or with sudo.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "$UNAVAILABLE" "this needs root, and there is no sudo; run as root: $*"
    fi
}

# Installs Debian packages; does nothing without arguments.
install_packages() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null ||
        fail "$UNAVAILABLE" "this machine lacks what these Debian packages hold, and has no apt-get: $*"
    say "Installing with apt-get: $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq </dev/null
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

# Prints the packages that hold what the Swift tools in folder $1 and Martlet need and this machine lacks.
missing_packages() {
    local tools=$1 any
    command -v git >/dev/null || echo git
    [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
    [ -d /usr/share/zoneinfo ] || echo tzdata
    # The compiler links with gold and against the C and C++ libraries of gcc.
    command -v ld.gold >/dev/null || echo binutils-gold
    any=$(compgen -G '/usr/lib/gcc/*/*/libstdc++.so' || true)
    [ -n "$any" ] && [ -e /usr/include/stdio.h ] || echo g++
    ldconfig_lists libopenblas.so.0 || echo libopenblas0-pthread
    # Data files may be compressed.
    [ -e /usr/include/zlib.h ] || echo zlib1g-dev
    [ -e /usr/include/zstd.h ] || echo libzstd-dev
    # Libraries that the Swift tools themselves are linked to.
    ldd "$tools"/swift-{build,frontend} 2>/dev/null | sed -n 's/^[[:space:]]*\(lib[^ ]*\) => not found.*/\1/p' | while read -r library; do
        case $library in
            libcurl.so.4) echo libcurl4 ;;
            libxml2.so.*) echo libxml2 ;;
            libsqlite3.so.0) echo libsqlite3-0 ;;
            libncurses*.so.6 | libtinfo.so.6) echo libncurses6 ;;
            libedit.so.2) echo libedit2 ;;
            *) printf 'Note: the Swift tools miss %s\n' "$library" >&2 ;;
        esac
    done
}

ldconfig_lists() {
    local list
    list=$({ ldconfig -p || /sbin/ldconfig -p; } 2>/dev/null || true)
    [[ $list == *"$1"* ]]
}

# Puts Swift on the PATH if it lies in one of the usual places.
find_swift() {
    local folder
    for folder in "$HOME/.local/share/swiftly/bin" /opt/swift/usr/bin /usr/share/swift/usr/bin /usr/local/swift/usr/bin; do
        command -v swift >/dev/null && return
        if [ -x "$folder/swift" ]; then PATH=$folder:$PATH; fi
    done
    command -v swift >/dev/null || fail "$UNAVAILABLE" "there is no Swift on this machine; $SWIFT_HELP"
}

# Refuses a Swift that is older than 6.1.
check_swift() {
    local text major minor
    text=$(swift --version 2>&1 </dev/null) || fail "$UNAVAILABLE" "\`swift --version\` fails ($text); $SWIFT_HELP"
    if [[ ! $text =~ Swift\ version\ ([0-9]+)\.([0-9]+) ]]; then
        fail "$UNAVAILABLE" "\`swift --version\` does not say its version; $SWIFT_HELP"
    fi
    major=${BASH_REMATCH[1]} minor=${BASH_REMATCH[2]}
    if [ "$major" -lt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -lt 1 ]; }; then
        fail "$UNAVAILABLE" "this Swift is $major.$minor, and Martlet needs 6.1; $SWIFT_HELP"
    fi
    note "Swift $major.$minor in $(command -v swift)"
}

# Everything that building needs: Swift, its libraries, OpenBLAS, zlib, zstd.
prepare_machine() {
    local tools packages
    say "Checking the machine: Swift 6.1 or later, a linker, the C++ library, OpenBLAS, zlib, zstd"
    find_swift
    tools=$(dirname "$(readlink -f "$(command -v swift)")")
    mapfile -t packages < <(missing_packages "$tools" | sort -u)
    install_packages "${packages[@]}"
    check_swift
}
