#!/usr/bin/env bash
# Measure, and write the tables: bench/run.sh [serving|images|training|growth|report [options]]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bench/setup.sh
python=.venv/bin/python
# Where there is a GPU, ours needs the TensorFlow that computes on it.
if [[ -x .venv-bench-ours/bin/python ]]; then
    python=.venv-bench-ours/bin/python
fi
if [[ $# -gt 0 ]]; then
    exec "$python" "bench/$1.py" "${@:2}"
fi
for part in serving images training growth report; do
    "$python" "bench/$part.py"
done
