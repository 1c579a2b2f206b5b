#!/usr/bin/env bash
# Serve as SageMaker does: run IMAGE serve over the model that train_local.sh made.
set -euo pipefail

if [[ $# -ne 1 || $1 == -* ]]; then
    cat >&2 <<'EOF'
Usage: [PORT=8080] ./serve_local.sh <image>

Serves test_dir/model at http://127.0.0.1:$PORT until you press Ctrl-C. Ask it with ./predict.sh.
EOF
    exit 2
fi
image=$1
model=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/test_dir/model

if [[ ! -e $model/labels_info.json ]]; then
    echo "serve_local.sh: there is no model in $model; make one with ./train_local.sh $image" >&2
    exit 1
fi
exec docker run --rm --publish "127.0.0.1:${PORT:-8080}:8080" --volume "$model:/opt/ml/model:ro" "$image" serve
