"""Tables of labelled records: the files, their formats, columns and labels; shared by training and batch."""

import csv
import sys

# A text may be longer than the 131,072 characters that Python takes for the longest field. The limit is the process's,
# so it is lifted before any module of this package reads a table.
csv.field_size_limit(sys.maxsize)
