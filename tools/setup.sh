#!/usr/bin/env bash
# Make .venv from the lock, and see to nginx; installs Debian packages where it may.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python3.11}

say() { printf 'setup: %s\n' "$*" >&2; }

debian_packages() {
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        say "installing $*"
        apt-get update -qq
        # No service is to start by itself: the programs here start their own.
        DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        say "please install: $*"
        exit 1
    fi
}

command -v "$python" >/dev/null || debian_packages python3 python3-venv python3-dev
"$python" -c 'import ensurepip, venv' 2>/dev/null || debian_packages python3-venv
# The training toolkit has a part in C.
command -v gcc >/dev/null || debian_packages gcc libc6-dev
include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[[ -f $include/Python.h ]] || debian_packages python3-dev
command -v nginx >/dev/null || debian_packages nginx-light

if [[ -L .venv ]]; then
    say ".venv is a link, and what it leads to would be emptied; take the link away"
    exit 1
fi
say "making .venv"
"$python" -m venv --clear .venv
# --no-deps: the lock is complete, and leaves out the second TensorFlow that tf-keras and others would bring.
.venv/bin/python -m pip install --quiet --no-deps --no-compile --require-hashes --requirement requirements/dev.txt
# pip would compile on one processor, and also a third of code that is never imported: the packages' own tests.
# A few packages have files for other versions of Python, which do not compile.
.venv/bin/python -m compileall -qq --workers 0 -x '/tests?/' .venv/lib || true
touch .venv/.ready
