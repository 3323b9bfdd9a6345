"""Lays the page out with Gradio: threads on the left, the chat, and on the right what memory did."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from importlib import resources
from typing import TYPE_CHECKING, Any

import gradio as gr

from langchain_qwen_memory.web.chart import MONEY_SERIES, TOKEN_SERIES, colours
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.web.desk import Desk

_SANS = ["system-ui", "-apple-system", "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"]
_MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]
_SETTLE = "(thread) => window.qwenMemory.at(thread)"
"""Run in the browser when another thread is shown: see page.js."""
_OPEN_AT_FIRST = 30
"""Turns that are shown before one asks for earlier ones."""


def appearance(words: Words) -> dict[str, Any]:
    """How the page looks, as Gradio takes it: colours, fonts that are there already, and a little of our own."""
    theme = gr.themes.Base(
        primary_hue="blue", neutral_hue="stone", radius_size="md", spacing_size="sm", font=_SANS, font_mono=_MONO
    ).set(body_background_fill="*neutral_50", body_background_fill_dark="*neutral_950", block_border_width="0px")
    script = _file("page.js").replace("LANGUAGE", "zh-CN" if words.language == "zh" else "en")
    return {"theme": theme, "css": _file("page.css"), "head": f"<script>{script}</script>"}


def _file(name: str) -> str:
    return resources.files("langchain_qwen_memory.web").joinpath(name).read_text(encoding="utf-8")


@dataclass(kw_only=True)
class Parts:
    """The page's components, by what they are for."""

    thread: gr.Textbox
    """The thread's name; empty for one that has not begun. Never seen."""
    limit: gr.State
    """Turns that are shown."""
    run: gr.State
    """Number of the turn that this tab follows; 0: none."""
    positions: gr.State
    """Of the turn of each message in the chat."""
    wide: gr.Checkbox
    """Whether the screen has room for the threads beside the chat; the browser says so."""
    # on the left
    side: gr.Sidebar = field(init=False)
    new: gr.Button = field(init=False)
    threads: gr.Radio = field(init=False)
    name: gr.Textbox = field(init=False)
    branches: gr.Radio = field(init=False)
    forget: gr.Button = field(init=False)
    confirm: gr.Group = field(init=False)
    question: gr.Markdown = field(init=False)
    yes: gr.Button = field(init=False)
    no: gr.Button = field(init=False)
    # in the middle
    head: gr.HTML = field(init=False)
    earlier: gr.Button = field(init=False)
    chat: gr.Chatbot = field(init=False)
    status: gr.HTML = field(init=False)
    box: gr.MultimodalTextbox = field(init=False)
    # on the right
    turn: gr.Dropdown = field(init=False)
    back: gr.Button = field(init=False)
    view: gr.HTML = field(init=False)
    more: gr.Column = field(init=False)
    recalled: gr.HTML = field(init=False)
    summary: gr.HTML = field(init=False)
    tokens: gr.LinePlot = field(init=False)
    money: gr.LinePlot = field(init=False)

    @property
    def all(self) -> list[Any]:
        """Each of them, as outputs of a handler that may change any."""
        return [getattr(self, one.name) for one in fields(self)]


def page(desk: Desk, words: Words, *, stand_in: bool) -> gr.Blocks:
    """The page in one language.

    Args:
        desk: The threads.
        words: The language.
        stand_in: Whether the page has to say that it is not Qwen who answers.
    """
    from langchain_qwen_memory.web.wires import connect

    blocks: gr.Blocks
    with gr.Blocks(
        title=words("title"), analytics_enabled=False, fill_height=True, fill_width=True, delete_cache=(3600, 86_400)
    ) as blocks:
        parts = Parts(
            thread=gr.Textbox(visible="hidden", container=False, elem_id="qm-thread"),
            limit=gr.State(_OPEN_AT_FIRST),
            run=gr.State(0),
            positions=gr.State([]),
            wide=gr.Checkbox(visible="hidden", container=False),
        )
        with gr.Sidebar(width=270, open=False, elem_id="qm-threads") as parts.side:
            _left(parts, words)
        with gr.Row(elem_id="qm-main"):
            with gr.Column(scale=5, min_width=340, elem_id="qm-talk"):
                _middle(parts, desk, words)
            with gr.Column(scale=4, min_width=340, elem_id="qm-panel"):
                _right(parts, words)
        connect(desk, words, parts, blocks, stand_in=stand_in)
        parts.thread.change(None, [parts.thread], js=_SETTLE, api_visibility="private")
    return blocks


def _left(parts: Parts, words: Words) -> None:
    gr.HTML(_language_link(words), elem_id="qm-brand")
    parts.new = gr.Button(words("new_thread"), variant="primary", elem_id="qm-new")
    parts.threads = gr.Radio([], label=words("threads"), elem_id="qm-list", container=False)
    parts.name = gr.Textbox(
        label=words("open_label"), placeholder=words("open_placeholder"), max_length=100, elem_id="qm-name"
    )
    parts.branches = gr.Radio(
        [], label=words("branches"), info=words("branches_info"), visible=False, elem_id="qm-branches", container=False
    )
    parts.forget = gr.Button(words("forget"), variant="secondary", size="sm", elem_id="qm-forget")
    with gr.Group(visible=False, elem_id="qm-confirm") as parts.confirm:
        parts.question = gr.Markdown(sanitize_html=True)
        parts.yes = gr.Button(words("forget_yes"), variant="stop", size="sm", elem_id="qm-yes")
        parts.no = gr.Button(words("forget_no"), variant="secondary", size="sm", elem_id="qm-no")


def _language_link(words: Words) -> str:
    other = "en" if words.language == "zh" else "zh"
    return f'<a class="qm-language" href="/{other}/" hreflang="{other}" lang="{other}">{words("other_language")}</a>'


def _middle(parts: Parts, desk: Desk, words: Words) -> None:
    parts.head = gr.HTML(elem_id="qm-head")
    parts.earlier = gr.Button(words("earlier"), size="sm", variant="secondary", visible=False, elem_id="qm-earlier")
    parts.chat = gr.Chatbot(
        label=words("chat_label"),
        show_label=False,
        height="100%",
        min_height=260,
        buttons=["copy"],
        editable="user",
        placeholder=words("empty_chat"),
        allow_file_downloads=False,
        feedback_options=None,
        layout="bubble",
        elem_id="qm-chat",
    )
    parts.status = gr.HTML(elem_id="qm-status")
    parts.box = gr.MultimodalTextbox(
        placeholder=words("placeholder_media" if desk.sees else "placeholder"),
        show_label=False,
        label=words("placeholder"),
        sources=["upload"] if desk.sees else [],
        file_types=["image"],
        file_count="multiple",
        interactive=False,  # until the thread is known: a question asked sooner would go into another one
        max_plain_text_length=100_000,
        elem_id="qm-box",
    )


def _right(parts: Parts, words: Words) -> None:
    gr.HTML(f"<h2>{words('panel')}</h2>", elem_id="qm-title")
    with gr.Row(elem_id="qm-which"):
        parts.turn = gr.Dropdown([], label=words("which_turn"), show_label=False, container=False, scale=3)
        parts.back = gr.Button(words("branch"), size="sm", scale=2, elem_id="qm-back")
    parts.view = gr.HTML(elem_id="qm-view")
    with gr.Column(visible=False, elem_id="qm-more") as parts.more:
        with gr.Accordion(words("recalled_title"), elem_id="qm-recalled"):
            parts.recalled = gr.HTML()
        with gr.Accordion(words("summary_title"), elem_id="qm-summary"):
            parts.summary = gr.HTML()
        with gr.Accordion(words("chart_title"), elem_id="qm-charts"):
            _plots(parts, words)


def _plots(parts: Parts, words: Words) -> None:
    parts.tokens = _plot("tokens", words("chart_tokens"), colours(TOKEN_SERIES, words), words)
    parts.money = _plot("money", words("chart_money", currency=""), colours(MONEY_SERIES, words), words)


def _plot(column: str, label: str, colour: dict[str, str], words: Words) -> gr.LinePlot:
    return gr.LinePlot(
        x="turn",
        y=column,
        color="what",
        color_map=colour,
        x_title=words("which_turn"),
        y_title=label,
        color_title=" ",
        height=190,
        label=label,
        elem_id=f"qm-{column}",
        buttons=[],
        container=False,
    )
