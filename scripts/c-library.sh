#!/bin/bash
# Builds the C library into .build/c: lib/libmoonrail.so, include/transfer_engine_c.h, lib/pkgconfig/moonrail.pc.
# Usage: c-library.sh [--test | --install PREFIX]
#   --test            also compiles and runs the C tests, the C example and the tests of the Rust crate
#   --install PREFIX  also copies what was built to PREFIX (with DESTDIR before it, if that is set)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"
require_swift

case "${1:-}" in
'' | --test) [ $# -le 1 ] || fail "what is '$2'? See the head of scripts/c-library.sh" ;;
--install) [ $# -eq 2 ] && [ -n "$2" ] || fail "--install needs a folder: make install-c PREFIX=/usr/local" ;;
*) fail "what is '$1'? See the head of scripts/c-library.sh" ;;
esac

# The Python module is built with the same flags into the same folder, so that what both consist of is compiled once.
say "building the C library (release; the first time takes some minutes)"
swift build -c release --scratch-path .build/static -Xswiftc -static-stdlib --product MoonrailC

version=$(sed -n 's/^let moonrailVersion = "\([0-9.]*\).*/\1/p' Sources/MoonrailCommand/Version.swift)
[ -n "$version" ] || fail "Sources/MoonrailCommand/Version.swift names no version"
soname=libmoonrail.so.${version%%.*}
built=$(swift build -c release --scratch-path .build/static -Xswiftc -static-stdlib --show-bin-path)/libMoonrailC.so

# place FOLDER PREFIX: the files for PREFIX, put below FOLDER.
place() {
  mkdir -p "$1/lib/pkgconfig" "$1/include"
  # Into a temporary file first: a process that has the old library mapped keeps it.
  strip --strip-unneeded "$built" -o "$1/lib/.new"
  chmod 755 "$1/lib/.new"
  mv "$1/lib/.new" "$1/lib/libmoonrail.so.$version"
  ln -sf "libmoonrail.so.$version" "$1/lib/$soname"
  ln -sf "$soname" "$1/lib/libmoonrail.so"
  install -m 644 Sources/CTransferEngine/include/transfer_engine_c.h "$1/include/"
  cat > "$1/lib/pkgconfig/moonrail.pc" << END
prefix=$2
libdir=\${prefix}/lib
includedir=\${prefix}/include

Name: moonrail
Description: Moves memory between hosts: the C interface of Mooncake's transfer engine
Version: $version
Libs: -L\${libdir} -lmoonrail
Cflags: -I\${includedir}
END
}

place .build/c "$root/.build/c"
say "built: .build/c/lib/libmoonrail.so.$version ($(stat -c %s ".build/c/lib/libmoonrail.so.$version") bytes)"

case "${1:-}" in
--install)
  [ "${2#/}" != "$2" ] || fail "PREFIX has to begin with /"
  place "${DESTDIR:-}$2" "$2"
  say "installed below ${DESTDIR:-}$2"
  ;;
--test) exec Tests/CInterface/run.sh ;;
esac
