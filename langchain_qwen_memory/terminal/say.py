"""All that the terminal program says, in Chinese and in English."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["zh", "en"]

TEXTS: Mapping[str, tuple[str, str]] = {
    # what stands at the top
    "stand_in": (
        "没有 DASHSCOPE_API_KEY：现在对话的是本机替身，不是千问。",
        "no DASHSCOPE_API_KEY: talking to the local stand-in, not to Qwen.",
    ),
    "header": ("{model} · 会话 {thread} · {db}", "{model} · thread {thread} · {db}"),
    "header_user": ("{model} · 会话 {thread} · 用户 {user} · {db}", "{model} · thread {thread} · user {user} · {db}"),
    "opening": ("正在打开会话", "opening the thread"),
    "new_thread": ("新会话。/help 看命令，/quit 离开。", "A new thread. /help lists commands, /quit leaves."),
    "goes_on": ("会话继续：已有 {turns} 轮。", "The thread goes on: {turns} so far."),
    "you_said": ("你：", "You: "),
    "model_said": ("千问：", "Qwen: "),
    "unanswered": (
        "上次离开时这个问题还没有回答，现在回答：",
        "This question was still unanswered when the program ended; here is its answer:",
    ),
    "bye": ("会话 {thread} 已保存。", "Thread {thread} is saved."),
    # a turn
    "waiting": ("等待回答", "waiting for the answer"),
    "remembering": ("正在记入", "remembering"),
    "thinking": ("思考", "thinking"),
    "answer": ("回答", "answer"),
    "stopped_kept": (
        "已停止。问题和上面这部分回答留在会话里，可以接着说。",
        "Stopped. The question and this part of the answer stay in the thread; just go on.",
    ),
    "stopped_withdrawn": (
        "已停止。还没有回答，这个问题不留在会话里；按 ↑ 可以改了再问。",
        "Stopped before any answer: the question is not kept in the thread. Press ↑ to change and ask it again.",
    ),
    "stopped_finished": (
        "已停止。回答已经完整，这一轮已记入会话。",
        "Stopped. The answer was complete; the turn is remembered.",
    ),
    "stopped_open": (
        "已停止。这一轮还没有收好，下一轮之前会先收好它。",
        "Stopped. The turn is not tidied up yet; that comes before the next one.",
    ),
    "failed_kept": (
        "问题和上面这部分回答留在会话里。",
        "The question and this part of the answer stay in the thread.",
    ),
    "failed_withdrawn": (
        "这个问题不留在会话里；按 ↑ 可以再问一次。",
        "The question is not kept in the thread; press ↑ to ask it again.",
    ),
    "failed_finished": ("回答已经完整，这一轮已记入会话。", "The answer was complete; the turn is remembered."),
    "failed_open": (
        "这一轮还没有收好，下一轮之前会再试。",
        "The turn is not tidied up yet; the next one tries again first.",
    ),
    "hint_leave": ("（/quit 或 Ctrl-D 离开）", "(/quit or Ctrl-D leaves)"),
    "unknown_command": ("没有命令 {command}。{known}", "There is no command {command}. {known}"),
    "known_commands": ("可用：{commands}", "There are: {commands}"),
    # the meter and /context
    "turn": ("第 {turn} 轮", "turn {turn}"),
    "kept": ("保留 {n}", "kept {n}"),
    "folded": ("折叠 {n}", "folded {n}"),
    "folded_now": ("答后折叠 {n}", "{n} folded after it"),
    "left": ("移出 {n}", "left {n}"),
    "recalled": ("召回 {n}", "recalled {n}"),
    "cached": ("缓存 {n}", "cached {n}"),
    "saved": ("节省 {n} %", "saved {n} %"),
    "part_system": ("系统", "system"),
    "part_summary": ("摘要", "summary"),
    "part_kept": ("保留", "kept"),
    "part_recalled": ("召回", "recalled"),
    "part_question": ("问题", "question"),
    "part_free": ("空余", "free"),
    "context_title": ("第 {turn} 轮的视图", "the view of turn {turn}"),
    "context_none": ("还没有视图：先问一句。", "There is no view yet: ask something first."),
    "context_unknown": (
        "第 {turn} 轮是中断后收好的，没有它的视图；下一轮会有。",
        "Turn {turn} was interrupted and tidied up later: its view is not known. The next one's will be.",
    ),
    "tokens": ("{n} 个 token", "{n} tokens"),
    "scale_planned": ("记忆最多用 {n}；模型最多 {limit}", "memory plans up to {n}; the model takes {limit}"),
    "scale_limit": ("模型最多 {limit}", "the model takes {limit}"),
    "turns_line": ("轮次", "turns"),
    "cache_line": ("缓存", "cache"),
    "cache_text": ("{cached} / {sent} 个输入 token", "{cached} of {sent} input tokens"),
    "prefix_text": ("前缀保持 {n} %", "prefix kept {n} %"),
    "saved_line": ("节省", "saved"),
    "saved_text": (
        "{money}，与发送完整记录（{whole} 个 token）相比",
        "{money} against sending the whole transcript ({whole} tokens)",
    ),
    "dearer_line": ("多花", "dearer"),
    "errors_line": ("出错", "errors"),
    # /memory
    "memory_title": ("会话 {thread} 的记忆", "the memory of thread {thread}"),
    "memory_none": ("还没有记忆：先问一句。", "There is no memory yet: ask something first."),
    "window_line": ("窗口", "window"),
    "window_text": (
        "从第 {first} 轮开始，{turns} 轮在场，共 {total} 轮",
        "begins at turn {first}; {turns} live, {total} in all",
    ),
    "archive_line": ("归档", "archived"),
    "archive_text": ("{n} 轮", "{n}"),
    "summary_line": ("摘要", "summary"),
    "summary_none": ("还没有折叠过", "nothing folded yet"),
    "col_turn": ("轮次", "turn"),
    "col_view": ("视图", "view"),
    "col_kept": ("保留", "kept"),
    "col_folded": ("折叠", "folded"),
    "col_recalled": ("召回", "recalled"),
    "col_cached": ("缓存", "cached"),
    "col_prefix": ("前缀", "prefix"),
    "col_errors": ("出错", "errors"),
    # /help
    "help_context": ("上一轮的视图里有什么", "what the view of the last turn held"),
    "help_memory": ("摘要、窗口、归档和最近几轮", "summary, window, archive and the newest turns"),
    "help_help": ("这些命令", "these commands"),
    "help_quit": ("离开（Ctrl-D 也可以）", "leave (so does Ctrl-D)"),
    "help_keys": (
        "Ctrl-C 停止回答。粘贴的多行文字作为一个问题。",
        "Ctrl-C stops an answer. Several pasted lines are one question.",
    ),
    # misuse
    "error": ("错误：{text}", "error: {text}"),
    "needs_model": (
        "--base-url 需要 --model：写上服务器给模型起的名字，例如 --model qwen3:8b",
        "--base-url needs --model: the name your server gives the model, for example --model qwen3:8b",
    ),
    "bad_server": ("--server {given}：可用 {kinds}", "--server {given}: it takes {kinds}"),
    "bad_memory": (
        "--memory {given}：可用 window、summary、recall",
        "--memory {given}: it takes window, summary or recall",
    ),
    "bad_lang": ("--lang {given}：可用 zh、en", "--lang {given}: it takes zh or en"),
    "bad_trigger": (
        "--trigger {given}：至少 100 个 token",
        "--trigger {given}: it takes 100 tokens or more",
    ),
    "trigger_without_window": (
        "--trigger 需要 --memory window 或 --memory summary",
        "--trigger needs --memory window or --memory summary",
    ),
    "empty_thread": ("--thread 不能为空", "--thread must not be empty"),
    "no_folder": ("--db {db}：没有这个文件夹 {folder}", "--db {db}: there is no folder {folder}"),
    "not_a_database": (
        "--db {db}：不是 SQLite 文件，或者打不开（{why}）",
        "--db {db}: not an SQLite file, or it cannot be opened ({why})",
    ),
    "not_yours": (
        "会话 {thread} 是另一个用户开始的；请用同一个 --user，或换一个 --thread",
        "thread {thread} was begun by another user; give the same --user, or another --thread",
    ),
    "port_taken": (
        "端口 {port} 打不开（{why}）；换一个，例如 --port {other}",
        "port {port} cannot be opened ({why}); take another, for example --port {other}",
    ),
    # local
    "local_first": (
        "本机 DashScope 在 {url}（替身，不是千问）。Ctrl-C 停止。",
        "A local DashScope at {url} (a stand-in, not Qwen). Ctrl-C stops it.",
    ),
    "local_paste": ("在另一个终端里粘贴：", "Paste this into another terminal:"),
    "local_stopped": ("已停止。", "Stopped."),
    # --help
    "opt_app": (
        "与千问长谈：旧的轮次离开提示词，但不会丢失。",
        "Long conversations with Qwen: old turns leave the prompt, and are never lost.",
    ),
    "opt_chat": (
        "在终端里对话；会话保存在一个 SQLite 文件里，重启后继续。",
        "Chat in the terminal; the thread is kept in one SQLite file and goes on after a restart.",
    ),
    "opt_local": (
        "在本机提供一个 DashScope 替身，直到 Ctrl-C。",
        "Serve a stand-in of DashScope on this machine until Ctrl-C.",
    ),
    "opt_thread": ("会话的名字。", "Name of the thread."),
    "opt_db": (
        "SQLite 文件：检查点和归档都在里面。默认在用户的应用文件夹里：{default}；替身用 {stand_in}。",
        "The SQLite file with checkpoints and archive. In the application folder unless told: {default}; {stand_in}.",
    ),
    "opt_model": ("模型的名字，默认 qwen-plus。", "The model's name; qwen-plus unless told."),
    "opt_base_url": (
        "自己的服务器（Ollama、vLLM、llama.cpp）的地址；不需要密钥。",
        "URL of a server of your own (Ollama, vLLM, llama.cpp); it needs no key.",
    ),
    "opt_server": ("服务器的种类：{kinds}。", "Kind of server: {kinds}."),
    "opt_region": ("地域：beijing、singapore、us 等。", "Region of the service: beijing, singapore, us ..."),
    "opt_workspace": ("业务空间的 id。", "Id of a workspace."),
    "opt_thinking": ("开或关思考；不写则按模型的默认。", "Thinking on or off; the model's own default unless told."),
    "opt_system": ("系统提示词。", "System prompt."),
    "opt_user": (
        "用户的 id。写了它，召回就在这个用户的所有会话里找。",
        "Id of the user. With it, recall looks in all threads of this user.",
    ),
    "opt_memory": (
        "window、summary 或 recall，可以写多次。默认 summary 和 recall。",
        "window, summary or recall; may be given several times. Default: summary and recall.",
    ),
    "opt_trigger": (
        "在场的轮次超过这么多 token 时，窗口跳到一半。",
        "Past so many tokens of live turns the window leaps to half of them.",
    ),
    "opt_limit": (
        "提示词最多多少 token；自己的服务器若设得小（num_ctx）就写上。",
        "Tokens a prompt may have, where a server of your own is set to fewer (num_ctx).",
    ),
    "opt_lang": ("界面语言 zh 或 en；默认看 $LC_ALL、$LANG。", "zh or en; by $LC_ALL and $LANG unless told."),
    "opt_meter": ("每轮之后显示一行记忆用量。", "Show a line of what memory did after each turn."),
    "opt_port": ("端口；0 表示任选一个空闲的。", "The port; 0 takes a free one."),
    "opt_log": ("每个请求打印一行。", "Print a line for each request."),
    "opt_version": ("显示版本并退出。", "Show the version and leave."),
}
"""Key -> (Chinese, English); both have the same places to fill in."""


@dataclass(frozen=True)
class Say:
    """Says things in one language: `say("turn", turn=3)`."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its places filled in."""
        text = TEXTS[key][0 if self.language == "zh" else 1]
        return text.format(**values) if values else text

    def turns(self, number: int) -> str:
        """So many turns, in words."""
        if self.language == "zh":
            return f"{number}"
        return f"{number} turn" if number == 1 else f"{number} turns"


def locale_language(environ: Mapping[str, str] | None = None) -> Language:
    """Chinese if the locale is; the first of LC_ALL, LC_MESSAGES and LANG that is set says so."""
    environ = os.environ if environ is None else environ
    told = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "zh" if told.lower().startswith("zh") else "en"


def asked_language(argv: Sequence[str]) -> Language:
    """The language of help texts, which are made before options are read: `--lang`, else the locale."""
    for at, word in enumerate(argv):
        given = word.removeprefix("--lang=") if word.startswith("--lang=") else None
        if word == "--lang" and at + 1 < len(argv):
            given = argv[at + 1]
        if given == "zh":
            return "zh"
        if given == "en":
            return "en"
    return locale_language()


def grouped(number: float) -> str:
    """A number with its thousands parted: `12 345`."""
    return f"{number:,.0f}".replace(",", "\u00a0")
