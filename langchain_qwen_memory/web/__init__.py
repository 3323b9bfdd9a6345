"""The page in the browser: a chat and, beside it, what memory did in each turn."""
