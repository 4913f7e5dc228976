#!/bin/bash
# Builds the fake libcuda twice: as libcuda.so.1, for processes that find it by LD_LIBRARY_PATH, and under a name that
# nobody looks for, for tests that load it into their own process. Needs gcc.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 OUTPUT_DIR" >&2
  exit 2
fi
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1"
output_dir=$(cd "$1" && pwd)

for name in libcuda.so.1 libfakecuda.so; do
  if [ "$output_dir/$name" -nt "$source_dir/fakecuda.c" ]; then continue; fi
  gcc -O2 -g -Wall -Wextra -shared -fPIC -fvisibility=hidden -Wl,-soname,$name "$source_dir/fakecuda.c" \
    -o "$output_dir/$name.new" -lpthread
  mv "$output_dir/$name.new" "$output_dir/$name"
done
