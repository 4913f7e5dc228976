#!/bin/bash
# Sets up, checks the format, builds the fake EFA provider, runs the test suites and, as root, what needs two hosts.
# Usage: test.sh [ARGUMENTS OF swift test]     for example: test.sh --filter WireTests
# With --filter the format is not checked, no hosts are made, and the C library and the Python module are not tested.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh" test
source "$here/common.sh"

case " $* " in
*" --filter "*) ;;
*) "$here/lint.sh" ;;
esac

say "building the fake EFA provider"
Tests/FakeEFA/build.sh .build/fake-efa
Tests/FakeCuda/build.sh .build/fake-cuda

# The suites that need the provider find it by these, and say so when they are unset: the engine's suites run on it as
# on every other provider, those of the command set it up for the command.
export MOONRAIL_FAKE_EFA="$root/.build/fake-efa"
export MOONRAIL_FAKE_CUDA="$root/.build/fake-cuda"
export FI_PROVIDER_PATH="$MOONRAIL_FAKE_EFA/prov"
# These two of the distribution's libfabric probe for hardware for seconds in every process.
export FI_PROVIDER='^psm,psm2'
export FAKE_EFA_NICS=4

# Runs the suites, one test at a time: most tests wait for other processes on the few threads that all tests share, and
# two cores have to do for the peers as well. The starts of tests go to the log only, and what failed is said once more
# at the end, where it is looked for.
suites() {
  local log=$root/.build/test-$1.log status=0
  shift
  swift test --no-parallel "$@" 2>&1 | tee "$log" | { grep --line-buffered -v '^◇ ' || true; } || status=$?
  if [ "$status" != 0 ]; then
    say "what failed (all of it: $log)"
    grep -A 8 'recorded an issue' "$log" | grep -v '^◇ ' || tail -n 40 "$log"
    return "$status"
  fi
}

say "swift test --no-parallel $*"
suites all "$@"

# The C library is a release build of everything, which is where its time goes; its tests take half a minute.
case " $* " in
*" --filter "*) ;;
*) "$here/c-library.sh" --test ;;
esac

# The engine's suites once more with the NICs of a p5: only the fabric with that number is new.
case " $* " in
*" --filter "*) filter=() ;;
*) filter=(--filter EngineTests) ;;
esac
export FAKE_EFA_NICS=16 MOONRAIL_TEST_FABRICS=efa
say "swift test --no-parallel --skip-build $* ${filter[*]}, on the fake EFA with $FAKE_EFA_NICS NICs"
suites "$FAKE_EFA_NICS-nics" --skip-build "$@" "${filter[@]}"

case " $* " in
*" --filter "*) ;;
*)
  "$here/test-python.sh"
  "$here/hosts.sh" --if-possible
  ;;
esac
