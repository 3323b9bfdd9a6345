"""The terminal program's inside: what it says, how it reads lines, runs turns and draws the memory."""
