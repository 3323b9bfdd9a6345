"""A prompt-and-model chain that exists already gets memory in two lines. With DASHSCOPE_API_KEY Qwen answers."""

from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import ChatQwen, SummaryBufferMemory, create_chat_graph
from langchain_qwen_memory.testing.first_try import local_if_no_key

local_if_no_key()

# The chain as it was: a prompt, a model, a parser.
prompt = ChatPromptTemplate([("system", "你是一位耐心的图书管理员。"), MessagesPlaceholder("messages")])
chain = (
    RunnableLambda(lambda messages: {"messages": messages}) | prompt | ChatQwen(model="qwen-plus") | StrOutputParser()
)

# The two lines: the chain in a graph with memory, and a thread to talk in.
graph = create_chat_graph(chain, memory=SummaryBufferMemory(), checkpointer=InMemorySaver())
thread = {"configurable": {"thread_id": "t1"}}

for question in ("我借的书《三体》，周五要还。", "你好。", "我借的书哪天要还？"):
    print(f"> {question}\n{graph.invoke({'messages': question}, thread)['messages'][-1].text}")
