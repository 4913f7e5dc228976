#!/bin/bash
# Checks the format of all Swift files against .swift-format; `lint.sh --fix` rewrites them.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_swift

paths=(Package.swift Sources Tests)
if [ -d Benchmarks ]; then paths+=(Benchmarks/Package.swift Benchmarks/Sources); fi
existing=()
for path in "${paths[@]}"; do
  if [ -e "$path" ]; then existing+=("$path"); fi
done
if [ "${1:-}" = --fix ]; then
  swift format format --in-place --recursive --parallel "${existing[@]}"
else
  swift format lint --strict --recursive --parallel "${existing[@]}"
  say "format: clean"
fi
