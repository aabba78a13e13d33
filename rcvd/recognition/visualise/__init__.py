"""What a network has learned and what it looks at, as pictures."""
