# Shared by the scripts of this folder; to be sourced. Leaves the working directory at the package's root.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

# Processes of this host use NICs and TCP, which is what is tested and shown here, unless they are told otherwise.
export MOONRAIL_SAME_HOST=${MOONRAIL_SAME_HOST:-0}

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# The Swift that the package needs, as MAJOR.MINOR.
swift_wanted=6.3

# Puts `swift` on PATH where swiftly installed it, and stops unless it is new enough.
require_swift() {
  if ! command -v swift > /dev/null; then
    local swiftly=${SWIFTLY_BIN_DIR:-${SWIFTLY_HOME_DIR:-$HOME/.local/share/swiftly}/bin}
    if [ -x "$swiftly/swift" ]; then export PATH="$swiftly:$PATH"; fi
  fi
  local advice="Swift $swift_wanted or later is needed. Get it from https://www.swift.org/install/linux/
(swiftly, or the archive for Debian 12 or Ubuntu 24.04), and have 'swift' on your PATH."
  command -v swift > /dev/null || fail "there is no 'swift' on PATH. $advice"
  local found
  found=$(swift --version 2>&1 | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
  [ -n "$found" ] || fail "'swift --version' failed or names no version. $advice"
  if [ "$(printf '%s\n%s\n' "$swift_wanted" "$found" | sort -V | head -n 1)" != "$swift_wanted" ]; then
    fail "Swift $found is too old. $advice"
  fi
}
