"""What the documentation says about Qwen models only in prose: lists for make_catalogue.py.

Each list names its source: thinking guide, vision guide, omni guide, function-calling guide, context-cache
page (official Model Studio documentation, copies of May and September 2026); recordings (the service's own
usage figures); cards (the model cards and chat templates of the open weights).
"""

from typing import Any


def names(text: str) -> list[str]:
    """Splits a list written as words, which reads better than a page of quotes."""
    return text.split()


OTHER = frozenset(
    names(
        """gte-rerank-v2 multimodal-embedding-v1 qwen2.5-vl-embedding qwen3-rerank qwen3-vl-embedding
        qwen3-vl-rerank text-embedding-async-v1 text-embedding-async-v2 text-embedding-v1
        text-embedding-v2 text-embedding-v3 text-embedding-v4 tongyi-embedding-vision-flash
        tongyi-embedding-vision-plus qwen3-asr-flash qwen3-livetranslate-flash-realtime
        qwen-omni-turbo-realtime qwen-omni-turbo-realtime-latest qwen3-omni-flash-realtime
        qwen3.5-omni-flash-realtime qwen3.5-omni-plus-realtime qwen-deep-research"""
    )
)
"""Entries of the collection that do not answer on the chat protocols: embedding, rerank, websocket,
research agent."""

FAMILY = {
    "qwen-flash-2025-07-28": "qwen-flash",
    "qwen-long-latest": "qwen-long",
    "qwen-math-plus-0816": "qwen-math-plus",
    "qwen-math-plus-0919": "qwen-math-plus",
    "qwen-math-plus-latest": "qwen-math-plus",
    "qwen-omni-turbo-latest": "qwen-omni-turbo",
    "qwen-plus-0112": "qwen-plus",
    "qwen-plus-1220": "qwen-plus",
    "qwen-plus-2025-01-25": "qwen-plus",
    "qwen-plus-2025-04-28": "qwen-plus",
    "qwen-plus-2025-07-14": "qwen-plus",
    "qwen-plus-2025-07-28": "qwen-plus",
    "qwen-plus-2025-09-11": "qwen-plus",
    "qwen-plus-latest": "qwen-plus",
    "qwen-turbo-2024-11-01": "qwen-turbo",
    "qwen-turbo-2025-04-28": "qwen-turbo",
    "qwen-turbo-latest": "qwen-turbo",
    "qwen-vl-ocr-1028": "qwen-vl-ocr",
    "qwen-vl-ocr-latest": "qwen-vl-ocr",
    "qwen-vl-plus-latest": "qwen-vl-plus",
    "qwen2-5-omni-7b": "qwen2.5-omni-7b",
    "qwen3-coder-flash-2025-07-28": "qwen3-coder-flash",
    "qwen3-coder-plus-2025-07-22": "qwen3-coder-plus",
    "qwen3-max-2026-01-23": "qwen3-max",
    "qwen3-vl-235b-a22b": "qwen3-vl-235b-a22b-instruct",
    "qwen3-vl-30b-a3b": "qwen3-vl-30b-a3b-instruct",
    "qwen3.5-plus-2026-04-20": "qwen3.5-plus",
    "qwen3.7-flash-2026-07-15": "qwen3.7-flash",
    "qwen3.7-max-2026-05-20": "qwen3.7-max",
    "qwen3.7-max-2026-06-08": "qwen3.7-max",
    "qwen3.7-plus-2026-05-26": "qwen3.7-plus",
    "qwen3.8-max-0902": "qwen3.8-max",
    "qwen3.8-max-prime": "qwen3.8-max",
}
"""Snapshots and second names in the collection, and the model each belongs to."""

EXTRA_VARIANTS: dict[str, dict[str, Any]] = {
    "qwen3-max-2025-09-23": {"of": "qwen3-max", "thinking": "never"},
    "qwen3.7-max-2026-05-17": {"of": "qwen3.7-max", "thinking": "always"},
}
"""Snapshots that only the thinking guide names, because they think differently from their family."""

_QWEN_AUDIO: dict[str, Any] = {
    "context": 8_000,
    "max_input": 6_000,
    "max_output": 1_500,
    "inputs": ["audio", "text"],
    "outputs": ["text"],
    "tools": False,
    "json_mode": False,
    "json_schema": False,
    "thinking": "never",
    "thinking_streams_only": False,
    "streams_only": False,
    "reasoning_effort": False,
    "preserve_thinking": "unsupported",
    "multi_turn": True,
    "native_only": True,
    "vocabulary": "qwen-151k",
    "template": "hermes",
    "audio_tokens_per_second": 25.0,
    "audio_max_seconds": 30.0,
    "prices": {},
}
_QWEN_AUDIO_LATER: dict[str, Any] = {"context": 8_192, "max_input": 6_144, "max_output": 2_048}
EXTRA_MODELS: dict[str, dict[str, Any]] = {
    "qwen-audio-turbo": _QWEN_AUDIO,
    "qwen-audio-turbo-latest": {"of": "qwen-audio-turbo", **_QWEN_AUDIO_LATER},
    "qwen-audio-turbo-2024-12-04": {"of": "qwen-audio-turbo", **_QWEN_AUDIO_LATER},
    "qwen2-audio-instruct": _QWEN_AUDIO,
    "qwen-audio-chat": _QWEN_AUDIO,
}
"""Audio-understanding page (February 2026) and the reference of the OpenAI-compatible protocol, which does not take
Qwen-Audio: limits, 25 tokens a second, what is longer than 30 seconds is cut (a recording has 752 tokens for such a
sound). Free to try and not for sale, hence without a price. Models that the collections lack."""

EXTRA_ALIASES = {
    "qwen-audio-turbo-2024-08-07": "qwen-audio-turbo",
    "qwen-audio-turbo-0807": "qwen-audio-turbo",
    "qwen-audio-turbo-1204": "qwen-audio-turbo-2024-12-04",
    "qwen-plus-character-2025-11-06": "qwen-plus-character",
    "qwen-vl-max-2025-04-08": "qwen-vl-max",
    "qwen-vl-max-2025-08-13": "qwen-vl-max",
    "qwen-vl-max-latest": "qwen-vl-max",
    "qwen-vl-plus-2025-07-10": "qwen-vl-plus",
    "qwen-vl-plus-2025-08-15": "qwen-vl-plus",
    "qwen-max-latest": "qwen-max",
    "qwen-plus-us": "qwen-plus",
    "qwen-flash-us": "qwen-flash",
    "qwen3.5-flash-2026-02-23": "qwen3.5-flash",
    "qwen3.6-flash-2026-04-16": "qwen3.6-flash",
    "qwen2.5-14b-instruct": "qwen2-5-14b-instruct",
    "qwen2.5-32b-instruct": "qwen2-5-32b-instruct",
    "qwen2.5-72b-instruct": "qwen2-5-72b-instruct",
    "qwen2.5-7b-instruct": "qwen2-5-7b-instruct",
    "qwen2.5-coder-32b-instruct": "qwen2-5-coder-32b-instruct",
    "qwen2.5-coder-7b-instruct": "qwen2-5-coder-7b-instruct",
    "qwen2.5-vl-72b-instruct": "qwen2-5-vl-72b-instruct",
    "qwen2.5-vl-7b-instruct": "qwen2-5-vl-7b-instruct",
}
"""Other names in the documentation's pages on training, vision and migration."""

CONTEXT_OF_INPUT = {
    3_072: 4_096,
    10_000_000: 10_000_000,
    30_000: 38_192,
    30_720: 32_768,
    98_304: 131_072,
    129_024: 131_072,
    131_072: 131_072,
    258_048: 262_144,
    991_808: 1_000_000,
    995_904: 1_000_000,
    997_952: 1_000_000,
    1_000_000: 1_000_000,
}
"""The context window that goes with an input limit, for sources that give the latter only (console of May
2026)."""

LIMITS: dict[str, dict[str, int]] = {
    "qwen-vl-ocr-1028": {"context": 34_096},
    "qwen3-30b-a3b-thinking-2507": {"context": 131_072},
    "qwen3-235b-a22b-thinking-2507": {"context": 131_072, "max_input": 126_976, "max_output": 32_768},
    "qwen3-30b-a3b": {"max_thinking": 38_912},
    # No source gives these two: the limits of the family's open weights of the generation before are taken.
    "qwen3.8-27b": {"context": 262_144, "max_input": 260_096, "max_output": 65_536, "max_thinking": 262_144},
    "qwen3.8-2.4t-a95b": {
        "context": 262_144,
        "max_input": 260_096,
        "max_output": 65_536,
        "max_thinking": 262_144,
    },
}
"""Where the console contradicts itself (a context of 81,920 for an input of 126,976) or leaves out what it
says of a model's sister, where the thinking guide has a figure of its own, and where no source has a
limit."""

THINKING_WORDS = {
    None: "never",
    "no thinking": "never",
    "thinking-only": "always",
    "hybrid, ON by default": "by_default",
    "hybrid, ON by default (open-source), thinking requires streaming": "by_default",
    "hybrid, OFF by default (snapshots before 2025-04-28: none)": "on_request",
    "omni (3.8-omni: hybrid, ON by default per third-party note; 3.5-omni: not a thinking model)": "never",
}
"""The collection's words for the thinking guide's four lists."""

THINKING = {
    "qwen-plus-0112": "never",
    "qwen-plus-1220": "never",
    "qwen-plus-2025-01-25": "never",
    "qwen-turbo-2024-11-01": "never",
    "qwen3.8-omni-flash": "by_default",
}
"""Thinking guide: qwen-plus and qwen-turbo think from the snapshot 2025-04-28 on."""

THINKING_STREAMS_ONLY = frozenset(
    names(
        """qwen3-235b-a22b qwen3-32b qwen3-30b-a3b qwen3-14b qwen3-8b qwen3-235b-a22b-thinking-2507
        qwen3-30b-a3b-thinking-2507 qwen3-next-80b-a3b-thinking qwen3-vl-235b-a22b-thinking
        qwen3-vl-30b-a3b-thinking qwen3-vl-32b-thinking qwen3-vl-8b-thinking"""
    )
)
"""Thinking guide: open-weight Qwen3 answers a non-streaming call with 400 while it thinks. (Qwen3.5 and
later do not.)"""

STREAMS_ONLY = frozenset(
    names(
        """qwq-32b qwq-plus qvq-max qvq-plus qwen-omni-turbo qwen2.5-omni-7b qwen3-omni-flash
        qwen3.5-omni-flash qwen3.5-omni-plus"""
    )
)
"""Thinking guide (QwQ, QVQ) and omni guide; qwen3.8-omni-flash and the captioner answer without a stream
too."""

WHOLE_CHUNKS = frozenset(names("qwen-mt-plus qwen-mt-turbo"))
"""Translation API reference: with a stream these two send all that was translated so far each time, which cannot be
changed; qwen-mt-flash and qwen-mt-lite send pieces."""

REASONING_EFFORT = frozenset(names("qwen3.8-max qwen3.8-flash qwen3.8-27b qwen3.8-2.4t-a95b"))
"""Qwen 3.8 guide and the cards: low, medium or xhigh."""

PRESERVE_THINKING = dict.fromkeys(
    names(
        """qwen3.6-max-preview qwen3.6-plus qwen3.6-flash qwen3.6-27b qwen3.6-35b-a3b qwen3.7-max
        qwen3.7-max-preview qwen3.7-plus qwen3.7-flash qwen3.8-omni-flash"""
    ),
    "off",
) | dict.fromkeys(names("qwen3.8-max qwen3.8-flash qwen3.8-27b qwen3.8-2.4t-a95b"), "on")
"""Thinking guide of September 2026, and the cards for the open weights; the server's default when nothing
is sent."""

JSON_SCHEMA = frozenset(names("qwen3.7-plus qwen3.7-flash qwen3.7-max qwen3.8-max qwen3.8-flash"))
"""Structured-output page of September 2026."""

JSON_MODE = JSON_SCHEMA | frozenset(
    names(
        """qwen3.7-max-preview qwen3.8-27b qwen3.8-omni-flash qwen3-max-preview qwen3-coder-plus
        qwen3-coder-flash qwen2-5-72b-instruct qwen2-5-32b-instruct qwen2-5-14b-instruct
        qwen2-5-7b-instruct"""
    )
)
"""Structured-output page; for models the console of May 2026 does not list with that feature."""

NO_TOOLS = frozenset(names("qvq-max qwen-doc-turbo qwen-math-plus qwen-math-turbo qwen2-5-math-72b-instruct")) | {
    "qwen2-5-math-7b-instruct"
}
"""Function-calling guide: not on its list, though a third-party list says so."""

TOOLS = frozenset(
    names(
        """qwen3.7-flash qwen3.8-27b qwen3.8-2.4t-a95b qwen3.8-max qwen3.8-flash qwen3.8-omni-flash
        qwen3-max-preview qwen3-coder-next qwen3-235b-a22b-thinking-2507 qwen3-30b-a3b-thinking-2507
        qwen3.5-omni-plus qwen3.5-omni-flash"""
    )
)
"""Function-calling guide: the models of the families above, where no list of data names them."""

SINGLE_TURN = frozenset(
    names("qwen-vl-ocr qwen3-omni-30b-a3b-captioner qwen-mt-plus qwen-mt-flash qwen-mt-lite qwen-mt-turbo")
)
"""Vision, omni and translation guides: one user message a call; more are refused or not read."""

INPUTS = {name: ["text", "image", "video"] for name in ("qwen3.8-max", "qwen3.8-27b", "qwen3.8-2.4t-a95b")}
"""Vision guide: Qwen3.8 sees pictures and films; the list of data says only that it has vision."""

VOCABULARY_WORDS = {"qwen-151k": "qwen-151k", "qwen3.5-248k": "qwen-248k"}

TEMPLATE_OF_VOCABULARY = {"qwen-151k": "hermes", "qwen-248k": "qwen3.5"}
"""Cards: Qwen2.5 and Qwen3 show tools in Hermes form, Qwen3.5 and later in the XML form of Qwen3-Coder."""

TEMPLATE = {
    "qwen-max": "qwen-agent",
    **dict.fromkeys(names("qwen-turbo qwen3-235b-a22b qwen3-32b qwen3-30b-a3b qwen3-14b qwen3-8b"), "qwen3"),
    **dict.fromkeys(
        names(
            """qwen3-235b-a22b-thinking-2507 qwen3-30b-a3b-thinking-2507 qwen3-next-80b-a3b-thinking
        qwen3-vl-235b-a22b-thinking qwen3-vl-30b-a3b-thinking qwen3-vl-32b-thinking qwen3-vl-8b-thinking"""
        ),
        "qwen3-thinking",
    ),
    **dict.fromkeys(
        names(
            """qwen3-coder-plus qwen3-coder-flash qwen3-coder-next qwen3-coder-30b-a3b-instruct
        qwen3-coder-480b-a35b-instruct"""
        ),
        "qwen3-coder",
    ),
    **dict.fromkeys(names("qwen3.8-max qwen3.8-flash qwen3.8-27b qwen3.8-2.4t-a95b"), "qwen3.8"),
}
"""Recordings (qwen-max, qwen-turbo) and cards (the rest)."""

PICTURE_RULES: dict[str, dict[str, Any]] = {
    "28px": {
        "vision": "28px",
        "image_min_pixels": 4 * 28 * 28,
        "image_max_pixels": 1280 * 28 * 28,
        "image_max_pixels_high": 16384 * 28 * 28,
        "video_min_pixels": 128 * 28 * 28,
        "video_max_pixels": 768 * 28 * 28,
        "video_total_pixels": 65536 * 28 * 28,
        "video_max_frames": 512,
    },
    "32px": {
        "vision": "32px",
        "image_min_pixels": 4 * 32 * 32,
        "image_max_pixels": 1280 * 32 * 32,
        "image_max_pixels_high": 16384 * 32 * 32,
        "video_min_pixels": 4 * 32 * 32,
        "video_max_pixels": 768 * 32 * 32,
        "video_total_pixels": 65536 * 32 * 32,
        "video_max_frames": 512,
    },
}
PICTURE_RULES["32px-large"] = PICTURE_RULES["32px"] | {
    "image_min_pixels": 64 * 32 * 32,
    "image_max_pixels": 2560 * 32 * 32,
    "video_max_pixels": 640 * 32 * 32,
    "video_total_pixels": 131072 * 32 * 32,
    "video_max_frames": 2000,
}
PICTURE_RULES["32px-omni3"] = PICTURE_RULES["32px"] | {
    "video_min_pixels": 64 * 32 * 32,
    "video_total_pixels": 16384 * 32 * 32,
    "video_max_frames": 128,
}
PICTURE_RULES["32px-omni3.5"] = PICTURE_RULES["32px"] | {
    "image_min_pixels": 24 * 32 * 32,
    "video_min_pixels": 64 * 32 * 32,
    "video_max_pixels": 640 * 32 * 32,
    "video_total_pixels": 180224 * 32 * 32,
    "video_max_frames": 2048,
}
PICTURE_RULES["28px-omni"] = PICTURE_RULES["28px"] | {
    "video_total_pixels": 16384 * 28 * 28,
    "video_max_frames": 80,
}
"""Vision guide and omni guide: pixels per token, and the bounds a picture or film is scaled into."""

PICTURES = {
    **dict.fromkeys(names("qvq-max qvq-plus qwen2-5-vl-72b-instruct qwen2-5-vl-7b-instruct"), "28px"),
    **dict.fromkeys(names("qwen-vl-max qwen-vl-plus qwen-vl-ocr"), "32px"),
    **dict.fromkeys(names("qwen-omni-turbo qwen2.5-omni-7b"), "28px-omni"),
    "qwen3-omni-flash": "32px-omni3",
    **dict.fromkeys(names("qwen3.5-omni-plus qwen3.5-omni-flash qwen3.8-omni-flash"), "32px-omni3.5"),
    **dict.fromkeys(
        names(
            """qwen3-vl-plus qwen3-vl-flash qwen3-vl-235b-a22b-instruct qwen3-vl-235b-a22b-thinking
        qwen3-vl-30b-a3b-instruct qwen3-vl-30b-a3b-thinking qwen3-vl-32b-instruct qwen3-vl-32b-thinking
        qwen3-vl-8b-instruct qwen3-vl-8b-thinking qwen3.5-plus qwen3.5-flash qwen3.5-397b-a17b
        qwen3.5-122b-a10b qwen3.5-35b-a3b qwen3.5-27b qwen3.6-plus qwen3.6-flash qwen3.6-35b-a3b
        qwen3.6-27b qwen3.7-plus qwen3.7-flash qwen3.8-max qwen3.8-flash qwen3.8-27b qwen3.8-2.4t-a95b"""
        ),
        "32px-large",
    ),
}
"""Vision guide: which rule each model follows."""

AUDIO_RATE = {
    "qwen-omni-turbo": 25.0,
    "qwen2.5-omni-7b": 25.0,
    "qwen3-omni-flash": 12.5,
    "qwen3-omni-30b-a3b-captioner": 12.5,
    "qwen3.5-omni-plus": 7.0,
    "qwen3.5-omni-flash": 7.0,
    "qwen3.8-omni-flash": 7.0,
}
"""Omni guide: input tokens per second of sound; less than a second counts as one."""

REGION = {"global_scope": "global"}

CACHE_LIST_OF_REGION = {
    "beijing": "beijing",
    "singapore": "singapore",
    "us": "singapore",
    "global_scope": "beijing",
}
"""The cache page lists models for Beijing and Singapore; the other two are taken to be as the one they are
priced like."""

CACHE_SHARES = {
    "qwen3.8-max": (1.5 / 12, 15 / 12, 1 / 12),
    "qwen3.8-max-0902": (1.5 / 12, 15 / 12, 1 / 12),
    "qwen3.8-flash": (0.1 / 0.8, 1.25 / 0.8, 0.1 / 0.8),
    "qwen3.8-omni-flash": (0.1 / 0.8, 1.25, 0.1),
}
"""Price page: what an implicit hit, an explicit creation and an explicit hit cost as shares of the input
price, where that is not 20 %, 125 % and 10 %."""

_QWEN3 = {"context": 40_960, "max_input": 32_768, "max_input_thinking": 32_768, "max_output": 32_768}
_LONG = {"context": 262_144, "max_input": 258_048, "max_input_thinking": 258_048, "max_output": 65_536}
_QWEN25 = {"context": 32_768, "max_input": 30_720, "max_input_thinking": 30_720, "max_output": 8_192}
_QWEN25_LONG = {"context": 131_072, "max_input": 129_024, "max_input_thinking": 129_024, "max_output": 8_192}
_PACKED = names("-FP8 -AWQ -GPTQ-Int4 -GPTQ-Int8 -GGUF")
"""What is added to the name of weights that are packed smaller."""
_QUIET = _LONG | {"thinking": "on_request"}
"""Cards: the smallest of Qwen3.5 think only if told to."""
_OPEN: dict[str, tuple[str, dict[str, Any], str]] = {
    # weights: (family, limits, names for Ollama)
    "Qwen3-0.6B": ("qwen3-8b", _QWEN3, "qwen3:0.6b"),
    "Qwen3-1.7B": ("qwen3-8b", _QWEN3, "qwen3:1.7b"),
    "Qwen3-4B": ("qwen3-8b", _QWEN3, "qwen3:4b"),
    "Qwen3-8B": ("qwen3-8b", _QWEN3, "qwen3 qwen3:latest qwen3:8b"),
    "Qwen3-14B": ("qwen3-14b", _QWEN3, "qwen3:14b"),
    "Qwen3-32B": ("qwen3-32b", _QWEN3, "qwen3:32b"),
    "Qwen3-30B-A3B": ("qwen3-30b-a3b", _QWEN3, "qwen3:30b-a3b qwen3:30b"),
    "Qwen3-235B-A22B": ("qwen3-235b-a22b", _QWEN3, "qwen3:235b-a22b qwen3:235b"),
    "Qwen3-30B-A3B-Instruct-2507": ("qwen3-30b-a3b-instruct-2507", _LONG, ""),
    "Qwen3-30B-A3B-Thinking-2507": ("qwen3-30b-a3b-thinking-2507", _LONG, ""),
    "Qwen3-235B-A22B-Instruct-2507": ("qwen3-235b-a22b-instruct-2507", _LONG, ""),
    "Qwen3-235B-A22B-Thinking-2507": ("qwen3-235b-a22b-thinking-2507", _LONG, ""),
    "Qwen3-4B-Instruct-2507": ("qwen3-30b-a3b-instruct-2507", _LONG, "qwen3:4b-instruct"),
    "Qwen3-4B-Thinking-2507": ("qwen3-30b-a3b-thinking-2507", _LONG, "qwen3:4b-thinking"),
    "QwQ-32B": ("qwq-32b", _QWEN3, "qwq qwq:latest qwq:32b"),
    "Qwen3-Next-80B-A3B-Instruct": ("qwen3-next-80b-a3b-instruct", _LONG, ""),
    "Qwen3-Next-80B-A3B-Thinking": ("qwen3-next-80b-a3b-thinking", _LONG, ""),
    "Qwen3-Coder-30B-A3B-Instruct": ("qwen3-coder-30b-a3b-instruct", _LONG, "qwen3-coder qwen3-coder:30b"),
    "Qwen3-Coder-480B-A35B-Instruct": ("qwen3-coder-480b-a35b-instruct", _LONG, "qwen3-coder:480b"),
    "Qwen3-VL-8B-Instruct": ("qwen3-vl-8b-instruct", _LONG, "qwen3-vl:8b-instruct"),
    "Qwen3-VL-32B-Instruct": ("qwen3-vl-32b-instruct", _LONG, "qwen3-vl:32b-instruct"),
    "Qwen3-VL-8B-Thinking": (
        "qwen3-vl-8b-thinking",
        _LONG,
        "qwen3-vl qwen3-vl:latest qwen3-vl:8b qwen3-vl:8b-thinking",
    ),
    "Qwen3-VL-32B-Thinking": ("qwen3-vl-32b-thinking", _LONG, "qwen3-vl:32b qwen3-vl:32b-thinking"),
    "Qwen2.5-0.5B-Instruct": ("qwen2-5-7b-instruct", _QWEN25, "qwen2.5:0.5b"),
    "Qwen2.5-1.5B-Instruct": ("qwen2-5-7b-instruct", _QWEN25, "qwen2.5:1.5b"),
    "Qwen2.5-3B-Instruct": ("qwen2-5-7b-instruct", _QWEN25, "qwen2.5:3b"),
    "Qwen2.5-7B-Instruct": ("qwen2-5-7b-instruct", _QWEN25, "qwen2.5 qwen2.5:latest qwen2.5:7b"),
    "Qwen2.5-14B-Instruct": ("qwen2-5-14b-instruct", _QWEN25, "qwen2.5:14b"),
    "Qwen2.5-32B-Instruct": ("qwen2-5-32b-instruct", _QWEN25, "qwen2.5:32b"),
    "Qwen2.5-72B-Instruct": ("qwen2-5-72b-instruct", _QWEN25, "qwen2.5:72b"),
    "Qwen2.5-Coder-7B-Instruct": ("qwen2-5-coder-7b-instruct", _QWEN25, "qwen2.5-coder qwen2.5-coder:7b"),
    "Qwen2.5-Coder-32B-Instruct": ("qwen2-5-coder-32b-instruct", _QWEN25, "qwen2.5-coder:32b"),
    "Qwen2.5-VL-7B-Instruct": ("qwen2-5-vl-7b-instruct", _QWEN25_LONG, "qwen2.5vl qwen2.5vl:7b"),
    "Qwen2.5-VL-72B-Instruct": ("qwen2-5-vl-72b-instruct", _QWEN25_LONG, "qwen2.5vl:72b"),
    "Qwen3.5-0.8B": ("qwen3.5-27b", _QUIET, "qwen3.5:0.8b"),
    "Qwen3.5-2B": ("qwen3.5-27b", _QUIET, "qwen3.5:2b"),
    "Qwen3.5-4B": ("qwen3.5-27b", _LONG, "qwen3.5:4b"),
    "Qwen3.5-9B": ("qwen3.5-27b", _LONG, "qwen3.5 qwen3.5:latest qwen3.5:9b"),
    "Qwen3.5-27B": ("qwen3.5-27b", _LONG, "qwen3.5:27b"),
    "Qwen3.5-35B-A3B": ("qwen3.5-35b-a3b", _LONG, "qwen3.5:35b qwen3.5:35b-a3b"),
    "Qwen3.5-122B-A10B": ("qwen3.5-122b-a10b", _LONG, "qwen3.5:122b qwen3.5:122b-a10b"),
    "Qwen3.5-397B-A17B": ("qwen3.5-397b-a17b", _LONG, ""),
    "Qwen3.6-27B": ("qwen3.6-27b", _LONG, "qwen3.6:27b"),
    "Qwen3.6-35B-A3B": ("qwen3.6-35b-a3b", _LONG, "qwen3.6:35b qwen3.6:35b-a3b"),
    "Qwen3.8-27B": ("qwen3.8-27b", _LONG, "qwen3.8:27b"),
    "Qwen3.8-2.4T-A95B": ("qwen3.8-2.4t-a95b", _LONG, ""),
}
"""Cards: the window of the weights as published, without YaRN, of which the prompt may not take all."""


def self_hosted(models: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Rows for open weights on one's own server: their family's without its prices and 400s; and names."""
    rows: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for weights, (family, limits, ollama) in _OPEN.items():
        if family not in models:
            raise SystemExit(f"catalogue_facts.py: {weights} belongs to {family}, which is no row")
        row = f"Qwen/{weights}"
        rows[row] = {"of": family, **limits, "thinking_streams_only": False, "prices": {}}
        packed = [f"{name}{how}" for name in (row, weights) for how in _PACKED]
        routed = f"qwen/{weights.lower()}"
        older = routed.replace("qwen/qwen2.5", "qwen/qwen-2.5")
        own_names = [*packed, weights, *ollama.split(), routed, f"{routed}:free", older, f"{older}:free"]
        names |= dict.fromkeys(own_names, row)
    return rows, names
