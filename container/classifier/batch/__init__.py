"""``batch``: adds predictions to files of rows."""
