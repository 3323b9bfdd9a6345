"""Several turns over pictures: they stay in the thread, and later questions refer to them. With a key Qwen-VL looks.

The pictures are made here, so that the example needs no file: two plain PNGs, one red and one blue.
"""

import base64
import struct
import zlib

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import ChatQwen, SummaryBufferMemory, create_chat_graph, read_reports, run_turn
from langchain_qwen_memory.testing.first_try import local_if_no_key


def png(red: int, green: int, blue: int, side: int = 224) -> str:
    """A square PNG of one colour, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + bytes((red, green, blue)) * side) * side
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def shown(question: str, *pictures: str) -> HumanMessage:
    """A question with pictures, as LangChain writes it; `{"type": "image", "url": "https://..."}` works as well."""
    images = [{"type": "image", "base64": picture, "mime_type": "image/png"} for picture in pictures]
    return HumanMessage(content_blocks=[*images, {"type": "text", "text": question}])  # type: ignore[list-item]


local_if_no_key()
thread = {"configurable": {"thread_id": "t1"}}
with SqliteSaver.from_conn_string("picture_chat.db") as saver:
    graph = create_chat_graph(
        ChatQwen(model="qwen3-vl-plus"),
        memory=SummaryBufferMemory(trigger=("tokens", 8_000)),
        archive="picture_chat.db",
        checkpointer=saver,
    )
    for question in (
        shown("这张图是什么颜色？", png(220, 30, 30)),
        shown("和这一张相比呢？", png(30, 30, 220)),
        "第一张图是什么颜色？",
    ):
        state = run_turn(graph, question, thread)
        report = read_reports(graph, thread)[-1]
        print(f"> {question if isinstance(question, str) else question.text}\n{state['messages'][-1].text}")
        print(f"  {report['view_tokens']} tokens in the view, as the provider counts: {report['input_tokens']}")
