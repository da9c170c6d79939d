"""HTML pages, one file each, for a reader who has nothing else. They work offline.

Without JavaScript a page is complete; with it values show under the pointer, and designs can be switched off.
"""
