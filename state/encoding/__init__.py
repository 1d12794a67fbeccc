"""Values to bytes or to JSON and back, equal and of the same type, or refused.

Both forms store what msgpack or JSON has by itself as it is, and everything else as a tag with a
payload of simpler values; `types` is the one table of tags. Classes of the user's come back only
where the reader declared them: nothing that is stored can name code to import or run.
"""

from __future__ import annotations

from state.encoding.binary import Codec
from state.encoding.json_form import from_json, to_json

__all__ = ["Codec", "from_json", "to_json"]
