#!/usr/bin/env bash
# Make the model.tar.gz of an encoder for the model channel of jobs: see docs/encoders.md.
set -euo pipefail

usage() {
    cat >&2 <<'EOF'
Usage: [OUTPUT=folder] [PREPROCESSOR=handle] ./fetch_encoder.sh <encoder> [image]

  <encoder>   an id from docs/encoders.md (bge-small-en-v1.5, tensorflow-tc-electra-small-1, ...);
              or the owner/name of a Hugging Face repository, optionally with @revision;
              or the URL of a TensorFlow Hub SavedModel;
              or a folder with the files
  [image]     the image to run in; by default, the script runs in the repository's .venv (`make setup`)

Downloads the files, checks that they load and run, and writes model.tar.gz to OUTPUT (by default the current folder).
PREPROCESSOR is the handle of the preprocessor of a TensorFlow Hub BERT that is not listed. HF_ENDPOINT and
TFHUB_ENDPOINT are mirrors of https://huggingface.co and https://tfhub.dev.
EOF
    exit 2
}

[[ $# -ge 1 && $# -le 2 && -n $1 && $1 != -* ]] || usage
encoder=$1
image=${2:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$here/../tools/fetch_encoder.py
output=${OUTPUT:-.}
mkdir -p "$output"

if [[ -z $image ]]; then
    python=$here/../.venv/bin/python
    [[ -x $python ]] || { echo "fetch_encoder.sh: name an image, or run make setup first" >&2; exit 1; }
    exec "$python" "$program" "$encoder" --output "$output" --preprocessor "${PREPROCESSOR:-}"
fi

# Run as this user, so that the files written to the folder belong to this user.
options=(--rm --user "$(id -u):$(id -g)" --env HOME=/tmp --env PYTHONPATH=/opt/program
    --env HF_ENDPOINT --env TFHUB_ENDPOINT --env HTTPS_PROXY --env HTTP_PROXY --env NO_PROXY
    --volume "$(cd "$output" && pwd):/output" --volume "$(cd "$here/../tools" && pwd)/fetch_encoder.py:/opt/fetch_encoder.py:ro")
if [[ -d $encoder ]]; then
    folder=$(cd "$encoder" && pwd)
    encoder=/input/$(basename "$folder")
    options+=(--volume "$folder:$encoder:ro")
fi
exec docker run "${options[@]}" "$image" \
    python3 /opt/fetch_encoder.py "$encoder" --output /output --preprocessor "${PREPROCESSOR:-}"
