"""Tables of labelled records: the files, their formats, columns and labels; shared by training and batch."""
