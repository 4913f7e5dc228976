#!/bin/bash
# Runs the benchmarks of the engine's own cost.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh" bench
source "$here/common.sh"
exec Benchmarks/engine-cost.sh "$@"
