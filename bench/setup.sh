#!/usr/bin/env bash
# Make the environments of the peers, and see to wrk; a lock that has not changed costs nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3.11}
# PyTorch for CPUs is on no public index but its own.
torch_wheels=https://download.pytorch.org/whl/cpu/torch/

say() { printf 'bench: %s\n' "$*" >&2; }

# Usage: program package
need() {
    command -v "$1" >/dev/null && return
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing $2"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$2" >/dev/null && return
    fi
    say "please install $2"
    return 1
}

install() {
    # --no-deps: the locks are complete, and requirements/gpu.txt leaves something out.
    "$1/bin/python" -m pip install --quiet --no-deps --require-hashes --requirement "$2" "${@:3}"
}

# Usage: environment lock
environment() {
    local sum
    sum=$(sha256sum <"$2")
    [[ -f $1/lock.sha256 && $(<"$1/lock.sha256") == "$sum" ]] && return
    say "making $1 from $2"
    "$python" -m venv --clear "$1"
    # Where what pip is configured with has no PyTorch for CPUs, PyTorch's own pages are asked.
    install "$1" "$2" 2>/dev/null || install "$1" "$2" --find-links "$torch_wheels"
    printf '%s\n' "$sum" >"$1/lock.sha256"
}

need wrk wrk
if nvidia-smi --list-gpus >/dev/null 2>&1; then
    environment .venv-bench bench/requirements-gpu.txt
    environment .venv-bench-ours requirements/gpu.txt
    exit
fi
environment .venv-bench bench/requirements.txt
if need java default-jre-headless; then
    environment .venv-bench-toolkit bench/toolkit.txt
else
    say "without Java, AWS's toolkit is left out"
fi
