#!/usr/bin/env bash
# Sets up the Python environment of the benchmarks' peers (bench/peers/requirements.txt) in a cache folder outside
# the clone: PyTorch's wheel brings its CUDA libraries along, about 6 GB on disk, though only the CPU is measured.
# Nothing is installed where the same requirements are already there. Prints the path of its interpreter on stdout.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
req="$here/bench/peers/requirements.txt"
home="${SAE_CARRY_BENCH_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/sae-carry/peers}"
stamp="$home/.requirements.sha256"
want="$(sha256sum "$req" | cut -d' ' -f1)"
if [ ! -x "$home/bin/python" ] || [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  python3 -m venv "$home" >&2
  # the list is complete; dictionary-learning would otherwise bring a second stack for reading language models
  "$home/bin/python" -m pip install --quiet --no-deps -r "$req" >&2
  printf '%s\n' "$want" >"$stamp"
fi
printf '%s\n' "$home/bin/python"
