#!/usr/bin/env bash
# Serve as SageMaker does: run IMAGE serve with the model that train_local.sh trained.
set -euo pipefail

if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then
    cat >&2 <<'EOF'
Usage: [PORT=8080] ./serve_local.sh <image> [folder]

Serves the model that train_local.sh wrote to the folder (by default test_dir) at http://127.0.0.1:$PORT until you
press Ctrl-C. Send requests with ./predict.sh, or open the address in a browser.
EOF
    exit 2
fi
image=$1
model=$(cd "${2:-$(dirname "${BASH_SOURCE[0]}")/test_dir}" && pwd)/model

if [[ ! -e $model/labels_info.json ]]; then
    echo "serve_local.sh: there is no model in $model; train one with ./train_local.sh $*" >&2
    exit 1
fi
exec docker run --rm --publish "127.0.0.1:${PORT:-8080}:8080" --volume "$model:/opt/ml/model:ro" \
    --env SERVING_PAGE=on "$image" serve
