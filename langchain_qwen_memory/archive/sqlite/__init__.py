"""The archive in one SQLite file: its tables, its full text, its vectors."""
