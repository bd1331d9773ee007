"""The explorer. In: results folders. Out: figures, statistics and widgets to look into them.

Imports ranking and the rooms below it.
"""

from fearlib.explorer.widgets import explore
from fearlib.sweeps.folders import folder_to_open, newest_first

__all__ = ["explore", "folder_to_open", "newest_first"]
