#!/bin/bash
# Writes OUTPUT_DIR/sysfs-N for each N: a sysfs tree with N EFA devices on NUMA node 0, as fakeibv.c shows it.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: $0 OUTPUT_DIR N..." >&2
  exit 2
fi
output_dir=$1
shift

for count in "$@"; do
  tree=$output_dir/sysfs-$count
  rm -rf "$tree"
  mkdir -p "$tree"/class/infiniband "$tree"/class/infiniband_verbs "$tree"/dev/infiniband
  for ((i = 0; i < count; i++)); do
    name=rdmap${i}s0
    bus=$(printf '0000:%02x:00.0' $((0x10 + i)))
    pci=$tree/devices/pci0000:00/$bus
    device=$pci/infiniband/$name
    mkdir -p "$device/ports/1/gids"
    echo 0 > "$pci/numa_node"
    echo 0x1d0f > "$pci/vendor"
    echo 0xefa2 > "$pci/device"
    echo "4: ACTIVE" > "$device/ports/1/state"
    echo "100 Gb/sec (4X EDR)" > "$device/ports/1/rate"
    printf 'fe80:0000:0000:0000:fa6e:efa0:7f00:%04x\n' $((i + 1)) > "$device/ports/1/gids/0"
    echo "0000:0000:0000:0000" > "$device/node_guid"
    echo "7: unspecified" > "$device/node_type"
    ln -s ../.. "$device/device"
    ln -s "../../devices/pci0000:00/$bus/infiniband/$name" "$tree/class/infiniband/$name"
    mkdir "$tree/class/infiniband_verbs/uverbs$i"
    echo "$name" > "$tree/class/infiniband_verbs/uverbs$i/ibdev"
    ln -s /dev/null "$tree/dev/infiniband/uverbs$i"
  done
done
