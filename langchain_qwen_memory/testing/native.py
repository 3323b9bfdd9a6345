"""Refusals in the words and shape of DashScope's own protocol, whose errors have neither `error` nor `type`."""

from typing import Any

from langchain_qwen_memory.testing.refusals import Refusal

_WORDS: dict[str | None, tuple[int, str, str | None]] = {
    None: (401, "InvalidApiKey", "No API-key provided."),
    "invalid_api_key": (401, "InvalidApiKey", "Invalid API-key provided."),
    "model_not_found": (400, "InvalidParameter", "Model not exist."),
    "invalid_parameter_error": (400, "InvalidParameter", None),
    "limit_requests": (429, "Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
    "limit_burst_rate": (429, "Throttling.BurstRate", None),
    "data_inspection_failed": (400, "DataInspectionFailed", None),
    "internal_error": (500, "InternalError", None),
}
"""The compatible protocol's code -> status, code and text here; None: the same text."""


class NativeRefusal(Refusal):
    """A refusal as DashScope's own protocol writes it."""

    def body(self, request_id: str) -> dict[str, Any]:
        """The error body."""
        return {"code": self.code, "message": self.message, "request_id": request_id}


def native(refusal: Refusal) -> Refusal:
    """The same refusal in DashScope's own protocol."""
    if isinstance(refusal, NativeRefusal):
        return refusal
    if (refusal.code, refusal.status) == ("insufficient_quota", 429):
        return NativeRefusal(429, "Throttling.AllocationQuota", refusal.message)
    status, name, text = _WORDS.get(refusal.code, (refusal.status, str(refusal.code), None))
    return NativeRefusal(status, name, text or refusal.message)
