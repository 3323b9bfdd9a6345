"""All that the page says, in Chinese and in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from langchain_qwen_memory.terminal.say import Language

TEXTS: Mapping[str, tuple[str, str]] = {
    # the frame
    "title": ("千问 · 记得住的对话", "Qwen, with a memory"),
    "stand_in": (
        "没有 DASHSCOPE_API_KEY：现在回答的是本机替身，不是千问。",
        "No DASHSCOPE_API_KEY: the local stand-in answers, not Qwen.",
    ),
    "other_language": ("English", "中文"),
    "chat_label": ("对话", "Conversation"),
    "placeholder": ("问点什么", "Ask something"),
    "placeholder_media": ("问点什么，或放一张图片", "Ask something, or drop a picture"),
    "empty_chat": (
        "**新会话。** 说点什么；旧的轮次离开提示词，留在归档里；“记忆做了什么”里能看到每一轮。",
        "**A new thread.** Say something. Old turns leave the prompt, not the archive; “What memory did” shows how.",
    ),
    "earlier": ("显示更早的轮次", "Show earlier turns"),
    "thinking": ("思考", "Thinking"),
    "thought": ("思考过程", "Thoughts"),
    "tool": ("工具 {name}", "Tool {name}"),
    "waiting": ("等待回答", "Waiting for the answer"),
    "queued": (
        "这个会话在别处正在回答，等它结束。",
        "This thread is answering elsewhere; waiting for it to finish.",
    ),
    "remembering": ("正在记入", "Remembering"),
    "settled_kept": (
        "已停止。问题和这部分回答留在会话里。",
        "Stopped. The question and this part of the answer stay in the thread.",
    ),
    "settled_withdrawn": (
        "已停止。还没有回答，这个问题不留在会话里。",
        "Stopped before any answer: the question is not kept in the thread.",
    ),
    "settled_finished": (
        "已停止。回答已经完整，这一轮已记入。",
        "Stopped. The answer was complete; the turn is remembered.",
    ),
    "settled_open": (
        "这一轮还没有收好，下一轮之前会先收好它。",
        "The turn is not tidied up yet; that comes before the next one.",
    ),
    "failed": ("没有成功：{error}", "That failed: {error}"),
    "unanswered": (
        "这个问题上次没有得到回答，现在回答。",
        "This question had not been answered yet; here is its answer.",
    ),
    # threads
    "threads": ("会话", "Threads"),
    "new_thread": ("新会话", "New thread"),
    "open_label": ("按名字打开", "Open by name"),
    "open_placeholder": ("会话的名字，回车", "Name of a thread, Enter"),
    "thread_line": ("{name} · {turns} 轮 · {when}", "{name} · {turns} · {when}"),
    "thread_new": ("{name} · 新", "{name} · new"),
    "not_yours": ("会话 {thread} 是另一个用户的。", "Thread {thread} is another user's."),
    "bad_thread": ("会话的名字最多 {most} 个字符。", "A thread's name has {most} characters at most."),
    "forget": ("忘掉这个会话", "Forget this thread"),
    "forget_ask": (
        "真的忘掉会话 **{thread}**？检查点和归档里的 {turns} 轮都会删除，不能恢复。",
        "Forget thread **{thread}** for good? Its {turns} leave checkpoints and archive, and cannot come back.",
    ),
    "forget_yes": ("永远忘掉", "Forget for good"),
    "forget_no": ("留着", "Keep it"),
    "forgotten": ("会话 {thread} 已忘掉。", "Thread {thread} is forgotten."),
    "busy": ("等这一轮结束，或先停止它。", "Wait for this turn to end, or stop it first."),
    # branches
    "branch": ("从这一轮接着说", "Go on from this turn"),
    "branch_newest": ("这是最新的一轮：直接接着说。", "This is the newest turn: just go on."),
    "branched": (
        "会话回到了第 {turn} 轮之后。之后说过的还在会话列表下面，选中就能回去。",
        "The thread stands after turn {turn} again. What came after it is below the list of threads.",
    ),
    "branched_start": (
        "会话回到了开头。说过的还在会话列表下面，选中就能回去。",
        "Back at the start. What was said is below the list of threads.",
    ),
    "branch_gone": ("找不到第 {turn} 轮的检查点。", "The checkpoint of turn {turn} is not there any more."),
    "branches": ("分支", "Branches"),
    "branches_info": ("这个会话的其他分支；选一个就回去。", "Branches this thread has left; choose one to go back."),
    "branch_line": ("{turns} 轮 · {said}", "{turns} · {said}"),
    "resumed": ("回到了这个分支。", "Back on this branch."),
    # the panel
    "panel": ("记忆做了什么", "What memory did"),
    "which_turn": ("轮次", "Turn"),
    "turn_choice": ("第 {turn} 轮 · {said}", "{turn} · {said}"),
    "nothing_yet": (
        "还没有视图。问一句，这里就会画出模型看到了什么。",
        "No view yet. Ask something, and what the model saw is drawn here.",
    ),
    "view_title": ("第 {turn} 轮的视图", "The view of turn {turn}"),
    "view_unknown": (
        "第 {turn} 轮是中断后收好的，没有它的视图。",
        "Turn {turn} was interrupted and tidied up later: its view is not known.",
    ),
    "view_alt": ("视图，按比例：{parts}", "The view, to scale: {parts}"),
    "scale_planned": (
        "满格 {scale} 个 token 是记忆的计划；模型最多 {limit}",
        "a full bar is the {scale} tokens memory plans with; the model takes {limit}",
    ),
    "scale_limit": ("满格 {scale} 个 token 是模型的上限", "a full bar is the {scale} tokens the model takes"),
    "part_system": ("系统", "System"),
    "part_summary": ("摘要", "Summary"),
    "part_kept": ("保留", "Kept"),
    "part_recalled": ("召回", "Recalled"),
    "part_question": ("问题", "Question"),
    "part_free": ("空余", "Free"),
    "col_part": ("部分", "Part"),
    "col_tokens": ("token", "Tokens"),
    "col_share": ("占比", "Share"),
    "sum": ("视图", "View"),
    "kept_note": ("{turns} 轮原样", "{turns}, word for word"),
    "recalled_note": ("{turns} 轮", "{turns}"),
    "strip_title": ("每一轮在哪里", "Where each turn is"),
    "strip_alt": (
        "{total} 轮：{kept} 轮在视图里，{recalled} 轮召回，{gone} 轮在{where}里。",
        "{total}: {kept} in the view, {recalled} recalled, {gone} in the {where}.",
    ),
    "state_question": ("这个问题", "this question"),
    "state_kept": ("原样在视图里", "word for word in the view"),
    "state_recalled": ("召回", "recalled"),
    "state_summary": ("在摘要里", "in the summary"),
    "state_archive": ("在归档里", "in the archive"),
    "where_summary": ("摘要", "summary"),
    "where_archive": ("归档", "archive"),
    "turn_cell": ("第 {turn} 轮：{state}", "turn {turn}: {state}"),
    "fact_sent": ("输入", "Prompt"),
    "fact_sent_text": ("{sent} 个 token，{cached} 来自缓存", "{sent} tokens, {cached} from the cache"),
    "fact_whole": ("完整记录", "Whole transcript"),
    "fact_whole_text": (
        "{whole} 个 token；少发 {share} %",
        "{whole} tokens; {share} % less was sent",
    ),
    "fact_cost": ("费用", "Cost"),
    "fact_cost_text": ("{money}（按目录价）", "{money} at list price"),
    "fact_folded": ("折叠", "Folded"),
    "fact_folded_text": ("答后 {turns} 轮进了摘要", "{turns} into the summary, after the answer"),
    "fact_errors": ("绕过的故障", "Failures got around"),
    "recalled_title": ("召回的轮次", "Recalled turns"),
    "recalled_none": ("这一轮没有召回。", "Nothing was recalled in this turn."),
    "recalled_head": ("第 {turn} 轮", "Turn {turn}"),
    "recalled_elsewhere": ("会话 {thread} · 第 {turn} 轮", "Thread {thread} · turn {turn}"),
    "score": ("分数 {score}", "score {score}"),
    "recalled_gone": ("（已不在归档里）", "(no longer in the archive)"),
    "you": ("你", "You"),
    "model": ("千问", "Qwen"),
    "summary_title": ("摘要", "Summary"),
    "summary_none": ("还没有折叠过，没有摘要。", "Nothing is folded yet, so there is no summary."),
    "summary_changed": ("这一轮之后有变：", "Changed after this turn:"),
    "summary_same": (
        "这一轮之后没有变；第 {turn} 轮之后的变化：",
        "Unchanged by this turn; changed after turn {turn}:",
    ),
    "summary_key": ("新增", "added"),
    "summary_key_gone": ("去掉", "taken out"),
    "chart_title": ("各轮的 token 与费用", "Tokens and money over the turns"),
    "chart_tokens": ("每轮的 token", "Tokens of each turn"),
    "chart_money": ("累计费用（{currency}）", "Money so far ({currency})"),
    "chart_money_none": ("这个模型没有已知的目录价。", "No list price of this model is known."),
    "series_whole": ("完整记录", "whole transcript"),
    "series_view": ("视图", "view"),
    "series_cached": ("缓存", "from cache"),
    "series_paid": ("实际", "as sent"),
    "series_would": ("若每次发完整记录", "whole transcript each time"),
    # pictures
    "no_pictures": (
        "模型 {model} 不看图片；请用 --model qwen3-vl-plus 一类。",
        "Model {model} takes no pictures; start with --model qwen3-vl-plus, for example.",
    ),
    "bad_picture": (
        "{name} 不是模型能看的图片（PNG、JPEG、WEBP、BMP、TIFF）。",
        "{name} is no picture the model takes (PNG, JPEG, WEBP, BMP, TIFF).",
    ),
    "picture": ("图片", "picture"),
    # the door
    "token_title": ("需要令牌", "A token is needed"),
    "token_text": (
        "启动 qwen-memory web 的终端里有一个带令牌的网址；也可以把令牌贴在这里。",
        "The terminal that runs qwen-memory web shows an address with the token; or paste the token here.",
    ),
    "token_wrong": ("令牌不对。", "That is not the token."),
    "token_field": ("令牌", "Token"),
    "token_go": ("进入", "Enter"),
    # the command
    "at": ("页面在 {url}   Ctrl-C 停止。", "The page is at {url}   Ctrl-C stops it."),
    "open_to_others": (
        "其他机器也能连到这里：只有带令牌的人能进来；连接没有加密，公网上请放在 HTTPS 代理后面。",
        "Other machines can reach this, with the token only. It is not encrypted: in public use an HTTPS proxy.",
    ),
    "short_token": ("--token 至少要 {least} 个字符", "--token takes {least} characters or more"),
    "port_taken": (
        "{host}:{port} 打不开（{why}）；换一个，例如 --port {other}",
        "{host}:{port} cannot be opened ({why}); take another, for example --port {other}",
    ),
    "no_gradio": (
        '这个命令需要一个附加包：pip install "langchain-qwen-memory[web]"',
        'This command needs an extra: pip install "langchain-qwen-memory[web]"',
    ),
    "opt_web": ("在浏览器里对话，旁边看记忆做了什么。", "Chat in the browser, and see beside it what memory did."),
    "opt_host": (
        "监听的地址；不是本机的就要令牌。",
        "Address to listen on; any but this machine's own needs the token.",
    ),
    "opt_port": ("端口；0 表示任选一个空闲的。", "The port; 0 takes a free one."),
    "opt_token": (
        "进入页面的令牌；不写则在需要时生成一个。",
        "The token that lets people in; one is made where it is needed.",
    ),
    "opt_allow_host": (
        "页面还可以叫这个名字（例如反向代理的域名），可写多次。",
        "Another name the page may be called by, such as a reverse proxy's; may be given several times.",
    ),
    "opt_open": ("启动后打开浏览器。", "Open the browser once it runs."),
    "opt_lang": (
        "页面的语言 zh 或 en；默认看浏览器。",
        "zh or en for everybody; by each browser's locale unless told.",
    ),
}
"""Key -> (Chinese, English); both have the same places to fill in."""


@dataclass(frozen=True)
class Words:
    """Says things in one language: `words("view_title", turn=3)`."""

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


def preferred(accept_language: str) -> Language:
    """The language of a browser: the first of its list that is ours, by the header Accept-Language."""
    ranked: list[tuple[float, str]] = []
    for part in accept_language.split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            ranked.append((-float(weight or 1), tag.lower()))
        except ValueError:
            continue
    for _, tag in sorted(ranked, key=lambda one: one[0]):
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "en"
