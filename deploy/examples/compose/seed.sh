#!/usr/bin/env bash
# Makes, by the one Lambda endpoint that applications use, a function, the mapping of a queue to it, and a queue for reports
# of its asynchronous invocations. What is there already stays as it is.
#
#   AWS_ENDPOINT_URL          LocalStack: for queues
#   AWS_ENDPOINT_URL_LAMBDA   Pelton: for everything of Lambda
set -euo pipefail
cd "$(dirname "$0")"
: "${AWS_ENDPOINT_URL:?}" "${AWS_ENDPOINT_URL_LAMBDA:?}"
account=arn:aws:sqs:us-east-1:000000000000

# Named for each call, because not every release of the AWS CLI reads these variables for every service.
sqs() { aws --region us-east-1 --endpoint-url "$AWS_ENDPOINT_URL" sqs "$@"; }
lambda() { aws --region us-east-1 --endpoint-url "$AWS_ENDPOINT_URL_LAMBDA" lambda "$@"; }

for queue in invoices invoices-reports; do
    sqs create-queue --queue-name "$queue" >/dev/null
done

# Pelton passes this on to LocalStack, which will run the function.
if ! lambda get-function --function-name invoice >/dev/null 2>&1; then
    package=$(mktemp -d)
    trap 'rm -r "$package"' EXIT
    python3 -m zipfile -c "$package/invoice.zip" invoice.py
    lambda create-function --function-name invoice --runtime python3.12 --handler invoice.handler --timeout 10 \
        --role arn:aws:iam::000000000000:role/invoice --zip-file "fileb://$package/invoice.zip" >/dev/null
fi

# These two are Pelton's own.
mappings=$(lambda list-event-source-mappings --event-source-arn "$account:invoices" --function-name invoice \
    --query 'length(EventSourceMappings)')
if [ "$mappings" = 0 ]; then
    lambda create-event-source-mapping --event-source-arn "$account:invoices" --function-name invoice --batch-size 5 \
        --function-response-types ReportBatchItemFailures >/dev/null
fi
lambda put-function-event-invoke-config --function-name invoice --maximum-retry-attempts 1 --destination-config \
    "OnSuccess={Destination=$account:invoices-reports},OnFailure={Destination=$account:invoices-reports}" >/dev/null
echo "seeded: $AWS_ENDPOINT_URL_LAMBDA"
