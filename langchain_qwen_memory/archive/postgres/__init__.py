"""The archive in a Postgres database: its tables, its full text, its vectors."""
