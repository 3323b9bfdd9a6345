"""A client for the local DashScope that speaks plain HTTP, so that tests see what is on the wire."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing import LocalDashScope


def messages(*texts: str | dict[str, Any]) -> list[dict[str, Any]]:
    """Texts of the user and whole messages as a request's messages."""
    return [{"role": "user", "content": text} if isinstance(text, str) else text for text in texts]


class Client:
    """Sends chat requests and reads answers, streamed or not."""

    def __init__(self, server: LocalDashScope) -> None:
        self.server = server
        self.http = httpx.Client(
            base_url=server.base_url, headers={"authorization": f"Bearer {server.api_key}"}, timeout=30
        )

    def post(self, *texts: str | dict[str, Any], model: str = "qwen-plus", **more: Any) -> httpx.Response:
        """The raw answer."""
        return self.http.post("/chat/completions", json={"model": model, "messages": messages(*texts), **more})

    def message(self, *texts: str | dict[str, Any], **more: Any) -> dict[str, Any]:
        """The message of a good answer."""
        answer = self.post(*texts, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["choices"][0]["message"]

    def say(self, *texts: str | dict[str, Any], **more: Any) -> str:
        """The text of a good answer."""
        return self.message(*texts, **more)["content"]

    def chunks(self, *texts: str | dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """The chunks of a streamed answer; that it ends with [DONE] is checked."""
        answer = self.post(*texts, stream=True, **more)
        assert answer.status_code == 200, answer.text
        events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
        assert events[-1] == "[DONE]"
        return [json.loads(one) for one in events[:-1]]

    def error(self, *texts: str | dict[str, Any], status: int = 400, **more: Any) -> dict[str, Any]:
        """The `error` object of a refused request."""
        answer = self.post(*texts, **more)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]


@pytest.fixture
def client(local_dashscope: LocalDashScope) -> Iterator[Client]:
    """A client of a local DashScope of this test's own."""
    made = Client(local_dashscope)
    with made.http:
        yield made


def tool(name: str, description: str, required: tuple[str, ...] | None = None, **fields: Any) -> dict[str, Any]:
    """A tool definition; all fields are required unless said otherwise."""
    parameters = {"type": "object", "properties": fields, "required": list(fields if required is None else required)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def said(text: str) -> dict[str, Any]:
    """A message of the assistant."""
    return {"role": "assistant", "content": text}


class NativeClient:
    """Sends chat requests of DashScope's own protocol and reads answers, streamed or not."""

    def __init__(self, server: LocalDashScope) -> None:
        self.server = server
        self.http = httpx.Client(headers={"authorization": f"Bearer {server.api_key}"}, timeout=30)

    def post(
        self, *texts: str | dict[str, Any], model: str = "qwen-plus", stream: bool = False, path: str = "", **more: Any
    ) -> httpx.Response:
        """The raw answer; further words are parameters."""
        task = path or ("text" if model_info(model).inputs == {"text"} else "multimodal")
        url = f"{self.server.native_url}/services/aigc/{task}-generation/generation"
        body = {"model": model, "input": {"messages": messages(*texts)}, "parameters": more}
        return self.http.post(url, json=body, headers={"X-DashScope-SSE": "enable"} if stream else {})

    def whole(self, *texts: str | dict[str, Any], **more: Any) -> dict[str, Any]:
        """The body of a good answer, as a message unless another form is asked for."""
        answer = self.post(*texts, **{"result_format": "message", **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def message(self, *texts: str | dict[str, Any], **more: Any) -> dict[str, Any]:
        """The message of a good answer."""
        return self.whole(*texts, **more)["output"]["choices"][0]["message"]

    def events(self, *texts: str | dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        """The bodies of a good stream; that each event is framed as the service frames it is checked."""
        answer = self.post(*texts, stream=True, **{"result_format": "message", "incremental_output": True, **more})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/event-stream;charset=UTF-8"
        framed = [one.split("\n") for one in answer.text.split("\n\n")]
        assert framed.pop() == [""]
        for number, lines in enumerate(framed, 1):
            assert lines[:3] == [f"id:{number}", "event:result", ":HTTP_STATUS/200"]
        return [json.loads(lines[3].removeprefix("data:")) for lines in framed]

    def error(self, *texts: str | dict[str, Any], status: int = 400, **more: Any) -> dict[str, Any]:
        """The body of a refused request."""
        answer = self.post(*texts, **more)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
def native(local_dashscope: LocalDashScope) -> Iterator[NativeClient]:
    """A client of DashScope's own protocol, of a local DashScope of this test's own."""
    made = NativeClient(local_dashscope)
    with made.http:
        yield made
