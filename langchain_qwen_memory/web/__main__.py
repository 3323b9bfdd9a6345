"""Lets `python -m langchain_qwen_memory.web` open the page."""

import sys

import typer

from langchain_qwen_memory.terminal.program import Command, Program
from langchain_qwen_memory.web.command import SUMMARY, web

if __name__ == "__main__":
    program = typer.Typer(cls=Program, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    program.callback()(lambda: None)  # with one command alone typer would make no group of it
    program.command(cls=Command, help=SUMMARY)(web)
    program(args=["web", *sys.argv[1:]])
