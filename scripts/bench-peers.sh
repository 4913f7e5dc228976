#!/bin/bash
# Measures Moonrail beside upstream's own builds, iperf3 and loops in C, in turns, on this host.
# Usage: bench-peers.sh [--quick] [--parts=efa,tcp,...] [--other ...] ...; bench-peers.sh --help says it all
# Leaves the report in .build/bench/peers.md, with a plot for each part, and the programs' output beside it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$here/../.build/bench
mkdir -p "$work"
compare=(python3 "$here/../Benchmarks/peers/compare.py")
case " $* " in
*' --help '* | *' -h '*) exec "${compare[@]}" --help ;;
esac
"$here/setup.sh" bench-peers
"$here/build.sh"
source "$here/common.sh"
source "$here/wheels.sh"
work=$root/.build/bench

# wants PART: whether this part is measured
wants() {
  local parts=all argument previous=
  for argument in "${arguments[@]}"; do
    case $argument in
    --quick) if [ "$parts" = all ]; then parts=efa,latency,warmup; fi ;;
    --parts=*) parts=${argument#--parts=} ;;
    *) if [ "$previous" = --parts ]; then parts=$argument; fi ;;
    esac
    previous=$argument
  done
  case ",$parts," in *,all,* | *",$1,"*) ;; *) return 1 ;; esac
}
arguments=("$@")

# upstream NAME PACKAGE: adds upstream's wheel to what is compared, where it is wanted and can be had
upstream() {
  case " ${arguments[*]} " in *' --no-upstream '*) return ;; esac
  if environment "$1" "$2" numpy; then
    options+=("--upstream-$1" "$wheels/$1")
  else
    say "upstream's wheel $2 cannot be installed here (its message is above): the rows beside it are left out"
  fi
}

options=()
if wants tcp; then upstream tcp mooncake-transfer-engine-non-cuda==0.3.13.post1; fi
for part in efa latency warmup registration idle; do
  if wants $part; then
    upstream efa mooncake-transfer-engine-efa-non-cuda==0.3.13.post1
    break
  fi
done
if wants registration || wants idle || wants known; then
  "$here/wheel.sh"
  wheel=$(echo "$root"/.build/python/wheels/moonrail-*.whl)
  if [ ! -e "$wheels/ours" ]; then "$python" -m venv "$wheels/ours"; fi
  "$wheels/ours/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheel"
  options+=(--ours-python "$wheels/ours/bin/python")
fi
if command -v iperf3 > /dev/null; then options+=(--iperf); fi
Tests/FakeEFA/build.sh .build/fake-efa
cc -O2 -Wall -Wextra Benchmarks/peers/fabric_loop.c -o "$work/fabric_loop" -lfabric
cc -O2 -Wall -Wextra Benchmarks/peers/memory_loop.c -o "$work/memory_loop"
say "moonrail beside others"
"${compare[@]}" --moonrail .build/release/moonrail --work "$work" --fake-efa "$root/.build/fake-efa" \
  --fabric-loop "$work/fabric_loop" --memory-loop "$work/memory_loop" "${options[@]}" "${arguments[@]}"
say "the report is .build/bench/peers.md"
