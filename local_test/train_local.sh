#!/usr/bin/env bash
# Train as SageMaker does: run IMAGE train over test_dir, a miniature /opt/ml.
set -euo pipefail

if [[ $# -ne 1 || $1 == -* ]]; then
    cat >&2 <<'EOF'
Usage: ./train_local.sh <image>

Trains on test_dir/input/data/training with the hyperparameters in test_dir/input/config/hyperparameters.json.
The model goes to test_dir/model, which is emptied first; why a job failed to test_dir/output/failure.
EOF
    exit 2
fi
image=$1
test_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/test_dir

# In the image, because what an earlier job left there belongs to root.
docker run --rm --volume "$test_dir:/opt/ml" "$image" sh -c 'rm -rf /opt/ml/model/* /opt/ml/output/*'
exec docker run --rm --volume "$test_dir:/opt/ml" "$image" train
