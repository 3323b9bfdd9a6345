"""What reading a stream costs: 2,000 chunks through ChatQwen and through langchain_openai.ChatOpenAI, side by side.

The server is another process and sends the whole answer at once, so that only the reading is measured; the two take
turns, and each one's best run counts. Exits with 1 if ChatQwen costs more than 1.3 times what ChatOpenAI does.

    python benchmarks/stream_overhead.py
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from types import MappingProxyType

from langchain_openai import ChatOpenAI

from langchain_qwen_memory.chat_models import ChatQwen

CHUNKS = 2_000
ROUNDS = 12
LIMIT = 1.3
MODEL = "qwen-plus"


def stream(chunks: int = CHUNKS, *, thinking: bool = False) -> bytes:
    """A streamed answer in the service's form; with `thinking`, its first half is thinking."""
    deltas = [{"content": "", "role": "assistant"}]
    for i in range(chunks):
        thinks = thinking and i < chunks // 2
        deltas.append({"content": None, "reasoning_content": f"想{i} "} if thinks else {"content": f"词{i} "})
    events = [{"choices": [{"delta": delta, "index": 0, "finish_reason": None, "logprobs": None}]} for delta in deltas]
    events.append({"choices": [{"delta": {"content": ""}, "index": 0, "finish_reason": "stop", "logprobs": None}]})
    usage = {"prompt_tokens": 9, "completion_tokens": chunks, "total_tokens": chunks + 9}
    events.append({"choices": [], "usage": usage})
    common = {
        "object": "chat.completion.chunk",
        "created": 1770764942,
        "model": MODEL,
        "id": "chatcmpl-1",
        "usage": None,
    }
    lines = [f"data: {json.dumps(common | event, ensure_ascii=False)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers every request with the stream, by keep-alive."""

    protocol_version = "HTTP/1.1"
    answers = MappingProxyType({False: stream(), True: stream(thinking=True)})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = self.answers[bool(body.get("enable_thinking"))]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream;charset=utf-8")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def serve(pipe) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pipe.send(server.server_port)
    server.serve_forever()


@contextmanager
def server_elsewhere() -> Iterator[str]:
    """Runs the server in another process; yields its base URL."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/compatible-mode/v1"
    finally:
        process.terminate()


def best_of(readers: dict[str, Callable[[], int]], rounds: int = ROUNDS) -> dict[str, float]:
    """Runs the readers in turn; returns the fewest CPU seconds each took. CPU, for others may use this machine."""
    best = dict.fromkeys(readers, float("inf"))
    for _ in range(rounds):
        for name, read in readers.items():
            began = time.process_time()
            read()
            best[name] = min(best[name], time.process_time() - began)
    return best


def main() -> int:
    with server_elsewhere() as url:
        options = {"model": MODEL, "base_url": url, "api_key": "sk-local"}
        qwen = ChatQwen(**options)
        openai = ChatOpenAI(**options, stream_usage=True)
        expected = "".join(f"词{i} " for i in range(CHUNKS))
        for model in (qwen, openai):
            assert "".join(chunk.text for chunk in model.stream("go")) == expected
        seconds = best_of(
            {
                "ChatOpenAI": lambda: sum(1 for _ in openai.stream("go")),
                "ChatQwen": lambda: sum(1 for _ in qwen.stream("go")),
                "ChatQwen, half of it thinking": lambda: sum(1 for _ in qwen.stream("go", enable_thinking=True)),
            }
        )
    base = seconds["ChatOpenAI"]
    for name, spent in seconds.items():
        print(f"{name:32} {spent * 1000:7.1f} ms  {spent / CHUNKS * 1e6:6.1f} us a chunk  {spent / base:5.2f} x")
    ratio = max(spent for name, spent in seconds.items() if name != "ChatOpenAI") / base
    print(f"ratio {ratio:.2f}, limit {LIMIT}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
