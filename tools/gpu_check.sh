#!/usr/bin/env bash
# Checks inferno_cuda on this machine's GPU: tests, memory and race checkers, timings. Needs no network, ends in 8 minutes.
#
#   tools/gpu_check.sh [OUTDIR]       default: out/gpu_check; gets logs, bench.json, training.json,
#                                     plasticity.json, networks.json, summary.json and summary.txt
#
# PYTHON          the interpreter whose torch is used, default python3
# INFERNO_WHEEL   the wheel to test, default the first in .wheels/; without one the checkout is built
#
# Without a GPU it runs what can run, says what it left out, and exits with 0.
set -uo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
python=$(realpath -s "$(command -v "${PYTHON:-python3}")")
mkdir -p "${1:-$root/out/gpu_check}"
out=$(cd "${1:-$root/out/gpu_check}" && pwd)
rm -f "$out"/{install,build,info,check,tests,training,plasticity,networks,bench,memcheck,racecheck}.log "$out"/{training,plasticity,networks,bench,summary}.json "$out/summary.txt"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
failed=0
deadline=470

note() { # part, outcome, seconds, what it came to
  printf '%s\t%s\t%s\t%s\n' "$@" >>"$work/parts.tsv"
  printf '== %s: %s\n' "$1" "$2"
}

part() { # name, limit in seconds, command...
  local name=$1 limit=$2 start=$SECONDS rc=0 outcome
  shift 2
  if [ $((deadline - SECONDS)) -lt "$limit" ]; then limit=$((deadline - SECONDS)); fi
  if [ "$limit" -le 0 ]; then
    note "$name" "left out" 0 "no time left"
    failed=1
    return 1
  fi
  echo "== $name: at most $limit s"
  timeout "$limit" "$@" >"$out/$name.log" 2>&1 || rc=$?
  case $rc in
    0) outcome=ok ;;
    124) outcome="TIMED OUT" ;;
    *) outcome="FAILED ($rc)" ;;
  esac
  if [ "$rc" -ne 0 ]; then
    failed=1
    tail -n 40 "$out/$name.log"
  fi
  note "$name" "$outcome" $((SECONDS - start)) "$(grep -v '^\s*$' "$out/$name.log" | tail -n 1)"
  return "$rc"
}

summary() {
  "$python" - "$work/parts.tsv" "$out" "$gpu" <<'PYTHON'
import json
import platform
import sys
from pathlib import Path

import torch

parts = [line.split("\t") for line in Path(sys.argv[1]).read_text().splitlines()]
machine = {"gpu": sys.argv[3], "torch": torch.__version__, "python": platform.python_version()}
details = [{"part": a, "outcome": b, "seconds": int(c), "note": d} for a, b, c, d in parts]
text = json.dumps({**machine, "parts": details}, indent=2)
Path(sys.argv[2], "summary.json").write_text(text + "\n")
lines = [", ".join(f"{key} {value}" for key, value in machine.items())]
lines += [f"{name:<10} {outcome:<12} {seconds:>4} s  {what[:90]}" for name, outcome, seconds, what in parts]
Path(sys.argv[2], "summary.txt").write_text("\n".join(lines) + "\n")
PYTHON
  cat "$out/summary.txt"
}

gpu=$("$python" -c 'import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else "none")') || {
  echo "no torch in $python: set PYTHON" >&2
  exit 1
}

# The package goes to a folder of its own, first on the path, and the tests leave the checkout: neither the source tree
# nor another installation is tested by mistake.
wheel=${INFERNO_WHEEL:-$(find "$root/.wheels" -name '*.whl' 2>/dev/null | sort | head -n 1)}
pip=("$python" -m pip install -q --no-index --no-deps --no-compile --target "$work/site")
if [ -n "$wheel" ]; then
  part install 60 "${pip[@]}" "$wheel"
else
  part build 180 "${pip[@]}" --no-build-isolation "$root"
fi || { summary; exit 1; }
cp -r "$root/tests" "$root/bench" "$root/pyproject.toml" "$work"
cd "$work"
export PYTHONPATH=$work/site
part info 60 "$python" -m inferno_cuda info
grep -q "$work/site" <("$python" -c 'import inferno_cuda; print(inferno_cuda.__file__)') || {
  echo "another inferno_cuda than the one just installed is found first" >&2
  exit 1
}

if [ "$gpu" = none ]; then
  part check 300 "$python" -m inferno_cuda check --device cpu
  for name in tests training plasticity networks bench memcheck racecheck; do note "$name" "left out" 0 "no GPU here"; done
  summary
  echo "no GPU here: the CUDA tests, compute-sanitizer and the CUDA timings were left out"
  exit $failed
fi

part check 60 "$python" -m inferno_cuda check --device cuda --backend native

if "$python" -c 'import pytest' 2>/dev/null; then
  ignored=()
  if ! "$python" -c 'import hypothesis' 2>/dev/null; then
    for file in $(grep -l '^\(import\|from\) hypothesis' tests/*.py); do ignored+=("--ignore=$file"); done
    echo "no hypothesis here: ${ignored[*]#--ignore=} left out"
  fi
  INFERNO_REQUIRE_NATIVE=1 INFERNO_REQUIRE_CUDA=1 part tests 200 \
    "$python" -m pytest -q -m 'cuda and not slow' -p no:cacheprovider "${ignored[@]}"
else
  note tests "left out" 0 "no pytest here"
fi

part training 120 "$python" -m inferno_cuda bench --suite training --device cuda --quick --json "$out/training.json"
part plasticity 60 "$python" -m inferno_cuda bench --suite plasticity --device cuda --quick --json "$out/plasticity.json"
part networks 120 "$python" -m inferno_cuda bench --suite networks --device cuda --quick --json "$out/networks.json"
part bench 420 "$python" -m inferno_cuda bench --device cuda --quick --json "$out/bench.json"

sanitizer=$(command -v compute-sanitizer || echo "${CUDA_HOME:-/usr/local/cuda}/bin/compute-sanitizer")
if [ -x "$sanitizer" ]; then
  for tool in memcheck racecheck; do
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 part "$tool" 90 \
      "$sanitizer" --tool "$tool" --error-exitcode 9 "$python" -m inferno_cuda check --device cuda --backend native
  done
else
  for tool in memcheck racecheck; do note "$tool" "left out" 0 "no compute-sanitizer here"; done
fi

summary
exit $failed
