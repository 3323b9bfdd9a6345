"""Engines that an archive may be searched with in place of its own, rebuilt from it."""
