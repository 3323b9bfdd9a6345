"""`python -m langchain_qwen_memory` is `qwen-memory`."""

from langchain_qwen_memory.cli import app

if __name__ == "__main__":
    app()
