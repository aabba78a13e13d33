"""Looking at a finished scene: an interactive window and headless pictures."""
