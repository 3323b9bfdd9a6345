"""A crowd that talks at random, each user with words of its own: every view is searched for the words of the others.

Users have ids and threads with look-alike and hostile names, ask in each other's words, send messages with each other's
ids, recall from all their threads, go back, edit, are forgotten and come back, and knock at each other's threads. Some
turns run alone, some of several users at once on one loop. A user's word, or a forgotten one, in another's prompt,
transcript, search or list of threads raises. `benchmarks/crossing.py` plays 100,000 turns of it.
"""

import asyncio
import random
import re
from collections import Counter
from contextvars import ContextVar

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    arun_turn,
    forget,
    run_turn,
    stream_turn,
    transcript,
)
from langchain_qwen_memory.errors import ThreadError
from tests.isolation.hostile import ATTACKS, NAMES, WORDS, graphs
from tests.scripted import ScriptedChatModel

CANARY = re.compile(r"canary-[0-9a-f]{8}")
TOGETHER = 6
"""Users at most who talk at once on one loop."""

_speaks = ContextVar("speaks")
"""Whose turn runs in this task or thread: a user's number."""


class Crowd:
    """Users on one archive and one checkpointer, and what each may see."""

    def __init__(self, archive, *, users, seed, saver=None, colours=("sync", "async")):
        self.chance, self.archive, self.colours = random.Random(seed), archive, colours
        self.names = [*NAMES, *(f"user{number}" for number in range(users))][:users]
        self.marks = [self.canary() for _ in self.names]
        self.threads = [{} for _ in self.names]
        """For each user: thread -> which graph it is of, and the ids of its questions."""
        self.seen, self.turns, self.loop = Counter(), 0, asyncio.new_event_loop()
        self.model = ScriptedChatModel(fallback=self.answer)
        self.graphs = list(graphs(self.model, archive, saver or InMemorySaver()))

    def close(self):
        """Close the archive and what of it belongs to the crowd's loop."""
        self.loop.run_until_complete(self.archive.aclose())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def canary(self):
        return f"canary-{self.chance.getrandbits(32):08x}"

    def words(self, count):
        return " ".join(self.chance.choices(WORDS, k=count))

    # -- what is looked for

    def answer(self, messages):
        """Look for words of others in what the model is sent; answer in the user's own."""
        user = _speaks.get()
        self.look(" ".join(str(message.content) for message in messages), user, "a prompt")
        self.model.prompts.clear()
        self.model.asked.clear()
        mark, first = self.marks[user], messages[0]
        self.seen["prompts"] += 1
        self.seen["with recalled words"] += str(messages[-1].content).count(mark) > 1
        self.seen["with a summary"] += isinstance(first, SystemMessage) and mark in str(first.content)
        return AIMessage(f"noted, {mark}: {self.words(4)}")

    def look(self, text, user, where):
        """Refuse anybody else's word, and one of a user that was forgotten."""
        found = set(CANARY.findall(text)) - {self.marks[user]}
        assert not found, f"{where} of {self.names[user]!r} shows {found}, and its own word is {self.marks[user]}"

    # -- what users do

    def step(self):
        """One thing that anybody does: most often a turn."""
        does = (self.talk, self.talk_together, self.edit, self.fork, self.read, self.knock, self.forget)
        chosen = self.chance.choices(does, weights=(40, 14, 8, 4, 8, 4, 0.4))[0]
        self.seen[chosen.__name__.replace("_", " ")] += 1
        chosen()

    def talk(self):
        user, thread = self.whose()
        self.say(user, thread, self.question(user), f"m{self.turns // 7}")

    def talk_together(self):
        """Users at once, each on a thread of its own: nothing of a run may be where another finds it."""
        if "async" not in self.colours:
            self.talk()
            return
        users = self.chance.sample(range(len(self.names)), min(TOGETHER, len(self.names)))
        self.loop.run_until_complete(self._together([self.whose(user) for user in users]))

    async def _together(self, talks):
        async def one(user, thread, number):
            _speaks.set(user)
            question = HumanMessage(self.question(user), id=number)
            try:
                state = await arun_turn(self.graph(user, thread), question, config(thread), context=self.context(user))
            except ThreadError as error:
                self.refused(user, thread, question, error)
            else:
                self.heard(user, thread, question, state["messages"])

        await asyncio.gather(*(one(*talk, f"m{self.turns // 7 + at // 2}") for at, talk in enumerate(talks)))

    def edit(self):
        """Say a question again in other words, under its id."""
        user, thread = self.whose()
        asked = self.threads[user].get(thread, (0, []))[1]
        self.say(user, thread, self.question(user), asked[-1] if asked else "m0")

    def fork(self):
        """Go on from an earlier checkpoint."""
        user, thread = self.whose()
        graph = self.graph(user, thread)
        ended = [state for state in graph.get_state_history(config(thread), limit=12) if not state.next]
        place = self.chance.choice(ended).config if ended else config(thread)
        self.say(user, thread, self.question(user), f"f{self.turns}", place)

    def say(self, user, thread, text, number, place=None):
        """One turn, sync."""
        _speaks.set(user)
        question, graph, place = HumanMessage(text, id=number), self.graph(user, thread), place or config(thread)
        try:
            if self.chance.random() < 0.1:
                for _ in stream_turn(graph, question, place, context=self.context(user)):
                    pass
                messages = graph.get_state(config(thread)).values["messages"]
            else:
                durability = self.chance.choice(("exit", "exit", "async"))
                state = run_turn(graph, question, place, context=self.context(user), durability=durability)
                messages = state["messages"]
        except ThreadError as error:
            self.refused(user, thread, question, error)
        else:
            self.heard(user, thread, question, messages)

    def refused(self, user, thread, question, error):
        """An id that was said before may by now be that of an archived turn, which no edit changes; no other may."""
        assert question.id in self.threads[user][thread][1], error
        self.turns += 1
        self.seen["edit refused"] += 1
        self.look(str(error), user, "an error")

    def heard(self, user, thread, question, messages):
        self.turns += 1
        self.threads[user][thread][1].append(question.id)
        self.look(" ".join(str(message.content) for message in messages), user, "a state")
        assert self.marks[user] in str(messages[-1].content), f"{self.names[user]!r} was answered {messages[-1]}"

    def read(self):
        """All that a user can reach by itself, asked for in the words of another."""
        user, _ = self.whose()
        name, other = self.names[user], self.chance.choice(self.marks)
        query = f"{other} {other[7:]} {self.words(3)} {self.chance.choice(ATTACKS)}"
        for hit in self.archive.search(query, user=name, limit=20, neighbours=True):
            assert hit.turn.user == name
            self.look(
                " ".join(str(turn.messages) for turn in (hit.turn, hit.before, hit.after) if turn), user, "a search"
            )
        for known in self.archive.threads(name):
            assert known.thread in self.threads[user]
        if self.threads[user]:
            thread = self.chance.choice(list(self.threads[user]))
            self.look(str([turn.messages for turn in self.archive.page(name, thread, limit=5)]), user, "a page")
            turns = transcript(self.graph(user, thread), config(thread), context=self.context(user), limit=5)
            self.look(str([turn.messages for turn in turns]), user, "a transcript")

    def knock(self):
        """Try another's thread: nothing is read, nothing asked."""
        owner, thread = self.whose()
        user = self.chance.randrange(len(self.names))
        if user == owner or not self.threads[owner].get(thread, (0, []))[1]:
            return
        _speaks.set(user)
        graph, context = self.graph(owner, thread), self.context(user)
        for entry in (lambda: run_turn(graph, "hello", config(thread), context=context),
                      lambda: transcript(graph, config(thread), context=context)):  # fmt: skip
            try:
                entry()
            except ThreadError as error:
                self.look(str(error), user, "an error")
                self.seen["turned away"] += 1
            else:
                raise AssertionError(f"{self.names[user]!r} was let into {thread!r} of {self.names[owner]!r}")

    def forget(self):
        """Be forgotten, and come back as somebody new: the old word is nobody's now."""
        user = self.chance.randrange(len(self.names))
        for thread in self.threads[user]:
            forget(self.graph(user, thread), user=self.names[user], thread=thread)
        assert self.archive.count(self.names[user]) == 0
        self.marks[user] = self.canary()
        self.threads[user].clear()

    # -- whose turn it is

    def whose(self, user=None):
        """A user, and a thread of that user, which may be new."""
        user = self.chance.randrange(len(self.names)) if user is None else user
        name = f"{self.names[(user + 1) % len(self.names)]}-{user}-{self.chance.randrange(4)}"  # after another user
        if name not in self.threads[user]:
            # Nobody's turns are recalled over all threads: who has no id is asked for it.
            which = self.chance.randrange(len(self.graphs)) if self.names[user] else 2
            self.threads[user][name] = (which, [])
        return user, name

    def question(self, user):
        """The user's word, some of everybody's, at times another's number, or an attack."""
        more = self.chance.choice(("", "", self.chance.choice(self.marks)[7:], self.chance.choice(ATTACKS)))
        return f"{self.marks[user]} {self.words(5)} {more}"

    def graph(self, user, thread):
        return self.graphs[self.threads[user][thread][0]]

    def context(self, user):
        return {"user_id": self.names[user]}

    def told(self):
        return ", ".join(f"{count:,} {what}" for what, count in self.seen.items())


def config(thread):
    return {"configurable": {"thread_id": thread}}
