"""A memory of one's own: what was pinned stays in the view for good. With DASHSCOPE_API_KEY Qwen answers."""

from dataclasses import dataclass, replace

from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import ChatQwen, Conversation, Memory, Selection, WindowMemory, create_chat_graph
from langchain_qwen_memory.testing.first_try import local_if_no_key


@dataclass(frozen=True, kw_only=True)
class PinnedMemory(Memory):
    """Keeps each message that begins with a mark in the summary, word for word, after its turn has left the window."""

    name = "pinned"

    mark: str = "记住："
    """How a message begins that is to be kept."""

    def select(self, conversation: Conversation, selection: Selection) -> Selection:
        """Sync and async at once: there is nothing to wait for. With something to wait for: `yield Ask(...)`."""
        pins = [*conversation.slot(self.name).get("pins", ())]
        for turn in conversation.turns:
            said = turn.question.text if turn.question is not None else ""
            if said.startswith(self.mark) and said not in pins:
                pins.append(said)
        text = "\n".join(f"- {pin.removeprefix(self.mark)}" for pin in pins)
        summary = "\n\n".join(part for part in (selection.summary, text) if part)
        return replace(selection, summary=summary).keeping(self.name, pins=pins)


local_if_no_key()
memory = [WindowMemory(trigger=("turns", 4), keep=("turns", 2)), PinnedMemory()]
graph = create_chat_graph(ChatQwen(model="qwen-plus"), memory=memory, checkpointer=InMemorySaver())
thread = {"configurable": {"thread_id": "t1"}}

graph.invoke({"messages": "记住：门禁密码是 4711。"}, thread)
for number in range(8):
    graph.invoke({"messages": f"今天的第 {number + 1} 件小事：散步。"}, thread)
state = graph.invoke({"messages": "门禁密码是多少？"}, thread)
print(state["messages"][-1].text)
print(f"{state['record']['report']['kept']} turns in the view; the pinned words are in its summary")
