#!/bin/bash
# Builds the wheel, installs it in a clean virtual environment, and runs its tests there; the contract once more against
# upstream's wheel in an environment of its own.
# Usage: test-python.sh [ARGUMENTS OF pytest]
# MOONRAIL_PYTHON: the interpreter, default python3. MOONRAIL_TEST_CYCLES: engines to make and drop, default 300.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
"$here/wheel.sh"
source "$here/common.sh"

place=$root/.build/python
python=${MOONRAIL_PYTHON:-python3}
wheels=$place/$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
source "$here/wheels.sh"

environment upstream-tcp mooncake-transfer-engine-non-cuda==0.3.13.post1 numpy pytest
environment upstream-efa mooncake-transfer-engine-efa-non-cuda==0.3.13.post1 numpy
environment ours pytest numpy
say "installing the wheel"
"$wheels/ours/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
  "$place"/wheels/*.whl

Tests/FakeEFA/build.sh .build/fake-efa
export MOONRAIL_FAKE_EFA=$root/.build/fake-efa
export MOONRAIL_TEST_UPSTREAM_TCP=$wheels/upstream-tcp/bin/python
export MOONRAIL_TEST_UPSTREAM_EFA=$wheels/upstream-efa/bin/python
# The distribution's libfabric probes for hardware for seconds in every process with these two.
export FI_PROVIDER='^psm,psm2'
unset PYTHONPATH FI_PROVIDER_PATH MOONRAIL_TEST_FABRICS

say "pytest, on the installed wheel"
"$wheels/ours/bin/python" -m pytest -q -p no:cacheprovider "$@"
say "pytest, the contract on upstream's wheel"
"$wheels/upstream-tcp/bin/python" -m pytest -q -p no:cacheprovider Tests/Python/test_contract.py
