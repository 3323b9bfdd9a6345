"""What the service says when it refuses a request: status, code and text, in the compatible protocol's shape."""

from typing import Any

ALGORITHM = "<400> InternalError.Algo.InvalidParameter: "
"""The prefix of refusals that come from the model's own front, not from the gateway before it."""


class Refusal(Exception):  # noqa: N818
    """A request that gets an error body instead of an answer.

    Args:
        status: The HTTP status.
        code: The machine-readable code; None where the service leaves it null.
        message: The text, as the service words it.
        kind: The `type` field; the code itself for throttling and inspection.
        with_id: Whether the body carries a `chatcmpl-` id, as refusals of the model's front do.
    """

    def __init__(
        self,
        status: int,
        code: str | None,
        message: str,
        *,
        kind: str = "invalid_request_error",
        with_id: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.kind, self.with_id = status, code, message, kind, with_id

    def body(self, request_id: str) -> dict[str, Any]:
        """The error body; the key order differs between gateway and model front, as it does on the wire."""
        if not self.with_id:
            error = {"message": self.message, "type": self.kind, "param": None, "code": self.code}
            return {"error": error, "request_id": request_id}
        error = {"code": self.code, "param": None, "message": self.message, "type": self.kind}
        return {"error": error, "id": f"chatcmpl-{request_id}", "request_id": request_id}


def invalid(message: str, *, algorithm: bool = False) -> Refusal:
    """A 400 for a parameter; `algorithm` adds the prefix of the model's own front."""
    text = ALGORITHM + message if algorithm else message
    return Refusal(400, "invalid_parameter_error", text, with_id=True)


def key_missing() -> Refusal:
    """A 401 for a request without an Authorization header."""
    return Refusal(
        401,
        None,
        "You didn't provide an API key. You need to provide your API key in an Authorization header "
        "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY). ",
    )


def key_wrong() -> Refusal:
    """A 401 for a key that the server was not told to accept."""
    return Refusal(401, "invalid_api_key", "Incorrect API key provided. ")


def model_unknown(model: str) -> Refusal:
    """A 404 for a model that the catalogue does not hold."""
    text = f"The model `{model}` does not exist or you do not have access to it."
    return Refusal(404, "model_not_found", text)


def unserved(model: str) -> Refusal:
    """A 404 for a model that the compatible protocol does not serve."""
    return Refusal(404, "model_not_supported", f"Unsupported model `{model}` for OpenAI compatibility mode.")


def too_long(limit: int) -> Refusal:
    """A 400 for a prompt over the model's input limit, in tokens."""
    return invalid(f"Range of input length should be [1, {limit}]", algorithm=True)


def inspected(what: str) -> Refusal:
    """A 400 of the content inspection; `what` is "Input", "Output" or "Input or output"."""
    code = "data_inspection_failed"
    return Refusal(400, code, f"{what} data may contain inappropriate content.", kind=code, with_id=True)
