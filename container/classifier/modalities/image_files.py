"""Which files may be images in other formats than those that are read, and which nobody misses, by their names."""

import re

# Of these somebody would miss their images, where what is in them does not tell; of other files, as lists, nobody.
SUFFIXES_NOT_READ = frozenset(
    {
        ".jpe", ".jfif", ".jp2", ".jxl", ".heic", ".heif", ".avif", ".svg", ".ico", ".psd",
        ".cr2", ".cr3", ".nef", ".arw", ".dng",
    }
)  # fmt: skip
# What platforms and programs leave behind (contract T27), beside all that begins with a dot.
LEFT_BEHIND = frozenset(
    {
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "_success", "@eadir", "@__thumb",
        "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__", "icon\r",
    }
)  # fmt: skip
LEFT_BEHIND_ENDINGS = ("_$folder$",)
# Nobody misses an image of these.
ABOUT_THE_DATA = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|credits|sources?|attribution|authors|changelog)\b", re.I
)


def is_left_behind(name: str) -> bool:
    """Return whether a file or folder is hidden or what a platform or a program leaves behind, by its name."""
    return name.startswith(".") or name.lower() in LEFT_BEHIND or name.lower().endswith(LEFT_BEHIND_ENDINGS)
