"""One file per paper; the folder is the family of data it was written for, its name the slug.

Called, it lists them: `counterpoint.methods()` is `counterpoint.core.registry.cards()`, whether or not this folder was imported before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Folder(ModuleType):
    # Importing a submodule sets it on its package, where the function of the same name would otherwise stand.
    def __call__(self, kind: str | None = None) -> list[dict[str, Any]]:
        from counterpoint.core.registry import cards

        return cards(kind)


sys.modules[__name__].__class__ = _Folder
