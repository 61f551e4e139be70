"""What schemathesis cannot know of our API: a request is changed so that it stays as valid, or as wrong, as it was."""

import itertools

import schemathesis
from hypothesis import strategies

# Headers are made of letters and digits alone, where nothing is said of their format.
schemathesis.openapi.format("entity-tag", strategies.integers(0, 99).map(lambda revision: f'"{revision}"'))

numbers = itertools.count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    is_valid = meta is not None and meta.generation.mode.is_positive
    if not is_valid:
        return
    # A key is for one change: with another body it is refused, as it should be.
    if case.headers and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = f"schemathesis-{next(numbers)}"
    # Any number of streams in full size would be more than the machine can do.
    if case.path == "/api/v1/streams" and isinstance(case.body, dict):
        case.body["autoStart"] = False
