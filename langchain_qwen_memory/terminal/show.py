"""Draws what memory did: the one-line meter, the bar of `/context`, the record of `/memory`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from langchain_qwen_memory.terminal.output import clean, short
from langchain_qwen_memory.terminal.say import Say, grouped

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report
    from langchain_qwen_memory.steps.thread import Thread
    from langchain_qwen_memory.terminal.figures import Figures

__all__ = ["COLOURS", "GLYPHS", "clean", "context", "failure", "meter", "money", "record", "short"]

COLOURS: Mapping[str, str] = {
    "system": "magenta",
    "summary": "yellow",
    "kept": "cyan",
    "recalled": "green",
    "question": "blue",
}
"""Of the view's parts, in the order in which they stand."""
GLYPHS: Mapping[str, str] = {"system": "█", "summary": "▓", "kept": "▒", "recalled": "◆", "question": "●"}
"""Without colours the parts are told apart by these."""
_NBSP = "\u00a0"
_EIGHTHS = "▏▎▍▌▋▊▉"
_UNKNOWN = "–"
_QUOTE_CELLS = 40
_METER_CELLS = 15
_BAR_CELLS = 60
_SYMBOLS = {"CNY": "¥", "USD": "$"}


def meter(seen: Figures, say: Say) -> Text:
    """One line: `turn 12  ▕█████████░░░░░░▏ 2 431 / 4 000   kept 5 · folded 7 · recalled 2 ...`."""
    full = min(_METER_CELLS, round(_METER_CELLS * seen.view / seen.scale)) if seen.scale else 0
    full = max(full, 1 if seen.view else 0)
    counts = [say("kept", n=seen.kept)]
    if seen.gone:
        counts.append(say("folded" if seen.folds else "left", n=seen.gone))
    if seen.recalled:
        counts.append(say("recalled", n=len(seen.recalled)))
    if seen.cached:
        counts.append(say("cached", n=grouped(seen.cached)))
    if seen.share_saved >= 0.005:  # noqa: PLR2004 - less is shown as 0 %
        counts.append(say("saved", n=round(100 * seen.share_saved)))
    if seen.folded_now:
        counts.append(say("folded_now", n=seen.folded_now))
    done = " · ".join(count.replace(" ", _NBSP) for count in counts)
    bar = f"▕{'█' * full}{'░' * (_METER_CELLS - full)}▏"
    sizes = f"{grouped(seen.view)} / {grouped(seen.scale)}"
    line = Text(f"{say('turn', turn=seen.turn)}  {bar} {sizes}   {done}", style="dim")
    if seen.errors:
        line.append(f" · {', '.join(seen.errors)}", style="red")
    return line


def context(
    seen: Figures, say: Say, *, quotes: Mapping[int, str] = MappingProxyType({}), colour: bool, width: int
) -> RenderableType:
    """The view of the last turn: a bar to scale, its parts with their tokens, counts, cache and money.

    Args:
        seen: The figures.
        say: The language.
        quotes: Number -> question of recalled turns, as far as they are known.
        colour: Whether parts are told apart by colours, or by glyphs.
        width: Cells of a line.
    """
    head = Text(say("context_title", turn=seen.turn), style="bold")
    head.append(f"  {grouped(seen.view)} / {grouped(seen.scale)}", style="default")
    scale = say("scale_planned" if seen.planned else "scale_limit", n=grouped(seen.scale), limit=grouped(seen.limit))
    head.append(f"  {scale}", style="dim")
    cells = min(_BAR_CELLS, width - 4)
    bar, parts = _bar(seen, colour=colour, cells=cells), _parts(seen, say, colour=colour)
    return Group(head, bar, parts, _facts(seen, say, quotes))


def _bar(seen: Figures, *, colour: bool, cells: int) -> Text:
    """Each part takes its share of the bar; edges are rounded, so that the parts together are to scale too."""
    whole = max(seen.scale, seen.view, 1)
    bar, at, filled, last = Text("▕"), 0, 0, ""
    for name, tokens in seen.parts.items():
        at += tokens
        edge = int(cells * at / whole)
        bar.append((GLYPHS[name] if not colour else "█") * (edge - filled), style=COLOURS[name] if colour else "")
        filled, last = edge, name if tokens else last
    if filled < cells and (eighths := int(8 * cells * at / whole) % 8 or int(bool(at and not filled))):
        bar.append(_EIGHTHS[eighths - 1], style=COLOURS.get(last, "") if colour else "")
        filled += 1
    bar.append("░" * (cells - filled), style="dim" if colour else "")
    return bar.append("▏")


def _parts(seen: Figures, say: Say, *, colour: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    table.add_column(justify="right", style="dim")
    rows = [*seen.parts.items(), ("free", max(0, seen.scale - seen.view))]
    for name, tokens in rows:
        if not tokens and name != "free":
            continue
        glyph = "░" if name == "free" else "█" if colour else GLYPHS[name]
        label = Text(f"  {glyph} ", style=COLOURS.get(name, "dim") if colour else "")
        label.append(say(f"part_{name}"), style="default")
        table.add_row(label, grouped(tokens), f"{100 * tokens / max(seen.scale, seen.view, 1):.1f} %")
    return table


def _facts(seen: Figures, say: Say, quotes: Mapping[int, str]) -> Table:
    table = _named_rows()
    counts = [say("kept", n=seen.kept), say("folded" if seen.folds else "left", n=seen.gone)]
    if seen.folded_now:
        counts.append(say("folded_now", n=seen.folded_now))
    recalled = say("recalled", n=len(seen.recalled))
    table.add_row(say("turns_line"), " · ".join([*counts, recalled]))
    if seen.recalled:
        found = [f"#{number} {short(quotes.get(number, ''), _QUOTE_CELLS)}" for number in sorted(seen.recalled)]
        table.add_row(say("part_recalled"), Text("\n".join(map(str.rstrip, found))))
    cache = say("cache_text", cached=grouped(seen.cached), sent=grouped(seen.sent))
    if seen.prefix is not None:
        cache += " · " + say("prefix_text", n=f"{100 * seen.prefix:.0f}")
    table.add_row(say("cache_line"), cache)
    if seen.saved is not None:
        amount = money(abs(seen.saved), seen.currency)
        label = say("dearer_line" if seen.saved < 0 else "saved_line")
        table.add_row(label, say("saved_text", money=amount, whole=grouped(seen.whole)))
    if seen.errors:
        table.add_row(say("errors_line"), Text(", ".join(seen.errors), style="red"))
    return table


def _named_rows() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    return table


def money(amount: float, currency: str, *, digits: int = 6) -> str:
    """An amount with its currency, without idle zeros."""
    return f"{_SYMBOLS.get(currency, currency + ' ')}{amount:.{digits}f}".rstrip("0").rstrip(".")


def record(thread: Thread, archived: int, reports: Sequence[Report], say: Say) -> RenderableType:
    """What memory keeps of a thread: where the window begins, what is archived, the summary, the newest reports."""
    summary = _summary(thread)
    window = int(max([slot.get("start", 0) for slot in thread.record.get("slots", {}).values()], default=0))
    total = thread.record.get("position", 0) + len(thread.turns)
    table = _named_rows()
    text = say("window_text", first=window + 1, turns=len(thread.turns), total=say.turns(total))
    table.add_row(say("window_line"), text)
    table.add_row(say("archive_line"), say("archive_text", n=archived))
    table.add_row(say("summary_line"), Text(clean(summary)) if summary else Text(say("summary_none"), style="dim"))
    title = Text(clean(say("memory_title", thread=thread.owner.thread)), style="bold")
    return Group(title, table, Text(), _reports(reports, say)) if reports else Group(title, table)


def _summary(thread: Thread) -> str:
    """The summary as the view shows it, with the facts that are kept beside it."""
    from langchain_qwen_memory.memory.ledger import with_ledger
    from langchain_qwen_memory.memory.text import is_chinese

    slot = thread.record.get("slots", {}).get("summary", {})
    text, ledger = str(slot.get("text", "")), tuple(slot.get("ledger", ()))
    return with_ledger(text, ledger, chinese=is_chinese(text or " ".join(ledger)))


def failure(error: BaseException) -> RenderableType:
    """An error as a panel: its kind above, its whole text inside, since that says what to do."""
    from rich.panel import Panel

    return Panel(
        Text(clean(str(error)).strip() or type(error).__name__),
        title=Text(type(error).__name__),
        title_align="left",
        border_style="red",
    )


def _reports(reports: Sequence[Report], say: Say) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("turn", "view", "kept", "folded", "recalled", "cached", "prefix"):
        table.add_column(say(f"col_{name}"), justify="right", no_wrap=True)
    if any(one["errors"] for one in reports):
        table.add_column(say("col_errors"), style="red")
    for one in reports:
        prefix = one.get("prefix_kept")
        known = bool(one["view_tokens"])  # not of a turn that was interrupted and tidied up later
        cells = [
            str(one["turn"] + 1),
            grouped(one["view_tokens"]) if known else _UNKNOWN,
            str(one["kept"]) if known else _UNKNOWN,
            str(one["folded"]),
            " ".join(f"#{quote['position'] + 1}" for quote in one["recalled"]) or "0",
            grouped(one["cached_tokens"]),
            f"{100 * prefix:.0f} %" if known and prefix is not None else _UNKNOWN,
        ]
        table.add_row(*cells, *([", ".join(one["errors"])] if one["errors"] else []))
    return table
