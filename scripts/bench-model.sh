#!/bin/bash
# Predicts the throughput of hosts with EFA by a model. Takes the options of host-model: bench-model.sh --help
# Leaves the plot in .build/bench/model.svg.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"
require_swift
mkdir -p .build/bench
swift build -c release --package-path Benchmarks --product host-model >&2
"$(swift build -c release --package-path Benchmarks --show-bin-path)/host-model" --svg .build/bench/model.svg "$@"
