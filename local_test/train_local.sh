#!/usr/bin/env bash
# Train as SageMaker does: run IMAGE train on test_dir, a miniature /opt/ml.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then
    cat >&2 <<'EOF'
Usage: ./train_local.sh <image> [folder]

Trains on input/data/training in the folder (by default test_dir) with the hyperparameters in
input/config/hyperparameters.json, if there is such a file. The model is written to model/, which is emptied first; if
the job fails, the reason is written to output/failure.
EOF
    exit 2
fi
image=$1
test_dir=$(cd "${2:-$(dirname "${BASH_SOURCE[0]}")/test_dir}" && pwd)

# Done in the image, because the files of an earlier job belong to root.
docker run --rm --volume "$test_dir:/opt/ml" "$image" sh -c 'rm -rf /opt/ml/model/* /opt/ml/output/*'
exec docker run --rm --volume "$test_dir:/opt/ml" "$image" train
