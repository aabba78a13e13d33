"""The verdict on a finished scene: what was measured, and what that means for its user."""
