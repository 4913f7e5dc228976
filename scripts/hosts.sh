#!/bin/bash
# Two hosts on this one, in network namespaces, with a cable between them that is pulled during a transfer.
# Usage: hosts.sh [--if-possible] [OPTIONS OF Tests/Interop/hosts.py]
# Needs root and a kernel that gives it network namespaces. Where there are none it fails; with --if-possible it says
# that nothing was run, and succeeds.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Prints why there can be no hosts, or nothing.
obstacle() {
  if [ "$(id -u)" -ne 0 ]; then
    echo "it needs root, to make network namespaces"
    return
  fi
  local tool name=moonrail-probe-$$ reason
  for tool in ip python3; do
    if ! command -v "$tool" > /dev/null; then
      echo "there is no '$tool' (packages iproute2 and python3)"
      return
    fi
  done
  if ! reason=$(ip netns add "$name" 2>&1 && ip -n "$name" link add cable0 type veth peer name cable1 2>&1); then
    echo "this host gives no network namespaces or no veth links: ${reason:-no reason given}"
  fi
  ip netns delete "$name" 2> /dev/null || true
}

optional=
if [ "${1:-}" = --if-possible ]; then
  optional=yes
  shift
fi
why=$(obstacle)
source "$here/common.sh"
if [ -n "$why" ]; then
  if [ -n "$optional" ]; then
    say "two hosts: NOT RUN, $why"
    exit 0
  fi
  fail "two hosts cannot be made: $why"
fi

require_swift
say "building the peer"
swift build --product TestPeer
work=$root/.build/hosts
mkdir -p "$work"
# Two providers of the distribution's libfabric that probe for hardware for seconds in every process.
export FI_PROVIDER=${FI_PROVIDER:-^psm,psm2}
say "two hosts, and the cable between them"
exec python3 Tests/Interop/hosts.py --peer "$(swift build --show-bin-path)/TestPeer" --work "$work" "$@"
