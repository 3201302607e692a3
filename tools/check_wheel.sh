#!/usr/bin/env bash
# Installs a built wheel under other versions of Python and torch, one after the other, and runs the tests there.
#
#   tools/check_wheel.sh [WHEEL]      default: the one wheel in dist/ (make wheel)
#
# MATRIX    rows "interpreter torch-requirement", separated by commas
# REPORT    where the closing table is written, default out/check_wheel.txt
# PYTEST    further arguments of pytest
#
# PyPI's torch for Linux is a CUDA build, which loads on a machine without a GPU only if the CUDA libraries that it is
# linked with are there. Of its requirements, triton, cuda-bindings, cuSOLVER, NVRTC and NVTX are not needed for that.
# A row downloads 2 to 3 GB, takes about 4 GB of disk, and is deleted before the next.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
matrix=${MATRIX:-"python3.11 torch==2.10.0, python3.12 torch==2.11.0, python3.13 torch"}
report=${REPORT:-$root/out/check_wheel.txt}
wheel=$(realpath "${1:-$(echo "$root"/dist/*.whl)}")
[ -f "$wheel" ] || { echo "no wheel at $wheel: run make wheel, or name one" >&2; exit 1; }
mkdir -p "$(dirname "$report")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# The requirements of the torch in this environment, less what importing it can do without.
cat >"$work/needed.py" <<'PYTHON'
import importlib.metadata
import re

unneeded = ("triton", "cuda-bindings", "cusolver", "nvrtc", "nvtx")
for requirement in importlib.metadata.requires("torch"):
    name, extras, rest = re.match(r"([\w.-]+)(?:\[(.*?)\])?([^;]*)", requirement).groups()
    if "extra ==" in requirement or any(word in name for word in unneeded):
        continue
    kept = [extra for extra in (extras or "").split(",") if extra and extra not in unneeded]
    print(f"{name}[{','.join(kept)}]{rest}" if kept else name + rest)
PYTHON

# The tests leave the checkout, so that they find the installed package and nothing else.
mkdir "$work/checkout"
cp -r "$root/tests" "$root/bench" "$root/pyproject.toml" "$work/checkout"

install() { "$work/env/bin/python" -m pip install -q --no-cache-dir --disable-pip-version-check "$@"; }

# A chain of &&, because `set -e` is off wherever the outcome is asked for.
check() { # interpreter, torch-requirement
  "$1" -m venv "$work/env" &&
    install --no-deps "$2" &&
    "$work/env/bin/python" "$work/needed.py" >"$work/needed.txt" &&
    install -r "$work/needed.txt" numpy tqdm pytest hypothesis inferno-ai==0.0.5 &&
    install --no-deps "$wheel" &&
    cd "$work/checkout" &&
    "$work/env/bin/python" -c "$loaded" &&
    INFERNO_REQUIRE_NATIVE=1 "$work/env/bin/python" -m pytest -q -p no:cacheprovider ${PYTEST:-}
}

loaded='
import inferno_cuda, torch
print("torch", torch.__version__, "and", inferno_cuda.__file__)
assert "site-packages" in inferno_cuda.__file__
'

failed=0
rows=()
IFS=, read -ra pairs <<<"$matrix"
for pair in "${pairs[@]}"; do
  read -r interpreter requirement <<<"$pair"
  echo "== $interpreter, $requirement"
  if ! "$interpreter" -c 'import venv' >/dev/null 2>&1; then
    rows+=("$(printf '%-12s %-15s skipped: no %s here' "$interpreter" "$requirement" "$interpreter")")
    continue
  fi
  start=$SECONDS
  outcome=passed
  (check "$interpreter" "$requirement") 2>&1 | tee "$work/log" || { outcome=FAILED; failed=1; }
  version=$("$work/env/bin/python" -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null || echo "$requirement")
  rows+=("$(printf '%-12s torch %-14s %s in %d s: %s' "$interpreter" "$version" "$outcome" $((SECONDS - start)) "$(tail -n 1 "$work/log")")")
  rm -rf "$work/env"
done

{
  echo "$(basename "$wheel"), $(date -u +%Y-%m-%d)"
  printf '%s\n' "${rows[@]}"
} | tee "$report"
exit $failed
