#!/bin/bash
# Compiles and runs the tests of the C interface, the C example and the tests of the Rust crate against .build/c, which
# scripts/c-library.sh makes. Needs gcc, g++, pkg-config, cargo.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

library=$root/.build/c
work=$root/.build/c-tests
mkdir -p "$work"
export PKG_CONFIG_PATH="$library/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LD_LIBRARY_PATH="$library/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export MC_LOG_LEVEL=${MC_LOG_LEVEL:-ERROR}
# Engines that discover their transport are to find TCP, where the fake EFA is not meant.
unset MC_FORCE_TCP MOONRAIL_PROVIDER FI_PROVIDER_PATH
export FI_PROVIDER='^psm,psm2'

say "the library shows the functions of its header, and nothing else"
declared=$(sed -n 's/^[a-z].*[ *]\([a-zA-Z]*\)(transfer_engine_t .*/\1/p;s/^transfer_engine_t \([a-zA-Z]*\)(.*/\1/p;
  s/^int \(freeNotifsMsgBuf\)(.*/\1/p' "$library/include/transfer_engine_c.h" | sort -u)
shown=$(nm -D --defined-only --extern-only "$library/lib/libmoonrail.so" | awk '{ print $3 }' | sort)
[ "$declared" = "$shown" ] || fail "declared, and shown by the library:
$(diff <(echo "$declared") <(echo "$shown"))"
[ "$(wc -w <<< "$shown")" -eq 27 ] || fail "27 functions are wanted, not $(wc -w <<< "$shown")"
readelf -d "$library/lib/libmoonrail.so" | grep -q 'SONAME.*\[libmoonrail\.so\.0\]' || fail "the soname is wrong"
needed=$(readelf -d "$library/lib/libmoonrail.so" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -v -E \
  '^(libc|libm|libgcc_s|libstdc\+\+|ld-linux-.*)\.so' || true)
[ -z "$needed" ] || fail "the library needs $needed, which hosts without a toolchain do not have"

# compile COMPILER SOURCE NAME [FLAGS...]
compile() {
  local compiler=$1 source=$2 output=$work/$3
  shift 3
  # shellcheck disable=SC2046
  "$compiler" -O1 -g -Wall -Wextra -Werror "$@" "$source" -o "$output" $(pkg-config --cflags --libs moonrail) -lpthread
}

for name in codes peers processes; do compile gcc "Tests/CInterface/$name.c" "$name" -std=gnu11; done
compile gcc examples/c/loopback.c loopback -std=gnu11
# The same header for C++.
compile g++ Tests/CInterface/layouts.cpp layouts -std=c++11

say "the C tests"
timeout 20 "$work/layouts"
timeout 120 "$work/codes" 2> "$work/codes.log" ||
  fail "codes: $(grep "\.c:" "$work/codes.log" || tail -n 20 "$work/codes.log")"
timeout 120 "$work/processes"
timeout 120 "$work/peers" tcp
Tests/FakeEFA/build.sh .build/fake-efa
FI_PROVIDER_PATH="$root/.build/fake-efa/prov" FAKE_EFA_NICS=4 timeout 120 "$work/peers" efa

say "the C example, by itself and between two processes"
timeout 60 "$work/loopback"
coproc SERVER { exec timeout 60 "$work/loopback" serve; }
read -r -t 30 -u "${SERVER[0]}" name address || fail "the example's server said nothing"
timeout 60 "$work/loopback" "$name" "$address"
server=$SERVER_PID
eval "exec ${SERVER[1]}>&-"
wait "$server"

say "the Rust crate"
export MOONRAIL_LIB_DIR="$library/lib" CARGO_TARGET_DIR="$root/.build/rust"
cd rust
if cargo fmt --version > /dev/null 2>&1; then cargo fmt --check; fi
if cargo clippy --version > /dev/null 2>&1; then cargo clippy --offline --quiet --all-targets -- -D warnings; fi
timeout 300 cargo test --offline --quiet
timeout 120 cargo run --offline --quiet --example loopback
