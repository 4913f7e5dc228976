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

# One test at a time: most of them wait for other processes on the few threads that all tests share, and two cores have
# to do for the peers as well.
say "swift test --no-parallel $*"
swift test --no-parallel "$@"

# The C library is a release build of everything, which is where its time goes; its tests take half a minute.
case " $* " in
*" --filter "*) ;;
*) "$here/c-library.sh" --test ;;
esac

# The engine's suites once more with the NICs of a p5: only the fabric with that number is new.
case " $* " in
*" --filter "*) suites=() ;;
*) suites=(--filter EngineTests) ;;
esac
export FAKE_EFA_NICS=16 MOONRAIL_TEST_FABRICS=efa
say "swift test --no-parallel --skip-build $* ${suites[*]}, on the fake EFA with $FAKE_EFA_NICS NICs"
swift test --no-parallel --skip-build "$@" "${suites[@]}"

case " $* " in
*" --filter "*) ;;
*)
  "$here/test-python.sh"
  "$here/hosts.sh" --if-possible
  ;;
esac
