#!/usr/bin/env bash
# Send a file to the server that serve_local.sh started.
set -euo pipefail

usage() {
    cat >&2 <<'EOF'
Usage: [PORT=8080] ./predict.sh <payload> [content-type] [accept]

  <payload>        a file: see payloads/
  [content-type]   by default derived from the file's name: application/x-text for .txt, text/csv for .csv,
                   application/json for .json, application/jsonlines for .jsonl, application/x-image for
                   .jpg, .jpeg, .png, .bmp, .gif, .webp, .tif and .tiff
  [accept]         "application/json;verbose" (the default), application/json, application/jsonlines or text/csv

  ./predict.sh payloads/lines.csv text/csv text/csv
EOF
    exit 2
}

[[ $# -ge 1 && $# -le 3 && $1 != -* ]] || usage
payload=$1
[[ -f $payload && -r $payload ]] || { echo "predict.sh: cannot read the file $payload" >&2; exit 1; }

case $payload in
    *.txt) content_type=application/x-text ;;
    *.csv) content_type=text/csv ;;
    *.json) content_type=application/json ;;
    *.jsonl) content_type=application/jsonlines ;;
    *.jpg | *.jpeg | *.png | *.bmp | *.gif | *.webp | *.tif | *.tiff) content_type=application/x-image ;;
    *) content_type=${2:-} ;;
esac
[[ -n $content_type ]] || { echo "predict.sh: can't derive a content type from the name $payload; give one" >&2; usage; }

curl --silent --show-error --fail-with-body --max-time 60 \
    --header "Content-Type: ${2:-$content_type}" --header "Accept: ${3:-application/json;verbose}" \
    --data-binary "@$payload" "http://127.0.0.1:${PORT:-8080}/invocations"
echo
