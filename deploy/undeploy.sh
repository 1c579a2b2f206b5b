#!/usr/bin/env bash
# Delete the CloudFormation stack of template.yaml, and its buckets with all that is in them where that is asked for.
set -euo pipefail
export AWS_PAGER=""

usage() {
    cat <<'END'
Usage: deploy/undeploy.sh s3uniqueprefix=PREFIX [data=delete]

Deletes the stack, and jobs that still run with it. The buckets PREFIX-predict-bucket and PREFIX-batch-results stay, with all
that is in them; data=delete empties and deletes them, too, old versions and all.
The region is AWS_REGION, else AWS_DEFAULT_REGION, else the AWS CLI's configured one.
END
}

fail() {
    printf 'undeploy.sh: %s\n' "$*" >&2
    exit 1
}

wrong_arguments() {
    printf 'undeploy.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

exists() {
    aws s3api head-bucket --bucket "$1" >/dev/null 2>&1
}

# Delete every version of every object, a thousand at a time, and then the bucket.
delete_bucket() {
    local some refused
    exists "$1" || return 0
    some=$(mktemp)
    while
        aws s3api list-object-versions --bucket "$1" --max-items 1000 --output json \
            --query '{Objects: [Versions, DeleteMarkers][][].{Key: Key, VersionId: VersionId}}' >"$some"
        ! grep -q '"Objects": \[\]' "$some"
    do
        refused=$(aws s3api delete-objects --bucket "$1" --delete "file://$some" --query 'Errors[0].Message' --output text)
        [[ $refused == None ]] || fail "an object in the bucket $1 can't be deleted: $refused"
    done
    rm -f "$some"
    aws s3api delete-bucket --bucket "$1"
    echo "Deleted the bucket $1."
}

stack='' data=keep
for word in "$@"; do
    case $word in
        --help | -h) usage; exit 0 ;;
        s3uniqueprefix=?*) stack=${word#*=} ;;
        data=delete) data=delete ;;
        *) wrong_arguments "\"$word\" is neither s3uniqueprefix=PREFIX nor data=delete" ;;
    esac
done
[[ -n $stack ]] || wrong_arguments 's3uniqueprefix=... is missing'
command -v aws >/dev/null || fail 'aws, the AWS CLI, is not installed, or not on PATH.'

[[ -z ${AWS_REGION:-} ]] || export AWS_DEFAULT_REGION=$AWS_REGION
aws cloudformation delete-stack --stack-name "$stack"
aws cloudformation wait stack-delete-complete --stack-name "$stack"
echo "Deleted the stack $stack."
delete_bucket "$stack-lambda-code"
for bucket in "$stack-predict-bucket" "$stack-batch-results"; do
    if [[ $data == delete ]]; then
        delete_bucket "$bucket"
    elif exists "$bucket"; then
        echo "Kept the bucket $bucket, with all that is in it."
    fi
done
