#!/bin/bash
# Drives the Mooncake wrappers of real clients from PyPI, unmodified, over TCP between two processes of this host.
# Usage: test-clients.sh [--upstream] [CLIENT...]     CLIENT: sglang, vllm, lmcache, checkpoint_engine; none: all.
# --upstream: on upstream's engine instead of ours, for comparison.
# Downloads about 3 GB (the clients import torch), which are kept in .build/clients.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
"$here/setup.sh"
source "$here/common.sh"

clients=$root/.build/clients
upstream=
if [ "${1:-}" = --upstream ]; then
  upstream=1
  shift
fi

if [ ! -e "$clients/ready" ]; then
  say "installing the clients into $clients"
  rm -rf "$clients"
  python3 -m venv "$clients"
  pip=("$clients/bin/pip" install --quiet --disable-pip-version-check)
  # What the wrappers import; everything else that the frameworks ask for is for GPUs and models.
  "${pip[@]}" torch numpy numba orjson psutil pyzmq msgspec pydantic pybase64 requests transformers pillow tqdm aiohttp \
    fastapi ipython packaging cbor2 openai openai-harmony cachetools sortedcontainers loguru httpx prometheus_client \
    py-cpuinfo opentelemetry-api
  "${pip[@]}" --no-deps sglang==0.5.23 vllm==0.33.0 lmcache==0.5.6 checkpoint-engine==0.4.2
  touch "$clients/ready"
fi

"$clients/bin/pip" uninstall --quiet --yes moonrail mooncake-transfer-engine-non-cuda 2> /dev/null || true
if [ -n "$upstream" ]; then
  "$clients/bin/pip" install --quiet --disable-pip-version-check mooncake-transfer-engine-non-cuda==0.3.13.post1
  export MC_FORCE_TCP=1
else
  say "building and installing this engine"
  "$clients/bin/pip" install --quiet --disable-pip-version-check "$root"
fi
exec "$clients/bin/python" Tests/Clients/run.py "$@"
