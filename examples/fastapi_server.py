"""A chat server: answers stream over SSE, one lock per thread, a clean end. With DASHSCOPE_API_KEY Qwen answers.

    pip install fastapi uvicorn
    python fastapi_server.py                    # http://127.0.0.1:8000; another port: python fastapi_server.py 8080
    curl -N http://127.0.0.1:8000/chat -H 'Authorization: Bearer demo-alice' -H 'Content-Type: application/json' \
         -d '{"thread": "t1", "message": "我对花生过敏"}'

Who the user is comes from the token, never from the request's body: memory keeps users apart by that id.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from pydantic import BaseModel, Field

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    astream_turn,
    atranscript,
    create_chat_graph,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

FILE = "server.db"
USERS = {"demo-alice": "alice", "demo-bob": "bob"}
"""Tokens and whose they are; your application asks its own accounts."""


class Asked(BaseModel):
    """What a client sends."""

    thread: str = Field(min_length=1, max_length=200)
    message: str = Field(min_length=1, max_length=100_000)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open model, saver and archive once; close them when the server stops."""
    local_if_no_key()
    model = ChatQwen(model="qwen-plus")
    async with AsyncSqliteSaver.from_conn_string(FILE) as saver, SqliteArchive(FILE) as archive:
        app.state.graph = create_chat_graph(
            model, memory=[SummaryBufferMemory(), RecallMemory()], archive=archive, checkpointer=saver
        )
        yield


def user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    """Whose request it is."""
    known = USERS.get(credentials.credentials)
    if known is None:
        raise HTTPException(401, "unknown token")
    return known


def thread_of(name: str, owner: str) -> dict[str, Any]:
    """A thread's config; the owner is part of its id, so that two users may choose the same name."""
    return {"configurable": {"thread_id": json.dumps([owner, name])}}


app = FastAPI(lifespan=lifespan)


@app.post("/chat")
async def chat(asked: Asked, request: Request, owner: Annotated[str, Depends(user)]) -> StreamingResponse:
    """Stream one turn. If the client leaves, the turn is finished and remembered all the same."""

    async def events() -> AsyncIterator[str]:
        graph, config = request.app.state.graph, thread_of(asked.thread, owner)
        try:
            async for chunk, _ in astream_turn(graph, asked.message, config, context=ChatContext(user_id=owner)):
                if isinstance(chunk, AIMessageChunk) and chunk.text:
                    yield sse("token", chunk.text)
            yield sse("end", "")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a stream that has begun can tell of an error only in its own words
            yield sse("error", type(error).__name__)

    return StreamingResponse(events(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@app.get("/transcript")
async def read(thread: str, request: Request, owner: Annotated[str, Depends(user)]) -> list[dict[str, str]]:
    """The newest turns of a thread."""
    turns = await atranscript(request.app.state.graph, thread_of(thread, owner), context=ChatContext(user_id=owner))
    return [{"type": message.type, "text": message.text} for turn in turns for message in turn.messages]


def sse(event: str, data: str) -> str:
    """One server-sent event; JSON keeps line breaks inside its line."""
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int([*sys.argv, "8000"][1]), timeout_graceful_shutdown=30)
