#!/bin/bash
# What calls of mooncake.engine cost, beside upstream's wheel, in the environments of test-python.sh.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
python=${MOONRAIL_PYTHON:-python3}
place=$root/.build/python/$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for name in ours upstream-tcp; do
  [ -e "$place/$name/bin/python" ] || fail "there is no environment '$name': run scripts/test-python.sh first"
done
exec python3 Benchmarks/python/call_overhead.py "$place/ours/bin/python" "$place/upstream-tcp/bin/python" "$@"
