"""Tokens and money over a thread's turns, as the tables that Gradio's plots draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.web.money import cost, thought_in
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

    from langchain_qwen_memory.threads import TranscriptTurn
    from langchain_qwen_memory.web.desk import Past
    from langchain_qwen_memory.web.moments import Moment

TOKEN_SERIES: Mapping[str, str] = {"series_whole": "#b8b2a7", "series_view": "#2563eb", "series_cached": "#0d9488"}
"""Text of each series and its colour: of what a turn would have sent, what it sent, and what came from the cache."""
MONEY_SERIES: Mapping[str, str] = {"series_would": "#b8b2a7", "series_paid": "#2563eb"}


def colours(series: Mapping[str, str], words: Words) -> dict[str, str]:
    """Series -> colour, by the names that a language has for them."""
    return {words(key): colour for key, colour in series.items()}


def token_table(past: Past, words: Words) -> pd.DataFrame:
    """Columns turn, tokens, what: three rows a turn. Turns without a known view are left out."""
    rows: list[tuple[str, int, str]] = []
    for moment in past.moments:
        report = moment.report
        if not report["view_tokens"]:
            continue
        whole = max(report["view_tokens"], report["system_tokens"] + report["transcript_tokens"])
        sizes = {"whole": whole, "view": report["view_tokens"], "cached": report["cached_tokens"]}
        rows += [(str(report["turn"] + 1), size, words(f"series_{name}")) for name, size in sizes.items()]
    return _frame(rows, ("turn", "tokens", "what"))


def money_table(past: Past, *, model: str, region: str, words: Words) -> tuple[pd.DataFrame, str]:
    """Columns turn, money, what: sums since the first turn that is looked at; and the currency, "" if none is known."""
    rows: list[tuple[str, float, str]] = []
    paid = would = 0.0
    currency = ""
    for moment in past.moments:
        one = cost(moment.report, model=model, region=region, thought=thought(past.turns, moment))
        if one is None:
            continue
        paid, would, currency = paid + one.paid, would + one.would, one.currency
        turn = str(moment.report["turn"] + 1)
        rows += [(turn, round(would, 8), words("series_would")), (turn, round(paid, 8), words("series_paid"))]
    return _frame(rows, ("turn", "money", "what")), currency


def thought(turns: Sequence[TranscriptTurn], moment: Moment) -> bool:
    """Whether the turn of a moment has thinking, as far as it is among those read."""
    return any(thought_in(turn.messages) for turn in turns if turn.position == moment.report["turn"])


def _frame(rows: Sequence[tuple[Any, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))
