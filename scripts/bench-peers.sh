#!/bin/bash
# Measures Moonrail beside upstream's own build and iperf3, in turns, over TCP on loopback.
# Usage: bench-peers.sh [OPTIONS OF Benchmarks/peers/compare.py]
# Leaves the table in .build/bench/peers.md and the programs' output beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh" bench-peers
"$here/build.sh"
source "$here/common.sh"
source "$here/wheels.sh"

environment tcp mooncake-transfer-engine-non-cuda==0.3.13.post1 numpy
Tests/FakeEFA/build.sh .build/fake-efa
work=$root/.build/bench
mkdir -p "$work"
say "moonrail beside upstream and iperf3"
python3 Benchmarks/peers/compare.py --moonrail .build/release/moonrail --work "$work" \
  --upstream "$wheels/tcp" --prefault "$root/.build/fake-efa/libprefault.so" --iperf --table "$work/peers.md" "$@"
say "the table is in .build/bench/peers.md"
