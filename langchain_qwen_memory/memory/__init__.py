"""Policies: what the view of a conversation holds. They import no graph, no vendor and no HTTP."""
