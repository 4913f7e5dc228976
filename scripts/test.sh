#!/bin/bash
# Sets up, checks the format, builds the fake EFA provider and runs the test suites.
# Usage: test.sh [ARGUMENTS OF swift test]     for example: test.sh --filter WireTests
# With --filter the format is not checked.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
source "$here/common.sh"

case " $* " in
*" --filter "*) ;;
*) "$here/lint.sh" ;;
esac

say "building the fake EFA provider"
Tests/FakeEFA/build.sh .build/fake-efa

# The suites that need the provider find it here, and say so when it is unset.
export MOONRAIL_FAKE_EFA="$root/.build/fake-efa"

say "swift test $*"
exec swift test "$@"
