"""The explorer. In: results folders. Out: figures, statistics and widgets to look into them.

Imports ranking and the rooms below it.
"""

from fearlib.explorer.folders import folder_to_open, newest_first
from fearlib.explorer.widgets import explore

__all__ = ["explore", "folder_to_open", "newest_first"]
