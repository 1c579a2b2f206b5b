"""Which images are too large to be decoded, by their headers."""

from classifier.errors import RecordError

MOST_BYTES = 1 << 28
MOST_PIXELS = 50_000_000
MOST_PIXELS_A_SIDE = 65_535
# A progressive JPEG comes in about ten scans, each of which is a walk over the whole image, however few its bytes.
MOST_SCANS = 50
# Segments of a JPEG, chunks of a PNG or WebP: of either, a hundred megabytes can hold millions, which take a minute.
MOST_PARTS = 1 << 17
READ = "JPEG, PNG, BMP, GIF, WebP or TIFF"
CONVERT = f"save it as {READ}"
DAMAGED = "an image that is cut off or damaged; copy it or save it again"


class PixelsError(RecordError):
    """An image that can't be decoded; the message says what is wrong, and what to do."""


def check_size(width: int, height: int) -> None:
    """Refuse an image that is too large.

    Raises:
        PixelsError: It is.
    """
    if width * height > MOST_PIXELS or max(width, height) > MOST_PIXELS_A_SIDE:
        raise PixelsError(
            f"{width:,} by {height:,} pixels; make it smaller: "
            f"{MOST_PIXELS:,} in all are read, and {MOST_PIXELS_A_SIDE:,} a side"
        )
