#!/usr/bin/env bash
# Sets up the Python environment that the cross-checks use (transformers, SAELens, pyarrow, polars, ...).
# It lives in a cache folder outside the clone, because PyTorch is gigabytes; nothing is installed
# where the same requirements are already there. Prints the path of its interpreter on stdout.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
req="$here/test/python/requirements.txt"
home="${SAE_CARRY_PYTHON_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/sae-carry/python}"
stamp="$home/.requirements.sha256"
want="$(sha256sum "$req" | cut -d' ' -f1)"
if [ ! -x "$home/bin/python" ] || [ "$(cat "$stamp" 2>/dev/null || true)" != "$want" ]; then
  python3 -m venv "$home" >&2
  "$home/bin/python" -m pip install --quiet --upgrade pip >&2
  "$home/bin/python" -m pip install --quiet -r "$req" >&2
  printf '%s\n' "$want" >"$stamp"
fi
printf '%s\n' "$home/bin/python"
