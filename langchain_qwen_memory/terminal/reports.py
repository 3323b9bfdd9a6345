"""`qwen-memory report`: a line per turn that says what filled the window and what memory did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from langchain_qwen_memory.terminal.listing import plain_console
from langchain_qwen_memory.terminal.output import clean, write_json
from langchain_qwen_memory.terminal.place import Place
from langchain_qwen_memory.terminal.reading import Reader, open_reader
from langchain_qwen_memory.terminal.say import Say, grouped
from langchain_qwen_memory.terminal.screen import coloured
from langchain_qwen_memory.terminal.show import COLOURS, GLYPHS, money

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report

_UNKNOWN = "–"
_WIDE, _NARROW = 78, 56
"""Columns from which money has its place, and below which only the bar, kept, folded and recalled have."""
_BAR = 28
_LEAST_BAR = 8


def report(place: Place, user: str, thread: str, say: Say, *, limit: int, as_json: bool) -> None:
    """Show what memory did in the newest turns of a thread.

    Args:
        place: Where.
        user: Whose thread.
        thread: Which.
        say: The language.
        limit: Turns at most.
        as_json: A line of JSON a turn.
    """
    with open_reader(place, user, say) as reader:
        reader.check(thread)
        rows = _rows(reader, thread, limit)
    if as_json:
        write_json(rows)
        return
    console = plain_console()
    if not rows:
        console.print(Text(say("no_reports")))
        return
    console.print(drawn(rows, say, colour=coloured(console), width=console.width))


def _rows(reader: Reader, thread: str, limit: int) -> list[dict[str, Any]]:
    found = reader.reports(thread, limit)
    if not found:
        return []
    first, last = found[0]["turn"], found[-1]["turn"]
    asked = {one.position: one.messages[0] for one in reader.page(thread, before=last + 1, limit=last - first + 1)}
    return [row(one, _question_tokens(asked.get(one["turn"]))) for one in found]


def _question_tokens(question: Any) -> int:
    from langchain_core.messages import HumanMessage

    from langchain_qwen_memory.tokens import count_message

    return count_message(question) if isinstance(question, HumanMessage) else 0


def row(report: Report, question: int) -> dict[str, Any]:
    """A report as people and `--json` have it: turns from 1, the view by its parts.

    Args:
        report: Of a turn.
        question: Tokens of its question.
    """
    view, system = report["view_tokens"], report["system_tokens"]
    summary, recalled = report["summary_tokens"], report["recalled_tokens"]
    asked = min(question, max(0, view - system - summary - recalled))
    kept = max(0, view - system - summary - recalled - asked)
    found = [{**quote, "turn": quote["position"] + 1} for quote in report["recalled"]]
    for quote in found:
        del quote["position"]
    told: dict[str, Any] = {
        "turn": report["turn"] + 1,
        "at": report["at"],
        "view": view,
        "parts": {"system": system, "summary": summary, "kept": kept, "recalled": recalled, "question": asked},
        "limit": report["limit"],
        "kept": report["kept"],
        "folded": report["folded"],
        "recalled": found,
        "sent": report["input_tokens"],
        "cached": report["cached_tokens"],
        "answer": report["output_tokens"],
        "transcript": report["transcript_tokens"],
        "saved": report.get("saved"),
        "currency": report.get("currency"),
        "prefix_kept": report.get("prefix_kept"),
        "errors": report["errors"],
    }
    return told


def drawn(rows: Sequence[dict[str, Any]], say: Say, *, colour: bool, width: int) -> RenderableType:
    """The table, its legend and its sum.

    Args:
        rows: From `row`, at least one.
        say: The language.
        colour: Whether parts are told apart by colours, or by glyphs.
        width: Cells of a line.
    """
    scale = max(one["view"] for one in rows) or 1
    legend = Text(overflow="fold")
    for name in COLOURS:
        if any(one["parts"][name] for one in rows):
            legend.append("█ " if colour else f"{GLYPHS[name]} ", style=COLOURS[name] if colour else "")
            legend.append(f"{say(f'part_{name}')}  ")
    legend.append(say("full_bar", n=grouped(scale)), style="dim")
    return Group(legend, _table(rows, say, scale=scale, colour=colour, width=width), *_below(rows, say))


def _table(rows: Sequence[dict[str, Any]], say: Say, *, scale: int, colour: bool, width: int) -> Table:
    names = _columns(rows, width)
    cells = [{name: _cell(one, name) for name in names} for one in rows]
    widths = [max(_cells(say(f"col_{name}")), *(len(each[name]) for each in cells)) for name in names]
    bar = min(_BAR, max(_LEAST_BAR, width - sum(widths) - 2 * len(names) - 2))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names[:1]:
        table.add_column(say(f"col_{name}"), justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for name in names[1:]:
        table.add_column(say(f"col_{name}"), justify="right", no_wrap=True)
    for one, each in zip(rows, cells, strict=True):
        drawing = stacked(one["parts"], scale=scale, cells=bar, colour=colour)
        first, *others = (each[name] for name in names)
        table.add_row(first, drawing, *others)
    return table


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _columns(rows: Sequence[dict[str, Any]], width: int) -> list[str]:
    if width < _NARROW:
        return ["turn", "kept", "folded", "recalled"]
    names = ["turn", "view", "kept", "folded", "recalled", "cached"]
    return [*names, "saved"] if width >= _WIDE and any(one["saved"] is not None for one in rows) else names


def _cell(one: dict[str, Any], name: str) -> str:
    if not one["view"] and name in {"view", "kept"}:
        return _UNKNOWN  # a turn that was interrupted and tidied up later
    if name == "recalled":
        return str(len(one["recalled"]))
    if name == "saved":
        return _UNKNOWN if one["saved"] is None else _signed(one["saved"], one["currency"])
    return grouped(one[name])


def _signed(amount: float, currency: str) -> str:
    return ("-" if amount < 0 else "") + money(abs(amount), currency, digits=4)


def stacked(parts: dict[str, int], *, scale: int, cells: int, colour: bool) -> Text:
    """A bar of a view's parts, to scale; what is there has a cell at least where the bar has room."""
    there = [name for name, tokens in parts.items() if tokens]
    whole = max(len(there), round(cells * sum(parts.values()) / scale))
    shares = {name: max(1, round(whole * parts[name] / sum(parts.values()))) for name in there}
    while sum(shares.values()) > min(whole, cells) and max(shares.values()) > 1:
        shares[max(shares, key=shares.__getitem__)] -= 1
    bar = Text()
    for name, number in shares.items():
        bar.append(_solid(name, colour=colour) * number, style=COLOURS[name] if colour else "")
    return bar


def _solid(name: str, *, colour: bool) -> str:
    return "█" if colour else GLYPHS[name]


def _below(rows: Sequence[dict[str, Any]], say: Say) -> list[Text]:
    """What all turns saved together, and what went wrong."""
    lines: list[Text] = []
    sums: dict[str, float] = {}
    for one in rows:
        if one["saved"] is not None:
            sums[one["currency"]] = sums.get(one["currency"], 0.0) + one["saved"]
    for currency, amount in sums.items():
        told = say(
            "dearer_sum" if amount < 0 else "saved_sum",
            money=money(abs(amount), currency, digits=4),
            turns=say.turns(len(rows)),
        )
        lines.append(Text(told, style="dim"))
    lines += [
        Text(clean(say("went_wrong", turn=one["turn"], errors=", ".join(one["errors"]))), style="red")
        for one in rows
        if one["errors"]
    ]
    return lines
