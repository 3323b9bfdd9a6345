"""The steps of a turn, of which nodes, graphs and the middleware are made."""
