"""What ChatQwen and its siblings are made of: requests, answers, transport, errors."""
