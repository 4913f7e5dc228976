#!/bin/bash
# Builds the command into .build/release/moonrail, with Swift's runtime inside, so that the file runs on hosts without
# a toolchain. libfabric is not linked: it is loaded where the command runs.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_swift

say "building the command (release; the first time takes some minutes)"
swift build -c release --product moonrail --static-swift-stdlib "$@"
say "built: .build/release/moonrail"
