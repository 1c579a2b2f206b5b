"""``batch``: files of rows in, the same files with predictions out."""
