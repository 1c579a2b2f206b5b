"""The formats of images that are read: how the names of their files end, and how their bytes begin."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
# A pattern for re.DOTALL. As a text may begin with "BM" or "GIF8", more is compared of these: a BMP has zeros, and a
# short header of a few lengths, there.
BEGINS = (
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{4}\x00{4}.{4}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\x00{3}"
    rb"|RIFF.{4}WEBP|II\*\x00|MM\x00\*"
)
