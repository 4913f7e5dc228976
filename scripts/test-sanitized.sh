#!/bin/bash
# Runs test suites under a sanitizer of the compiler.
# Usage: test-sanitized.sh thread|address [SUITE...]     for example: test-sanitized.sh thread TCPTests
#
# thread: memory that two threads touch in no order, one of them to write. address: memory that is not there, or not
# there any more. Without a SUITE: all that move bytes or take them from others, in about ten minutes. libfabric is not
# instrumented, so that what it writes is not seen; the same rails, credits and batches are, on the simulated fabric.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$here/common.sh"

kind=${1:-}
case $kind in
thread | address) shift ;;
*) fail "usage: test-sanitized.sh thread|address [SUITE...]" ;;
esac
suites=("$@")
if [ $# = 0 ]; then
  suites=(
    EngineFaultTests SimulatedFabricTests TransferEngineTests TCPTests SameHostTests CudaTests MemoryTests WireTests
    MetadataTests MetadataServerTests
  )
fi
for suite in "${suites[@]}"; do
  if [[ $suite != *Tests || ! -d Tests/$suite ]]; then fail "there is no suite '$suite'; they are named Tests/*Tests"; fi
done
"$here/setup.sh" test
require_swift

build=$root/.build/$kind-sanitizer
say "building with the $kind sanitizer into ${build#"$root/"}"
flags=()
if [ "$kind" = thread ]; then flags=(-Xswiftc -DTHREAD_SANITIZER); fi
swift build --build-tests --scratch-path "$build" --sanitize="$kind" "${flags[@]}"
Tests/FakeEFA/build.sh .build/fake-efa
Tests/FakeCuda/build.sh .build/fake-cuda
export MOONRAIL_FAKE_EFA="$root/.build/fake-efa" MOONRAIL_FAKE_CUDA="$root/.build/fake-cuda"
export FI_PROVIDER_PATH="$MOONRAIL_FAKE_EFA/prov" FI_PROVIDER='^psm,psm2' FAKE_EFA_NICS=4

rm -f "$build"/report.*
options="halt_on_error=0 exitcode=66 log_path=$build/report"
# It counts memory, of which a sanitizer takes most.
skipped=(--skip aPeerOf32NICsTakesLessThan16KiB)
preload=
if [ "$kind" = thread ]; then
  export TSAN_OPTIONS="$options report_thread_leaks=0"
  preload=$build/locks.so
  clang -shared -fPIC -O1 -Wall -Wextra -Werror -o "$preload" Tests/ThreadSanitizer/locks.c -ldl
  # Threads of Foundation end meanwhile, which allocate when the sanitizer has closed its books on them, and crash it.
  skipped+=(--skip SameHostTests.TransferTests/threads)
else
  # Who leaks in a test process is mostly the test.
  export ASAN_OPTIONS="$options detect_leaks=0"
fi

status=0
for suite in "${suites[@]}"; do
  say "$suite"
  LD_PRELOAD=$preload "$build/debug/moonrailPackageTests.xctest" --testing-library swift-testing --no-parallel \
    --filter "^$suite\\." "${skipped[@]}" > "$build/$suite.log" 2>&1 || status=1
  tail -n 1 "$build/$suite.log"
done

if compgen -G "$build/report.*" > /dev/null; then
  { grep -h '^SUMMARY\|^==[0-9]*==ERROR' "$build"/report.* || cat "$build"/report.*; } | sort | uniq -c
  fail "the sanitizer has reports: ${build#"$root/"}/report.*"
fi
[ "$status" = 0 ] || fail "tests have failed; ${build#"$root/"}/*Tests.log have what they said"
say "nothing found"
