"""Makes langchain_qwen_memory/data/models.json from two collections of published model facts.

    python scripts/make_catalogue.py [FOLDER]      # FOLDER holds models.json and docs_2026_09.json

What the collections hold as data (limits, prices, modalities) is read from them; what the service's
documentation says only in prose stands in `catalogue_facts.py` beside this file, each list with its source.
"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import catalogue_facts as facts

TARGET = Path(__file__).parents[1] / "langchain_qwen_memory" / "data" / "models.json"
DOCS, CONSOLE, LITELLM, MODELS_DEV = "2026-09-02", "2026-05-27", "2026-11-01", "2026-07-02"
"""From when each price source is; the documentation mirror shows no date but names a model of 2026-09-02."""

Row = dict[str, Any]


def thousands(text: str) -> int:
    """Reads '<=256K' or '<=1M' as the pricing page counts: K is 1,000."""
    number = text.removeprefix("<=")
    return int(number[:-1]) * {"K": 1_000, "M": 1_000_000}[number[-1]]


def first(*values: Any) -> Any:
    """Returns the first value neither missing nor zero; callers name the most official source first."""
    return next((value for value in values if value), None)


class Source:
    """One model's entry of the collection, with the newest documentation beside it."""

    def __init__(self, entry: Row, docs: Row) -> None:
        self.name: str = entry["model"]
        self.entry, self.docs = entry, docs
        self.console: Row = entry.get("beijing_console") or {}
        self.litellm: Row = entry.get("litellm_intl_usd") or {}
        self.intl: Row = entry.get("intl_models_dev_usd") or {}
        self.cn: Row = entry.get("cn_models_dev_usd") or {}

    def limits(self) -> Row:
        """Tokens: the documentation first, then the console, then the two third-party lists."""
        docs, console, lite = self.docs, self.console, self.litellm
        limit = first(self.intl.get("limit"), self.cn.get("limit")) or {}
        context = first(docs.get("ctx"), console.get("contextWindow"), limit.get("context"))
        most_in = first(docs.get("max_in"), console.get("maxInputTokens"), lite.get("max_input_tokens"))
        most_out = first(docs.get("max_out"), console.get("maxOutputTokens"), lite.get("max_output_tokens"))
        most_out = first(most_out, console.get("maxOutputTokensThinking"), limit.get("output"))
        row = {"context": context, "max_input": most_in, "max_output": most_out}
        row["max_input_thinking"] = console.get("maxInputTokensThinking")
        row["max_thinking"] = self.entry.get("max_cot_tokens")
        row |= facts.LIMITS.get(self.name, {})
        if not row["context"] and row["max_input"]:
            row["context"] = facts.CONTEXT_OF_INPUT[row["max_input"]]
        if row["context"] and not row["max_input"]:
            row["max_input"] = row["max_input_thinking"] or row["context"] - (row["max_output"] or 0)
        return {key: value for key, value in row.items() if value}

    def abilities(self) -> Row:
        """Modalities and features, from whichever official source lists them."""
        modal = first(self.intl.get("modalities"), self.cn.get("modalities")) or {}
        listed = self.console.get("inferenceMetadata") or {}
        inputs = first(self.docs.get("input"), facts.INPUTS.get(self.name), listed.get("request_modality"))
        outputs = first(self.docs.get("output"), listed.get("response_modality"), modal.get("output"), ["text"])
        features = set(self.console.get("features", ()))
        others = (self.intl, self.cn)
        tools = any(one.get("tool_call") for one in others) or self.litellm.get("supports_function_calling")
        tools = self.name in facts.TOOLS or (tools and self.name not in facts.NO_TOOLS)
        return {
            "inputs": sorted(part.lower() for part in first(inputs, modal.get("input"), ["text"])),
            "outputs": sorted(part.lower() for part in outputs),
            "tools": bool(tools) or "function-calling" in features,
            "json_mode": "structured-outputs" in features or self.name in facts.JSON_MODE,
            "json_schema": self.name in facts.JSON_SCHEMA,
        }

    def thinking(self) -> Row:
        """When the model thinks, as the thinking guide says, and what its thinking asks of a call."""
        rule = facts.THINKING_WORDS[self.entry.get("thinking_mode")]
        return {
            "thinking": facts.THINKING.get(self.name, rule),
            "thinking_streams_only": self.name in facts.THINKING_STREAMS_ONLY,
            "streams_only": self.name in facts.STREAMS_ONLY,
            **({"whole_chunks": True} if self.name in facts.WHOLE_CHUNKS else {}),
            "reasoning_effort": self.name in facts.REASONING_EFFORT,
            "preserve_thinking": facts.PRESERVE_THINKING.get(self.name, "unsupported"),
            "multi_turn": self.name not in facts.SINGLE_TURN,
        }

    def counting(self) -> Row:
        """What counting tokens needs: vocabulary, chat template and picture rules."""
        vocabulary = facts.VOCABULARY_WORDS[self.entry["tokenizer"]]
        template = facts.TEMPLATE.get(self.name) or facts.TEMPLATE_OF_VOCABULARY[vocabulary]
        row: Row = {"vocabulary": vocabulary, "template": template}
        if self.name in facts.PICTURES:
            row["pictures"] = facts.PICTURES[self.name]
        if self.name in facts.AUDIO_RATE:
            row["audio_tokens_per_second"] = facts.AUDIO_RATE[self.name]
        return row

    def prices(self) -> dict[str, list[Row]]:
        """Tiers per region; the documentation first, then console (Beijing) and third-party lists (USD)."""
        found = {facts.REGION.get(region, region): self._documented(region) for region in self.docs.get("price", ())}
        for region, modal in self.docs.get("price_modal", {}).items():
            found[region] = [self._modal(region, modal)]
        if "beijing" not in found and (tiers := self._console()):
            found["beijing"] = tiers
        if "singapore" not in found and (tiers := self._litellm() or self._models_dev(self.intl, "singapore")):
            found["singapore"] = tiers
        if "beijing" not in found and (tiers := self._models_dev(self.cn, "beijing")):
            found["beijing"] = tiers
        return found

    def _documented(self, region: str) -> list[Row]:
        tiers = []
        for end, price_in, price_out, *thinking in self.docs["price"][region]:
            up_to = thousands(end) if end.startswith("<=") else self.limits()["context"]
            row = {"up_to": up_to, "input": price_in, "output": price_out, "currency": "CNY", "date": DOCS}
            row |= {"output_thinking": thinking[0] if thinking else price_out} | self._cache(price_in, region)
            if "cache hit " in end:
                row["cache_hit"] = float(end.split("cache hit ")[1])
            tiers.append(row)
        return tiers

    def _modal(self, region: str, modal: Row) -> Row:
        text = first(modal.get("text_in"), modal.get("text_image_video_in"))
        out = first(modal.get("text_out"), modal.get("text_out(text-only in)"))
        row = {"up_to": self.limits()["context"], "input": text, "output": out, "output_thinking": out}
        row["input_media"] = first(modal.get("image_video_in"), text)
        row["output_media"] = first(modal.get("text_out(multimodal in)"), out)
        row["input_audio"] = modal["audio_in"]
        row["output_audio"] = modal["text+audio_out(audio only)"]
        return row | {"currency": "CNY", "date": DOCS} | self._cache(text, region)

    def _console(self) -> list[Row]:
        flat = self.console.get("price_cny_per_mtok") or {}
        tiers = self.console.get("price_cny_per_mtok_tiers") or ([flat] if "input_token" in flat else [])
        rows = []
        for tier in tiers:
            price_in, price_out = tier["input_token"], tier["output_token"]
            row = {
                "up_to": tier.get("to") or self.limits()["context"],
                "input": price_in,
                "output": price_out,
            }
            row["output_thinking"] = tier.get("thinking_output_token", price_out)
            row["cache_hit"] = tier.get("input_token_cache", price_in)
            row["cache_create"] = tier.get("input_token_cache_creation_5m", price_in)
            row["cache_hit_explicit"] = tier.get("input_token_cache_read", price_in)
            rows.append(row | {"currency": "CNY", "date": CONSOLE})
        return rows

    def _litellm(self) -> list[Row]:
        lite = self.litellm
        tiers = lite.get("tiered_pricing") or ([lite] if "input_cost_per_token" in lite else [])
        rows = []
        for tier in tiers:
            price_in, price_out = (round(tier[f"{side}_cost_per_token"] * 1_000_000, 6) for side in ("input", "output"))
            thinking = tier.get("output_cost_per_reasoning_token")
            row = {"up_to": int(tier.get("range", (0, self.limits()["context"]))[1]), "input": price_in}
            row |= {
                "output": price_out,
                "output_thinking": round(thinking * 1_000_000, 6) if thinking else price_out,
            }
            rows.append(row | {"currency": "USD", "date": LITELLM} | self._cache(price_in, "singapore"))
        return rows

    def _models_dev(self, listed: Row, region: str) -> list[Row]:
        cost = listed.get("cost") or {}
        if not cost.get("input"):
            return []
        row = {"up_to": self.limits()["context"], "input": cost["input"], "output": cost["output"]}
        row |= {
            "output_thinking": cost.get("reasoning", cost["output"]),
            "currency": "USD",
            "date": MODELS_DEV,
        }
        return [row | self._cache(cost["input"], region)]

    def _cache(self, price: float, region: str) -> Row:
        """Prices by the context-cache page's rule; the plain price where the model has no such cache."""
        where = facts.CACHE_LIST_OF_REGION[region]
        hit, create, explicit = facts.CACHE_SHARES.get(self.name, (0.2, 1.25, 0.1))
        implicit_here = where in self.entry.get("implicit_cache_regions", ())
        explicit_here = where in self.entry.get("explicit_cache_regions", ())
        shares = (
            hit if implicit_here else 1,
            create if explicit_here else 1,
            explicit if explicit_here else 1,
        )
        names = ("cache_hit", "cache_create", "cache_hit_explicit")
        return {name: round(price * share, 6) for name, share in zip(names, shares, strict=True)}

    def row(self) -> Row:
        """The whole row of a family."""
        return {
            **self.limits(),
            **self.abilities(),
            **self.thinking(),
            **self.counting(),
            "prices": self.prices(),
        }


def variant(source: Source, family: Source) -> Row:
    """What a snapshot says differently from its family; empty when it is another name for it."""
    mine, theirs = source.limits(), family.limits()
    if "max_input" in mine and "context" not in facts.LIMITS.get(source.name, {}):
        mine["context"] = facts.CONTEXT_OF_INPUT[mine["max_input"]]
    if "max_input" in mine and "max_input_thinking" in theirs:
        mine.setdefault("max_input_thinking", min(mine["max_input"], theirs["max_input_thinking"]))
    differing = {key: value for key, value in mine.items() if theirs.get(key) != value}
    if source.name in facts.THINKING:
        differing["thinking"] = facts.THINKING[source.name]
    same_console = source.console.get("price_cny_per_mtok_tiers") == family.console.get("price_cny_per_mtok_tiers")
    own = source.docs.get("price") or (source.console and not same_console)
    if own and source.docs.get("price") != family.docs.get("price"):
        official = {region: tiers for region, tiers in source.prices().items() if tiers[0]["date"] in (DOCS, CONSOLE)}
        differing["prices"] = family.prices() | official
    return differing


def build(folder: Path) -> Row:
    """The whole table: families, what single snapshots say differently, and the other names of each."""
    docs = json.loads((folder / "docs_2026_09.json").read_text(encoding="utf-8"))["models"]
    entries = json.loads((folder / "models.json").read_text(encoding="utf-8"))["models"]
    sources = {entry["model"]: Source(entry, docs.get(entry["model"], {})) for entry in entries}
    unknown = (set(facts.FAMILY) | set(facts.OTHER)) - set(sources)
    if unknown:
        raise SystemExit(f"catalogue_facts.py names models the collection has not: {sorted(unknown)}")
    models: dict[str, Row] = {}
    aliases: dict[str, str] = {}
    for name, source in sources.items():
        if name in facts.OTHER:
            continue
        family = facts.FAMILY.get(name)
        if family is None:
            models[name] = source.row()
        elif differing := variant(source, sources[family]):
            models[name] = {"of": family, **differing}
        else:
            aliases[name] = family
        for said in (source.docs.get("equivalent_snapshot"), source.console.get("equivalentSnapshot")):
            if said and said not in sources and name not in facts.OTHER:
                aliases[said] = name
    models |= facts.EXTRA_MODELS | facts.EXTRA_VARIANTS
    own_rows, own_names = facts.self_hosted(models)
    models |= own_rows
    aliases |= facts.EXTRA_ALIASES | own_names
    lost = set(aliases.values()) - set(models)
    if lost or set(aliases) & set(models):
        raise SystemExit(f"aliases of no row: {sorted(lost)}; aliases that are rows: {set(aliases) & set(models)}")
    return {"pictures": facts.PICTURE_RULES, "models": models, "aliases": aliases}


def write(table: Row) -> None:
    """One model a line: small, and a change of one model is one line of a diff."""
    rows = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(row, separators=(',', ':'))}" for name, row in table["models"].items()
    )
    rest = ",\n".join(f'"{key}":{json.dumps(table[key], separators=(",", ":"))}' for key in ("pictures", "aliases"))
    TARGET.write_text(f'{{{rest},\n"models":{{\n{rows}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2] / "shared" / "facts"
    table = build(where)
    write(table)
    size = TARGET.stat().st_size
    print(f"{len(table['models'])} rows, {len(table['aliases'])} other names, {size:,} bytes")
