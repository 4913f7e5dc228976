#!/bin/bash
# Runs Moonrail against upstream's own wheels, in both directions, and compares every byte.
# Usage: interop.sh [--quick] [--most GIB] [--parts transfers,bench,stores]
#   --quick: up to 1 MiB x 128 instead of up to 333 MB and 4096.
#   --most: leave out what moves more than so many GiB in one batch, 4 unless told.
# Leaves the short table in .build/interop/table.md, every run in full.md, and the logs of the peers beside them.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
source "$here/common.sh"
source "$here/wheels.sh"

environment efa mooncake-transfer-engine-efa-non-cuda==0.3.13.post1 numpy
environment tcp mooncake-transfer-engine-non-cuda==0.3.13.post1 numpy
environment tcp-old mooncake-transfer-engine-non-cuda==0.3.10.post2 numpy

say "building the peer, the command and the fake EFA provider"
Tests/FakeEFA/build.sh .build/fake-efa
swift build -c release --product TestPeer
swift build -c release --product moonrail
built=$(swift build -c release --show-bin-path)

rm -f "$wheels"/*.log
exec python3 Tests/Interop/matrix.py --peer "$built/TestPeer" --moonrail "$built/moonrail" --work "$wheels" \
  --fake-efa "$root/.build/fake-efa" --efa "$wheels/efa/bin/python" --tcp "$wheels/tcp/bin/python" \
  --tcp-old "$wheels/tcp-old/bin/python" --table "$wheels/table.md" "$@"
