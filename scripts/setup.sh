#!/bin/bash
# Installs the distribution's packages that the build and the tests need, those only that are missing.
# Usage: setup.sh [bench|bench-peers|test]     also what `make bench`, `make bench-peers` or `make test` needs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# gcc, g++: the linker driver, the C and C++ runtime's headers, the fake EFA provider.
# libfabric-dev: headers for the build and, through libfabric1, the library for the tests. libfabric-bin: fi_info.
# libibverbs-dev: headers for the fake EFA provider.
# iproute2, python3: two hosts in network namespaces, and what drives them.
# etcd-server, redis-server: the tests start both, on ports of their own.
# python3-dev, python3-venv, python3-pip: the Python module, its wheel and its tests; environments for upstream's wheels.
packages=(ca-certificates git make gcc g++ libfabric-dev libfabric-bin libibverbs-dev iproute2
  etcd-server redis-server python3 python3-dev python3-venv python3-pip)
case "${1:-}" in
bench) packages+=(valgrind) ;;
# iperf3: what TCP gives a program that does nothing else.
bench-peers) packages+=(iperf3) ;;
# pkg-config, cargo: the tests of the C library and of the Rust crate.
test)
  packages+=(pkg-config)
  command -v cargo > /dev/null || packages+=(cargo)
  ;;
esac

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  say "not a Debian or Ubuntu system: nothing is installed. Needed are gcc, g++, make, git, libfabric with its headers \
(1.17 or later), the headers of libibverbs, iproute2 and python3."
  require_swift
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  if ! dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q 'ok installed'; then missing+=("$package"); fi
done

if [ ${#missing[@]} -gt 0 ]; then
  sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || fail "these packages are missing, and there is no sudo: ${missing[*]}. \
Install them as root: apt-get install --no-install-recommends ${missing[*]}"
    sudo=(sudo)
  fi
  say "installing: ${missing[*]}"
  "${sudo[@]}" apt-get update -q
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
else
  say "packages: all there (${packages[*]})"
fi

require_swift
say "toolchain: $(swift --version 2>&1 | sed -n 's/.*\(Swift version [0-9.]*\).*/\1/p' | head -n 1)"
