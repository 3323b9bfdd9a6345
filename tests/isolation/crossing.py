"""Many users talk at random, each with words of its own, and each view is searched for the words of the others.

    python -m tests.isolation.crossing --turns 100000

Users name their threads alike, ask in each other's words, send messages with each other's ids, and recall from all
their threads. A user's word in another user's prompt, transcript, search or list of threads ends the program.
"""

import argparse
import random
import re
import sys
import time
import uuid
from collections import Counter

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    InMemoryArchive,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    run_turn,
    transcript,
)
from tests.scripted import ScriptedChatModel

CANARY = re.compile(r"canary[0-9a-f]{8}")
WORDS = (
    *("我", "对", "花生", "过敏", "订单", "医生", "预约", "明天", "my", "order", "KM-3000", "is", "late"),
    *("train", "Hangzhou", "allergic", "peanut", "dog", "Rex", "salmon"),
)
NAMES = ["alice", "Alice", "alice ", "a'lice", "al%", "../alice", "é", "e\u0301", "用户", ""]


class Crowd:
    """Users on one archive, and what each may see."""

    def __init__(self, archive, *, users, seed):
        self.chance, self.archive = random.Random(seed), archive
        more = (f"user{number}" for number in range(users))
        names = [*NAMES, *more][:users]
        self.marks = {name: f"canary{self.chance.getrandbits(32):08x}" for name in names}
        self.now, self.seen = "", Counter()
        model = ScriptedChatModel(fallback=self.answer)
        saver = InMemorySaver()
        recall = RecallMemory(k=3, max_tokens=300, scope="user")
        self.graphs = [
            create_chat_graph(model, memory=[memory, recall], archive=archive, checkpointer=saver)
            for memory in (
                WindowMemory(trigger=("turns", 3), keep=("turns", 1)),
                SummaryBufferMemory(trigger=("turns", 3), keep=("turns", 1), max_summary_tokens=60),
            )
        ]
        self.model = model

    def answer(self, messages):
        """Look for other users' words; answer in the user's own."""
        self.look(" ".join(map(str, (message.content for message in messages))), "a prompt")
        self.model.prompts.clear()
        self.model.asked.clear()
        self.seen["prompts"] += 1
        self.seen["of them with recalled or summed up words"] += (
            self.marks[self.now] in str(messages[:1]) or len(CANARY.findall(str(messages[-1].content))) > 1
        )
        return AIMessage(f"noted, {self.marks[self.now]}: {self.words(4)}")

    def look(self, text, where):
        """Refuse anybody else's word."""
        found = set(CANARY.findall(text)) - {self.marks[self.now]}
        assert not found, f"{where} of {self.now!r} shows {found} of others"

    def words(self, count):
        return " ".join(self.chance.choices(WORDS, k=count))

    def step(self, number):
        """One turn of anybody, or a look at what is kept."""
        self.now = self.chance.choice(list(self.marks))
        if number % 10 == 9:
            return self.read()
        # The checkpointer has one name for each thread; the archive's names are the same for all users.
        which = self.chance.randrange(2)
        thread = f"{list(self.marks).index(self.now)}-{which}"
        config = {"configurable": {"thread_id": thread}}
        question = HumanMessage(f"{self.marks[self.now]} {self.words(5)}", id=f"m{number // 7}")
        run_turn(self.graphs[which], question, config, context={"user_id": self.now})
        return None

    def read(self):
        """All that the user can reach by itself."""
        self.seen["searches"] += 1
        other = self.chance.choice(list(self.marks.values()))
        hits = self.archive.search(f"{other} {self.words(3)}", user=self.now, limit=20, neighbours=True)
        for hit in hits:
            assert hit.turn.user == self.now
            self.look(" ".join(str(turn.messages) for turn in (hit.turn, hit.before, hit.after) if turn), "a search")
        for known in self.archive.threads(self.now):
            self.look(str([turn.messages for turn in self.archive.page(self.now, known.thread, limit=5)]), "a page")
            which = int(known.thread[-1])
            config = {"configurable": {"thread_id": known.thread}}
            turns = transcript(self.graphs[which], config, context={"user_id": self.now}, limit=5)
            self.look(str([turn.messages for turn in turns]), "a transcript")

    def told(self):
        return ", ".join(f"{count:,} {what}" for what, count in self.seen.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--archive", choices=["memory", "sqlite"], default="memory")
    parser.add_argument("--seed", type=int, default=uuid.uuid4().int % 10**6)
    options = parser.parse_args()
    begun = time.perf_counter()
    with InMemoryArchive() if options.archive == "memory" else SqliteArchive(":memory:") as archive:
        crowd = Crowd(archive, users=options.users, seed=options.seed)
        for number in range(options.turns):
            crowd.step(number)
            if number % 10_000 == 9_999:
                print(f"{number + 1:,} steps, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    print(
        f"{options.turns:,} steps of {options.users} users, seed {options.seed}, {options.archive}: {crowd.told()}; "
        f"nobody saw another's word; {time.perf_counter() - begun:.0f} s"
    )


if __name__ == "__main__":
    main()
