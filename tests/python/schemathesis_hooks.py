"""How schemathesis sends bodies that are neither JSON nor plain text: as they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson", "application/jsonl")
def lines(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()
