"""Runs a Python handler against the Lambda Runtime API. Standard library only, Python 3.8 or newer."""
import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime"
OWN_FILE = os.path.abspath(__file__)


class Fault(Exception):
    """An error that Lambda's runtime, not the function, gives its type."""

    def __init__(self, error_type, message, stack_trace=()):
        super().__init__(message)
        self.error_type = error_type
        self.stack_trace = list(stack_trace)


class ApiGone(Exception):
    """Whoever started this process has gone away."""


class RuntimeApi:
    """Calls the Runtime API. If it can't be reached, there is nobody left to work for."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=None)

    def next(self):
        response, body = self.call("GET", "/invocation/next")
        if response.status != 200:
            raise ApiGone("invocation/next answered %s: %r" % (response.status, body[:200]))
        return response.headers, body

    def respond(self, request_id, body):
        self.call("POST", "/invocation/%s/response" % request_id, body, "application/json")

    def fail(self, request_id, error):
        self.post_error("/invocation/%s/error" % request_id, error)

    def fail_init(self, error):
        self.post_error("/init/error", error)

    def post_error(self, path, error):
        body = json.dumps(error).encode()
        self.call("POST", path, body, "application/json", error["errorType"])

    def call(self, method, path, body=None, content_type=None, error_type=None):
        headers = {}
        if content_type:
            headers["Content-Type"] = content_type
        if error_type:
            headers["Lambda-Runtime-Function-Error-Type"] = error_type.encode("ascii", "replace").decode()
        try:
            return self.send(method, API + path, body, headers)
        except (OSError, http.client.HTTPException):
            # The connection may just have grown old; a second one shows.
            self.connection.close()
        try:
            return self.send(method, API + path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise ApiGone(str(error)) from error

    def send(self, method, path, body, headers):
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        return response, response.read()


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None


class Client:
    """The app that a mobile SDK speaks for."""

    FIELDS = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, values):
        for field in self.FIELDS:
            setattr(self, field, values.get(field))


class ClientContext:
    """What the caller sent beside the event. A part that wasn't sent is None."""

    def __init__(self, values):
        client = values.get("client")
        self.client = None if client is None else Client(client)
        self.custom = values.get("custom")
        self.env = values.get("env")


class Context:
    """What a handler gets as its second argument."""

    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = Identity()
        client_context = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = ClientContext(json.loads(client_context)) if client_context else None
        self.tenant_id = None
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(0, self._deadline_ms - int(time.time() * 1000))

    def log(self, message):
        sys.stdout.write(str(message))


class LogHandler(logging.Handler):
    """Lambda puts a handler on the root logger, so that functions only have to set a level."""

    request_id = ""

    def __init__(self):
        super().__init__()
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s"
        formatter = logging.Formatter(form, "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record):
        record.aws_request_id = self.request_id
        print(self.format(record), flush=True)


class Encoder(json.JSONEncoder):
    """Lambda also takes decimals, as numbers."""

    def default(self, value):
        if isinstance(value, decimal.Decimal):
            number = float(value)
            return int(number) if number.is_integer() and "." not in str(value) else number
        return super().default(value)


def load(name):
    """The function that _HANDLER names: package.module.function, with '.' or '/' between packages."""
    module_name, dot, function_name = name.rpartition(".")
    if not dot:
        raise Fault(
            "Runtime.MalformedHandlerName",
            "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name,
        )
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module_name, error)
        ) from error
    except SyntaxError as error:
        where = '  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)
        raise Fault(
            "Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module_name, error), [where]
        ) from error
    try:
        return getattr(module, function_name)
    except AttributeError as error:
        raise Fault(
            "Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function_name, module_name)
        ) from error


def describe(error, request_id=""):
    """Lambda's error object. The stack trace begins in the function, not here."""
    if isinstance(error, Fault):
        error_type, stack_trace = error.error_type, error.stack_trace
    else:
        frames = traceback.extract_tb(error.__traceback__)
        while frames and is_own(frames[0].filename):
            del frames[0]
        error_type, stack_trace = type(error).__name__, traceback.format_list(frames)
    return {
        "errorMessage": str(error),
        "errorType": error_type,
        "requestId": request_id,
        "stackTrace": stack_trace,
    }


def is_own(filename):
    return os.path.abspath(filename) == OWN_FILE or filename.startswith("<frozen importlib")


def report(error):
    print("[ERROR] %s: %s" % (error["errorType"], error["errorMessage"]))
    if error["stackTrace"]:
        print("Traceback (most recent call last):")
        for entry in error["stackTrace"]:
            print(entry.rstrip("\n"))
    sys.stdout.flush()


def marshal(result):
    if isinstance(result, bytes):
        return result
    try:
        return json.dumps(result, cls=Encoder).encode()
    except Exception as error:
        raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error) from error


def unmarshal(body):
    try:
        return json.loads(body)
    except Exception as error:
        raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error) from error


def serve(api, handler, log_handler):
    while True:
        headers, body = api.next()
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        log_handler.request_id = request_id
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            result = marshal(handler(unmarshal(body), Context(headers)))
        except Exception as error:  # SystemExit ends the process, as in Lambda
            description = describe(error, request_id)
            report(description)
            api.fail(request_id, description)
        else:
            api.respond(request_id, result)
        # Nothing of the last invocation may stay in memory while the next one is waited for.
        body = result = None


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")
    log_handler = LogHandler()
    logging.getLogger().addHandler(log_handler)
    # The interpreter may have put this file's folder first; the function's code belongs there.
    if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(OWN_FILE):
        del sys.path[0]
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    api = RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        try:
            handler = load(os.environ["_HANDLER"])
        except Exception as error:
            description = describe(error)
            report(description)
            api.fail_init(description)
            return 1
        serve(api, handler, log_handler)
    except ApiGone as error:
        print("the Runtime API is gone: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    # Not sys.exit: threads that the function has left behind must not keep the process alive.
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
