#!/usr/bin/env bash
# Build the image and push it to Amazon ECR, as <account>.dkr.ecr.<region>.amazonaws.com/<image>:<version> and :latest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'EOF'
Usage: ./build_and_push.sh <image> [cpu|gpu] [--dry-run]

  <image>     the name of the ECR repository, made if it is not there: text-classification
  cpu|gpu     which Dockerfile: Dockerfile.cpu (the default) or Dockerfile.gpu
  --dry-run   print the commands, run none of them

The region is AWS_REGION, else AWS_DEFAULT_REGION, else the AWS CLI's configured one; the account is that of your AWS
credentials. The tags are the version in container/classifier/__init__.py and "latest".
BASE_IMAGE, if set, is the image to build on instead of debian:bookworm-slim.
EOF
}

fail() {
    printf 'build_and_push.sh: %s\n' "$*" >&2
    exit 1
}

wrong_arguments() {
    printf 'build_and_push.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

run() {
    if [[ $dry_run == yes ]]; then
        printf '%s\n' "$*"
    else
        "$@"
    fi
}

log_in() {
    if [[ $dry_run == yes ]]; then
        echo "aws ecr get-login-password --region $region | docker login --username AWS --password-stdin $registry"
    else
        aws ecr get-login-password --region "$region" | docker login --username AWS --password-stdin "$registry"
    fi
}

make_repository() {
    local repository=(--region "$region" --repository-name "$image")
    if [[ $dry_run == yes ]]; then
        echo "aws ecr describe-repositories --region $region --repository-names $image || aws ecr create-repository ${repository[*]}"
    elif ! aws ecr describe-repositories --region "$region" --repository-names "$image" >/dev/null 2>&1; then
        aws ecr create-repository "${repository[@]}" >/dev/null
        echo "Made the ECR repository $image in $region."
    fi
}

find_region() {
    region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
    if [[ -z $region && $dry_run == no ]]; then
        region=$(aws configure get region || true)
    elif [[ -z $region ]]; then
        region=REGION
    fi
    [[ -n $region ]] || fail 'no AWS region: set AWS_REGION (for example: export AWS_REGION=us-east-1) or run "aws configure".'
}

find_account() {
    account=ACCOUNT
    [[ $dry_run == no ]] || return 0
    account=$(aws sts get-caller-identity --region "$region" --query Account --output text) ||
        fail 'AWS did not tell the account: are your credentials set and valid? Try "aws sts get-caller-identity".'
}

read_version() {
    version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' container/classifier/__init__.py)
    [[ -n $version ]] || fail 'container/classifier/__init__.py holds no line __version__ = "...".'
}

# Docker engines with containerd's image store may push manifests of OCI's media type, which CreateModel has refused.
warn_of_oci_manifest() {
    [[ $dry_run == no ]] || return 0
    local type
    type=$(aws ecr batch-get-image --region "$region" --repository-name "$image" --image-ids "imageTag=$version" \
        --query 'images[0].imageManifestMediaType' --output text 2>/dev/null) || return 0
    [[ $type == application/vnd.oci.* ]] || return 0
    echo "Warning: the image's manifest is of type $type. If SageMaker says \"Unsupported manifest media type\", push it again:" >&2
    local output="type=image,oci-mediatypes=false,push=true"
    echo "  docker buildx build ${build[*]:2} --provenance=false --output $output --tag $registry/$image:$version ." >&2
}

dry_run=no
words=()
for word in "$@"; do
    case $word in
        --help | -h) usage; exit 0 ;;
        --dry-run) dry_run=yes ;;
        -*) wrong_arguments "unknown option $word" ;;
        *) words+=("$word") ;;
    esac
done
((${#words[@]} >= 1)) || wrong_arguments 'the image name is missing'
((${#words[@]} <= 2)) || wrong_arguments "too many arguments: ${words[*]:2}"
image=${words[0]}
flavour=${words[1]:-cpu}
part='[a-z0-9]+([._-][a-z0-9]+)*'
[[ $image =~ ^$part(/$part)*$ ]] ||
    wrong_arguments "\"$image\" is no ECR repository name: lower-case letters, digits and . _ - / only, no registry, no tag"
[[ $flavour == cpu || $flavour == gpu ]] || wrong_arguments "\"$flavour\" is neither cpu nor gpu"

if [[ $dry_run == no ]]; then
    for program in aws docker; do
        command -v "$program" >/dev/null || fail "$program is not installed, or not on PATH."
    done
fi
read_version
find_region
find_account
registry=$account.dkr.ecr.$region.amazonaws.com
[[ $region != cn-* ]] || registry+=.cn

build=(docker build --file "Dockerfile.$flavour" --platform linux/amd64 --build-arg "VERSION=$version")
[[ -z ${BASE_IMAGE:-} ]] || build+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
# SageMaker takes a plain image manifest; buildx would otherwise wrap it in an index with attestations.
export BUILDX_NO_DEFAULT_ATTESTATIONS=1

make_repository
log_in
run "${build[@]}" --tag "$registry/$image:$version" --tag "$registry/$image:latest" .
run docker push "$registry/$image:$version"
run docker push "$registry/$image:latest"
warn_of_oci_manifest
[[ $dry_run == yes ]] || echo "Pushed $registry/$image:$version and :latest."
