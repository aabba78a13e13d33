"""Pictures of what video networks see."""
