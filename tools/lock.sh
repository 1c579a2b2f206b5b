#!/usr/bin/env bash
# Renew requirements/*.txt from pyproject.toml and requirements/*.in; needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock() {
    uv pip compile --quiet --no-header --generate-hashes --no-emit-index-url --no-emit-find-links \
        --python-version 3.11 --python-platform x86_64-manylinux_2_31 "$@"
}

# Asked for and not needed: openvino's telemetry, which would call home, and what tokenizers downloads with.
unneeded=$(mktemp)
# tf-keras, tensorflow-hub and tensorflow-text ask for "tensorflow" (572 MB); on CPUs "tensorflow-cpu" serves them all.
unneeded_on_cpus=$(mktemp)
trap 'rm -f "$unneeded" "$unneeded_on_cpus"' EXIT
printf "%s ; sys_platform == 'never'\n" openvino-telemetry huggingface-hub >"$unneeded"
echo "tensorflow ; sys_platform == 'never'" >"$unneeded_on_cpus"
cat "$unneeded" >>"$unneeded_on_cpus"

lock --override "$unneeded_on_cpus" --extra cpu pyproject.toml --output-file requirements/cpu.txt
lock --override "$unneeded_on_cpus" --extra cpu --extra dev --constraints requirements/cpu.txt pyproject.toml \
    --output-file requirements/dev.txt
lock --override "$unneeded" --extra gpu pyproject.toml --output-file requirements/gpu.txt
lock requirements/sdk2.in --output-file requirements/sdk2.txt
lock --override requirements/sdk3.override requirements/sdk3.in --output-file requirements/sdk3.txt
lock requirements/deploy.in --output-file requirements/deploy.txt
# PyTorch for CPUs is on no public index but its own; for GPUs it is on the public one.
torch_wheels=${PIP_FIND_LINKS:-https://download.pytorch.org/whl/cpu/torch/}
lock --find-links "$torch_wheels" bench/requirements.in --output-file bench/requirements.txt
lock --find-links "$torch_wheels" bench/toolkit.in --output-file bench/toolkit.txt
lock --override bench/gpu.override bench/requirements.in --output-file bench/requirements-gpu.txt
