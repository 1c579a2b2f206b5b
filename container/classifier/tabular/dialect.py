"""What the user states about the format of tables, where the files are ambiguous."""

from dataclasses import dataclass

AUTO = "auto"
COMMA, TAB = ",", "\t"
# The names that the hyperparameter and the options take; hyperparameters.schema has them too.
BY_NAME = {"comma": COMMA, "semicolon": ";", "tab": TAB, "bar": "|"}


@dataclass(frozen=True)
class Dialect:
    """How tables are written.

    Attributes:
        header: Whether the first row of each is a header: ``true``, ``false``, or ``auto``, which is where it names the
            columns.
        delimiter: What separates the columns: a name of :data:`BY_NAME`, or ``auto``, which is what the rows say.
    """

    header: str = AUTO
    delimiter: str = AUTO


AS_WRITTEN = Dialect()
