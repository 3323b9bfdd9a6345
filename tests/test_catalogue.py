"""The catalogue: what is known of each model, and what is assumed of one it does not know."""

import json
import pickle
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from langchain_qwen_memory.catalogue import ModelInfo, model_info, model_names, price
from tests.shared import SHARED, needs_shared

ROOT = Path(__file__).parents[1]


def test_a_model_is_found_by_its_name():
    """qwen-plus has a window of a million tokens, thinks on request and takes text and tools."""
    info = model_info("qwen-plus")
    assert (info.known, info.family, info.context, info.max_output) == (True, "qwen-plus", 1_000_000, 32_768)
    assert (info.max_input, info.max_input_thinking, info.max_thinking) == (997_952, 995_904, 81_920)
    assert info.thinking == "on_request"
    assert info.tools
    assert info.json_mode
    assert not info.json_schema
    assert info.inputs == {"text"}


@pytest.mark.parametrize(
    ("snapshot", "family"),
    [
        ("qwen-plus-2025-12-01", "qwen-plus"),
        ("qwen-plus-latest", "qwen-plus"),
        ("qwen3.7-plus-2026-05-26", "qwen3.7-plus"),
        ("qwen3.8-max-0902", "qwen3.8-max"),
        ("qwen3-vl-plus-2025-12-19", "qwen3-vl-plus"),
        ("Qwen/Qwen3-32B", "qwen3-32b"),
        ("qwen3:8b", "qwen3-8b"),
        ("Qwen3.6-27B", "qwen3.6-27b"),
    ],
)
def test_a_snapshot_resolves_to_its_family(snapshot, family):
    """A dated snapshot, or the name of open weights, is its family with its own name."""
    info = model_info(snapshot)
    assert (info.known, info.name, info.family) == (True, snapshot, family)
    assert info.vocabulary == model_info(family).vocabulary
    assert info.template == model_info(family).template


def test_a_snapshot_keeps_what_is_its_own():
    """An early snapshot of qwen-plus has a smaller window and does not think; a fixed one thinks always."""
    early = model_info("qwen-plus-2025-01-25")
    assert (early.family, early.context, early.max_output, early.thinking) == ("qwen-plus", 131_072, 8_192, "never")
    assert model_info("qwen3.7-max-2026-05-17").thinking == "always"
    assert model_info("qwen3.7-max").thinking == "by_default"


def test_open_weights_on_ones_own_server_have_their_own_window_and_no_price():
    """The service's limits, prices and 400s are not those of a server of one's own."""
    served, own = model_info("qwen3-32b"), model_info("Qwen/Qwen3-32B")
    assert served.thinking_streams_only
    assert served.prices
    assert not own.thinking_streams_only
    assert not own.prices
    assert own.context == 40_960


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("qwen3.8-max", "by_default"),
        ("qwen3.7-plus", "by_default"),
        ("qwen3-32b", "by_default"),
        ("qwen3-max", "on_request"),
        ("qwen-turbo", "on_request"),
        ("qwen3-vl-plus", "on_request"),
        ("qwq-plus", "always"),
        ("qwen3-235b-a22b-thinking-2507", "always"),
        ("qwen3.8-2.4t-a95b", "always"),
        ("qwen-max", "never"),
        ("qwen3-max-2025-09-23", "never"),
        ("qwen3-coder-plus", "never"),
        ("qwen-vl-max", "never"),
    ],
)
def test_each_model_has_the_thinking_rule_of_the_guide(name, rule):
    """Four lists of the thinking guide: by default, on request, always, never."""
    assert model_info(name).thinking == rule


def test_special_rules_are_told():
    """Which must stream, which take one turn only, which read earlier thinking, which see and hear."""
    assert model_info("qwq-plus").streams_only
    assert model_info("qwen3-omni-flash").streams_only
    assert not model_info("qwen3.8-omni-flash").streams_only
    assert not model_info("qwen-vl-ocr-latest").multi_turn
    assert [model_info(f"qwen3.{n}-max").preserve_thinking for n in (7, 8)] == ["off", "on"]
    assert model_info("qwen-plus").preserve_thinking == "unsupported"
    assert model_info("qwen3.8-flash").reasoning_effort
    assert model_info("qwen3.7-plus").json_schema
    assert model_info("qwen3.5-omni-plus").audio_tokens_per_second == 7
    assert model_info("qwen3.7-plus").inputs == {"text", "image", "video"}
    assert (model_info("qvq-max").vision, model_info("qwen3.5-plus").vision) == ("28px", "32px")


def test_qwen_audio_is_known():
    """Its limits, that it hears, only over DashScope's own protocol, and no more than thirty seconds of a sound."""
    info, later = model_info("qwen-audio-turbo"), model_info("qwen-audio-turbo-latest")
    assert (info.context, info.max_input, info.max_output) == (8_000, 6_000, 1_500)
    assert (later.context, later.max_input, later.max_output) == (8_192, 6_144, 2_048)
    for name in ("qwen-audio-turbo", "qwen-audio-turbo-1204", "qwen2-audio-instruct", "qwen-audio-chat"):
        info = model_info(name)
        assert (info.inputs, info.outputs) == ({"audio", "text"}, {"text"})
        assert info.native_only
        assert info.multi_turn
        assert (info.audio_tokens_per_second, info.audio_max_seconds, info.prices) == (25, 30, {})
    assert [name for name in model_names() if model_info(name).native_only and "audio" not in name] == []


def test_an_unknown_model_works_with_safe_assumptions():
    """A name the table does not know is not an error: a small window, text only, tools allowed, no price."""
    info = model_info("qwen9-ultra")
    assert (info.known, info.name, info.family) == (False, "qwen9-ultra", "qwen9-ultra")
    assert (info.context, info.max_input, info.max_output) == (32_768, 28_672, 4_096)
    assert (info.thinking, info.tools, info.vision) == ("never", True, "none")
    assert price("qwen9-ultra") is None


def test_names_are_not_matched_by_pattern():
    """A name that only looks like a known one is unknown; the table alone decides."""
    assert not model_info("qwen-plus-2099-01-01").known
    assert not model_info("QWEN-PLUS").known
    assert not model_info("").known


def test_the_prompt_s_length_chooses_the_price():
    """All tokens of a request cost what its tier says; the region has its own list."""
    small, large = price("qwen-plus"), price("qwen-plus", input_tokens=200_000)
    assert (small.input, small.output, small.output_thinking, small.currency) == (0.8, 2, 8, "CNY")
    assert (large.input, large.output, large.output_thinking) == (2.4, 20, 24)
    assert price("qwen-plus", input_tokens=128_000) == small
    assert price("qwen-plus", input_tokens=9_000_000) == price("qwen-plus", input_tokens=1_000_000)
    assert price("qwen-plus", region="singapore").input == 2.936
    assert price("qwen-plus", region="atlantis") is None


def test_cached_tokens_have_their_price():
    """20 % for an implicit hit, 125 % to create and 10 % to hit an explicit one, with the published exceptions."""
    usual, special, none = price("qwen3.7-plus"), price("qwen3.8-max"), price("qwen3.5-plus")
    assert (usual.cache_hit, usual.cache_create, usual.cache_hit_explicit) == (0.4, 2.5, 0.2)
    assert (special.cache_hit, special.cache_create, special.cache_hit_explicit) == (1.5, 15, 1)
    assert none.cache_hit == none.input  # not on the list of implicit caches


def test_an_omni_model_has_prices_for_each_sense():
    """Sound and pictures cost their own price, spoken answers too."""
    cost = price("qwen3-omni-flash")
    assert (cost.input, cost.input_media, cost.input_audio, cost.output_audio) == (1.8, 3.3, 15.8, 62.6)


@pytest.mark.parametrize("name", model_names())
def test_every_row_holds_together(name):
    """Limits fit into the window, tiers rise, dates are dates, senses have their rules."""
    info = model_info(name)
    assert info.known
    assert 0 < info.max_input <= info.context
    assert 0 < info.max_input_thinking <= info.context
    assert 0 < info.max_output <= info.context
    assert info.inputs <= {"text", "image", "audio", "video"}
    assert ("image" in info.inputs) == (info.vision != "none")
    assert ("audio" in info.inputs) == (info.audio_tokens_per_second is not None)
    for tiers in info.prices.values():
        assert [tier.up_to for tier in tiers] == sorted({tier.up_to for tier in tiers})
        for tier in tiers:
            date.fromisoformat(tier.date)
            assert tier.currency in {"CNY", "USD"}
            assert tier.input > 0
            assert tier.output_thinking >= tier.output > 0


def test_facts_are_frozen_and_can_be_kept():
    """A fact cannot be changed by accident, is one object a name, and survives pickling."""
    info = model_info("qwen-plus")
    with pytest.raises(AttributeError):
        info.context = 1
    assert model_info("qwen-plus") is info
    assert pickle.loads(pickle.dumps(info)) == info
    assert {info: 1}[info] == 1
    assert isinstance(info, ModelInfo)


def test_the_table_is_read_when_first_asked():
    """Importing the catalogue reads no file and loads nothing heavy."""
    code = (
        "import sys, langchain_qwen_memory.catalogue as c;"
        "assert c._table.cache_info().currsize == 0; assert 'tiktoken' not in sys.modules;"
        "assert not any(m.startswith(('langchain_core', 'openai', 'httpx')) for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_the_table_is_small():
    """The shipped file stays under 150 kB."""
    assert (ROOT / "langchain_qwen_memory/data/models.json").stat().st_size < 150_000


@pytest.mark.skipif(not (SHARED / "facts").is_dir(), reason=f"needs the collected model facts at {SHARED}/facts")
def test_the_script_makes_the_shipped_table(tmp_path):
    """The file in the package is what the script makes of the collected facts, nothing by hand."""
    code = "import sys, pathlib, make_catalogue as m; m.TARGET = pathlib.Path(sys.argv[2]);"
    code += "m.write(m.build(pathlib.Path(sys.argv[1])))"
    made = tmp_path / "models.json"
    subprocess.run([sys.executable, "-c", code, str(SHARED / "facts"), str(made)], check=True, cwd=ROOT / "scripts")
    assert made.read_text("utf-8") == (ROOT / "langchain_qwen_memory/data/models.json").read_text("utf-8")


@needs_shared
def test_every_chat_model_of_the_collection_is_known():
    """No entry of the collected facts is forgotten but those that do not chat."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import catalogue_facts
    finally:
        sys.path.pop(0)
    collected = {entry["model"] for entry in json.loads((SHARED / "facts/models.json").read_text("utf-8"))["models"]}
    assert collected - catalogue_facts.OTHER <= set(model_names())
    assert not catalogue_facts.OTHER & set(model_names())


@pytest.mark.parametrize(
    ("name", "family", "context"),
    [
        ("Qwen/Qwen3-32B-AWQ", "qwen3-32b", 40_960),
        ("Qwen/Qwen3-8B-GPTQ-Int4", "qwen3-8b", 40_960),
        ("Qwen3-8B-GGUF", "qwen3-8b", 40_960),
        ("qwen/qwen3-8b", "qwen3-8b", 40_960),
        ("qwen/qwen3-8b:free", "qwen3-8b", 40_960),
        ("qwen/qwen-2.5-72b-instruct", "qwen2-5-72b-instruct", 32_768),
        ("Qwen/Qwen2.5-7B-Instruct", "qwen2-5-7b-instruct", 32_768),
        ("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int8", "qwen2-5-7b-instruct", 32_768),
        ("qwen2.5:7b", "qwen2-5-7b-instruct", 32_768),
        ("qwen3-vl:8b", "qwen3-vl-8b-thinking", 262_144),
        ("Qwen/Qwen3.5-4B", "qwen3.5-27b", 262_144),
        ("qwen-plus-us", "qwen-plus", 1_000_000),
    ],
)
def test_weights_are_known_by_the_names_servers_give_them(name, family, context):
    """Packed smaller, by a router's small letters, or by Ollama's tags."""
    info = model_info(name)
    assert (info.known, info.family, info.context) == (True, family, context)
