"""The function that starts a job for a file that came into the input bucket."""
