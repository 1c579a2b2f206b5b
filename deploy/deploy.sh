#!/usr/bin/env bash
# Make or change the CloudFormation stack of template.yaml: the function is packaged and uploaded, the stack deployed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export AWS_PAGER=""

usage() {
    cat <<'END'
Usage: deploy/deploy.sh s3uniqueprefix=PREFIX IMAGE=IMAGE ModelDataUrl=s3://.../model.tar.gz [PARAMETER=VALUE...]

The parameters are those of template.yaml (deploy/README.md has a table). The stack is called as the prefix is. Where it is
there already, what is not given stays as it was. Where neither VpcId is given nor the stack has one, the region's
default network is taken.
The region is AWS_REGION, else AWS_DEFAULT_REGION, else the AWS CLI's configured one.
END
}

fail() {
    printf 'deploy.sh: %s\n' "$*" >&2
    exit 1
}

wrong_arguments() {
    printf 'deploy.sh: %s\n\n' "$*" >&2
    usage >&2
    exit 2
}

# How the stack is, and what of it decides about the network; nothing where there is no stack.
look_at_stack() {
    local of="Parameters[?ParameterKey=='%s'].ParameterValue | [0]"
    # shellcheck disable=SC2059  # the format is ours
    read -r status runs network < <(aws cloudformation describe-stacks --stack-name "$stack" --output text \
        --query "Stacks[0].[StackStatus, $(printf "$of" RunOn), $(printf "$of" VpcId)]" 2>/dev/null) || true
}

# What a first deployment left that failed can't be changed, only deleted; and buckets that are there can't be made.
clear_the_way() {
    local bucket
    case $status in
        ROLLBACK_COMPLETE | ROLLBACK_FAILED | REVIEW_IN_PROGRESS)
            aws cloudformation delete-stack --stack-name "$stack"
            aws cloudformation wait stack-delete-complete --stack-name "$stack"
            runs='' network=''
            ;;
        ?*) return ;;
    esac
    for bucket in "$stack-predict-bucket" "$stack-batch-results"; do
        ! aws s3api head-bucket --bucket "$bucket" >/dev/null 2>&1 || fail "the bucket $bucket is there, but the stack" \
            "$stack is not: take another s3uniqueprefix, or delete the bucket (deploy/README.md says how)."
    done
}

find_network() {
    runs=${given[RunOn]:-${runs:-batch}}
    if [[ $runs != batch || -n ${given[VpcId]:-} || $network == vpc-* ]]; then
        return
    fi
    [[ -z ${given[SubnetIds]:-}${given[SecurityGroupIds]:-} ]] || fail 'give VpcId=... too, the network of these subnets and groups'
    given[VpcId]=$(aws ec2 describe-vpcs --filters Name=is-default,Values=true --query 'Vpcs[0].VpcId' --output text)
    [[ ${given[VpcId]} == vpc-* ]] || fail 'the region has no default network: give VpcId=... and SubnetIds=...'
    given[SubnetIds]=$(aws ec2 describe-subnets --filters "Name=vpc-id,Values=${given[VpcId]}" Name=default-for-az,Values=true \
        --query "join(',', Subnets[].SubnetId)" --output text)
    [[ -n ${given[SubnetIds]} ]] || fail "the network ${given[VpcId]} has no default subnets: give VpcId=... and SubnetIds=..."
    echo "Network: ${given[VpcId]}, the region's default one."
}

# Put the function's code, and nothing that lies beside it, in a bucket, and write the template that names it there.
package() {
    local code_bucket=$stack-lambda-code new=no partition
    if ! aws s3api head-bucket --bucket "$code_bucket" >/dev/null 2>&1; then
        new=yes
        aws s3 mb "s3://$code_bucket" >/dev/null
    fi
    mkdir -p "$work/lambda/starter"
    cp lambda/starter/*.py "$work/lambda/starter"
    cp template.yaml "$work"
    aws cloudformation package --template-file "$work/template.yaml" --s3-bucket "$code_bucket" \
        --output-template-file "$work/packaged.yaml" >/dev/null
    [[ $new == yes ]] || return 0
    partition=$(cut -d: -f2 <<<"$caller")
    aws s3api put-bucket-policy --bucket "$code_bucket" --policy '{"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        "Resource": ["arn:'"$partition:s3:::$code_bucket"'", "arn:'"$partition:s3:::$code_bucket"'/*"]}]}'
}

((BASH_VERSINFO[0] >= 4)) || fail 'needs bash 4 or newer (on macOS: brew install bash)'
declare -A given=()
known=$(sed -n '/^Parameters:/,/^[^ ]/s/^  \([A-Za-z0-9]*\):$/\1/p' template.yaml)
for word in "$@"; do
    case $word in
        --help | -h) usage; exit 0 ;;
        ?*=*) given[${word%%=*}]=${word#*=} ;;
        *) wrong_arguments "\"$word\" is not PARAMETER=VALUE" ;;
    esac
done
for name in "${!given[@]}"; do
    grep -qxF -- "$name" <<<"$known" || wrong_arguments "template.yaml has no parameter \"$name\""
done
stack=${given[s3uniqueprefix]:-}
[[ -n $stack ]] || wrong_arguments 's3uniqueprefix=... is missing'
command -v aws >/dev/null || fail 'aws, the AWS CLI, is not installed, or not on PATH.'
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
[[ -n $region ]] || fail 'no AWS region: set AWS_REGION (for example: export AWS_REGION=us-east-1) or run "aws configure".'
export AWS_DEFAULT_REGION=$region
caller=$(aws sts get-caller-identity --query Arn --output text) ||
    fail 'AWS does not know you: are your credentials set and valid? Try "aws sts get-caller-identity".'

work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
status='' runs='' network=''
look_at_stack
clear_the_way
find_network
package
values=()
for name in "${!given[@]}"; do
    values+=("$name=${given[$name]}")
done
aws cloudformation deploy --template-file "$work/packaged.yaml" --stack-name "$stack" --capabilities CAPABILITY_IAM \
    --no-fail-on-empty-changeset --parameter-overrides "${values[@]}"
cat <<END
Drop a file:  aws s3 cp claims.csv s3://$stack-predict-bucket/
Find results: aws s3 ls --recursive s3://$stack-batch-results/
END
