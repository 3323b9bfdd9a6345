"""The commands of the terminal program beside its chat."""
