#!/usr/bin/env bash
# Make .venv-sdk2 and .venv-sdk3, the environments of v2.py and v3.py; a lock that has not changed costs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ $# -eq 0 ]]; then
    set -- 2 3
fi
for sdk in "$@"; do
    [[ $sdk == 2 || $sdk == 3 ]] || { echo "Usage: tests/sdk/setup.sh [2] [3]" >&2; exit 2; }
    lock=requirements/sdk$sdk.txt
    environment=.venv-sdk$sdk
    sum=$(sha256sum <"$lock")
    if [[ -f $environment/lock.sha256 && $(<"$environment/lock.sha256") == "$sum" ]]; then
        continue
    fi
    echo "Installing $lock in $environment"
    "${PYTHON:-python3.11}" -m venv --clear "$environment"
    # --no-deps: the lock is complete, and leaves out what requirements/sdk3.override names.
    # --no-compile: two programs import little of it, and Python then compiles that.
    "$environment/bin/python" -m pip install --quiet --no-deps --no-compile --require-hashes --requirement "$lock"
    printf '%s\n' "$sum" >"$environment/lock.sha256"
done
