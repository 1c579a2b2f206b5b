#!/usr/bin/env bash
# Check template.yaml: AWS's rules for templates (cfn-lint), and for what is safe (checkov).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# checkov asks for another boto3 than moto does, and so has an environment of its own; an unchanged lock costs nothing.
lock=requirements/deploy.txt
environment=.venv-deploy
sum=$(sha256sum <"$lock")
if [[ ! -f $environment/lock.sha256 || $(<"$environment/lock.sha256") != "$sum" ]]; then
    echo "Installing $lock in $environment"
    "${PYTHON:-python3.11}" -m venv --clear "$environment"
    # --no-compile: checkov imports little of it, and Python then compiles that.
    "$environment/bin/python" -m pip install --quiet --no-deps --no-compile --require-hashes --requirement "$lock"
    printf '%s\n' "$sum" >"$environment/lock.sha256"
fi

cfn-lint deploy/template.yaml
"$environment/bin/checkov" --config-file deploy/checkov.yaml
