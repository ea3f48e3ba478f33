#!/usr/bin/env bash
# LocalStack runs this as soon as it is ready. Makes the queues that pelton.yaml names.
set -euo pipefail

create_queue() {
    awslocal sqs create-queue --region us-east-1 --queue-name "$1" --attributes "${2:-{\}}"
}

create_queue orders-dead
create_queue orders-done
create_queue orders-failed
create_queue orders '{
    "VisibilityTimeout": "10",
    "RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dead\",\"maxReceiveCount\":\"3\"}"
}'
