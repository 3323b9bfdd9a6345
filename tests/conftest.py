"""Set before anything of LangGraph is imported: checkpoints hold only what a strict reader takes back."""

import os

os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
