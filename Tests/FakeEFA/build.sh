#!/bin/bash
# Builds the fake EFA provider and its preloads against the system's libfabric and libibverbs headers.
# Needs gcc, libfabric-dev and libibverbs-dev.
set -euo pipefail

if [ $# -ne 1 ]; then
  echo "usage: $0 OUTPUT_DIR" >&2
  exit 2
fi
source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$1/prov"
output_dir=$(cd "$1" && pwd)

# build OUTPUT SOURCE [LINKER FLAGS...]: compiles only what is older than its source.
build() {
  local output=$output_dir/$1 source=$source_dir/$2
  shift 2
  if [ "$output" -nt "$source" ]; then return; fi
  # Into a temporary file first: a process that has the old library mapped keeps it.
  gcc -O2 -g -Wall -Wextra -shared -fPIC "$source" -o "$output.new" "$@"
  mv "$output.new" "$output"
}

build prov/libfakeefa-fi.so fakeefa_prov.c -lfabric -lpthread -ldl
build libfakeibv.so fakeibv.c -Wl,--no-as-needed -lfabric -ldl
build libprefault.so prefault.c -ldl
if [ ! -d "$output_dir/sysfs-32" ]; then
  "$source_dir/mk_sysfs.sh" "$output_dir" 1 2 4 8 16 32
fi
