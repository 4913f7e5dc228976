#!/bin/bash
# Sets up, builds, and shows a verified transfer between two processes. Arguments go to `moonrail demo`.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
"$here/build.sh"
source "$here/common.sh"
say "moonrail demo $*"
exec .build/release/moonrail demo "$@"
