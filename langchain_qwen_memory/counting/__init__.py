"""How Qwen counts: templates, vocabularies, pictures and sound."""
