"""The errors of this package's own; what the model service refuses is raised as LangChain's classes.

QwenMemoryError
├── MemoryOptionError (ValueError)     an option of a memory or a graph is not what it can be
├── ArchiveError                       the archive cannot be read or written
│   └── EmbeddingMismatchError         it holds vectors of other embeddings than those it was opened with
├── ThreadError (ValueError)           a call without the thread id or user id it needs
└── ViewTooLargeError                  the newest question alone is more than the model takes in
"""


def page_of(kind: type[BaseException]) -> str:
    """Where the documentation tells of an error, as a line that stands below it in tracebacks."""
    return f"More on it: docs/errors.md#{kind.__name__.lower()}"


class QwenMemoryError(Exception):
    """Base of all errors of this package."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self.add_note(page_of(type(self)))


class MemoryOptionError(QwenMemoryError, ValueError):
    """An option of a memory or a graph is not what it can be."""


class ArchiveError(QwenMemoryError):
    """The archive cannot be read or written; what was to be written is still in the state."""


class EmbeddingMismatchError(ArchiveError):
    """The archive holds vectors of other embeddings than those it was opened with; nothing was searched or stored."""


class ThreadError(QwenMemoryError, ValueError):
    """A call lacks the thread id or the user id that it needs."""


class ViewTooLargeError(QwenMemoryError):
    """The newest question alone is more than the model takes in; nothing was sent."""
