"""How turns are found: words, dates, scores, and how scores become one."""
