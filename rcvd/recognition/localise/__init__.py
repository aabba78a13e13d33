"""What happens when: segments of untrimmed videos."""
