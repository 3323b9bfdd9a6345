"""Draws a turn's view: its parts to scale, their numbers, and where each turn of the thread is now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from langchain_qwen_memory.terminal.say import grouped
from langchain_qwen_memory.web.money import Cost, money
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.terminal.figures import Figures

_LABELLED = 0.16
"""Share of the bar from which a block has its name inside."""
_MOST_CELLS = 240
"""Turns that have a cell of their own; of longer threads the newest."""
_NO_ZOOM = 0.55
"""Share of the plan from which the parts are large enough to be seen without being drawn larger."""


def view(seen: Figures, words: Words, *, here: Collection[int], paid: Cost | None) -> Markup:
    """The view as blocks to scale, with a table of its numbers and what there is to say of it.

    Args:
        seen: The turn's figures.
        words: The language.
        here: Numbers of recalled turns of this thread, from 1.
        paid: What the turn cost; None where that is not known.
    """
    if not seen.view:
        return Markup('<p class="qm-none">{}</p>').format(words("view_unknown", turn=seen.turn))
    return Markup('<section class="qm-view">{}{}{}{}</section>').format(
        _blocks(seen, words), _table(seen, words), _strip(seen, here, words), _facts(seen, words, paid)
    )


def nothing(words: Words) -> Markup:
    """Of a thread without turns."""
    return Markup('<p class="qm-none">{}</p>').format(words("nothing_yet"))


def _parts(seen: Figures) -> list[tuple[str, int]]:
    return [(name, tokens) for name, tokens in seen.parts.items() if tokens]


def _blocks(seen: Figures, words: Words) -> Markup:
    parts = _parts(seen)
    told = ", ".join(f"{words(f'part_{name}')} {grouped(tokens)}" for name, tokens in [*parts, ("free", _free(seen))])
    scale = max(seen.scale, seen.view, 1)
    plan = _bar([*parts, ("free", _free(seen))], scale, words, labelled=seen.view >= _NO_ZOOM * scale)
    if seen.view < _NO_ZOOM * scale:
        edge = round(100 * seen.view / scale, 2)
        zoom = Markup(
            '<svg class="qm-zoom" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
            '<polygon points="0,0 {0},0 100,10 0,10"/></svg>{1}'
        ).format(edge, _bar(parts, seen.view, words, labelled=True))
        plan = Markup('<div class="qm-small">{}</div>{}').format(plan, zoom)
    key = "scale_planned" if seen.planned else "scale_limit"
    note = words(key, scale=grouped(seen.scale), limit=grouped(seen.limit))
    return Markup('<div role="img" aria-label="{}">{}</div><p class="qm-note">{}</p>').format(
        words("view_alt", parts=told), plan, note
    )


def _free(seen: Figures) -> int:
    return max(0, seen.scale - seen.view)


def _bar(parts: Iterable[tuple[str, int]], whole: int, words: Words, *, labelled: bool) -> Markup:
    blocks = []
    for name, tokens in parts:
        share = tokens / whole if whole else 0
        label = words(f"part_{name}") if labelled and share >= _LABELLED else ""
        title = f"{words(f'part_{name}')}: {grouped(tokens)}"
        blocks.append(
            Markup('<i class="qm-{}" style="flex:{} 0 0" title="{}">{}</i>').format(name, tokens, title, label)
        )
    return Markup('<div class="qm-bar">{}</div>').format(Markup("").join(blocks))


def _table(seen: Figures, words: Words) -> Markup:
    notes = {
        "kept": words("kept_note", turns=words.turns(max(0, seen.kept - 1))),
        "recalled": words("recalled_note", turns=words.turns(len(seen.recalled))),
    }
    whole = max(seen.scale, seen.view, 1)
    rows = [_row(name, tokens, whole, words, notes.get(name, "")) for name, tokens in _parts(seen)]
    rows.append(_row("free", _free(seen), whole, words, ""))
    return Markup(
        '<table class="qm-parts"><thead><tr><th scope="col">{}</th><th scope="col">{}</th><th scope="col">{}</th></tr>'
        '</thead><tbody>{}</tbody><tfoot><tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr></tfoot></table>'
    ).format(
        words("col_part"),
        words("col_tokens"),
        words("col_share"),
        Markup("").join(rows),
        words("sum"),
        grouped(seen.view),
        _percent(seen.view / whole),
    )


def _row(name: str, tokens: int, whole: int, words: Words, note: str) -> Markup:
    return Markup(
        '<tr><th scope="row"><i class="qm-swatch qm-{}"></i>{} <small>{}</small></th><td>{}</td><td>{}</td></tr>'
    ).format(name, words(f"part_{name}"), note, grouped(tokens), _percent(tokens / whole))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}\u00a0%" if share >= 0.1 or not share else f"{100 * share:.1f}\u00a0%"  # noqa: PLR2004


def _states(seen: Figures, here: Collection[int]) -> Sequence[str]:
    """Where each turn up to this one stands, by number from 1."""
    gone = "summary" if seen.folds else "archive"
    first_kept = seen.turn - seen.kept + 1
    return [
        "question" if turn == seen.turn else "kept" if turn >= first_kept else "recalled" if turn in here else gone
        for turn in range(1, seen.turn + 1)
    ]


def _strip(seen: Figures, here: Collection[int], words: Words) -> Markup:
    states = _states(seen, here)
    first = max(0, len(states) - _MOST_CELLS)
    cells = [
        Markup('<i class="qm-{}" title="{}"></i>').format(
            state, words("turn_cell", turn=first + at + 1, state=words(f"state_{state}"))
        )
        for at, state in enumerate(states[first:])
    ]
    gone = "summary" if seen.folds else "archive"
    told = words(
        "strip_alt",
        total=words.turns(seen.turn),
        kept=seen.kept,
        recalled=states.count("recalled"),
        gone=states.count(gone),
        where=words(f"where_{gone}"),
    )
    return Markup(
        '<h4>{}</h4><div class="qm-strip" role="img" aria-label="{}">{}</div><p class="qm-note">{}</p>'
    ).format(words("strip_title"), told, Markup("").join(cells), told)


def _facts(seen: Figures, words: Words, paid: Cost | None) -> Markup:
    facts = [(words("fact_sent"), words("fact_sent_text", sent=grouped(seen.sent), cached=grouped(seen.cached)))]
    share = round(100 * seen.share_saved)
    if share:
        facts.append((words("fact_whole"), words("fact_whole_text", whole=grouped(seen.whole), share=share)))
    if paid is not None:
        facts.append((words("fact_cost"), words("fact_cost_text", money=money(paid.paid, paid.currency))))
    if seen.folded_now:
        facts.append((words("fact_folded"), words("fact_folded_text", turns=words.turns(seen.folded_now))))
    if seen.errors:
        facts.append((words("fact_errors"), ", ".join(seen.errors)))
    rows = [Markup("<dt>{}</dt><dd>{}</dd>").format(name, text) for name, text in facts]
    return Markup('<dl class="qm-facts">{}</dl>').format(Markup("").join(rows))
