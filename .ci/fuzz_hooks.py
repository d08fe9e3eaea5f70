"""What `.ci/fuzz` does beside schemathesis: lines of JSON, and ids that exist in the paths."""

import json
import random
import re

import schemathesis

ID = re.compile(r"\b([a-z]+)_0[0-9a-hjkmnp-tv-z]{25}\b")
# Which ids belong behind a step of a path.
KINDS = {
    "addresses": "addr", "api-keys": "key", "carts": "cart", "channels": "chan", "connectors": "con", "consumers": "cons",
    "customers": "cust", "dispatches": "disp", "fulfilment-orders": "fo", "items": "order", "jobs": "job",
    "legal-entities": "le", "lines": "line", "locations": "loc", "orders": "order", "payment-operations": "payop",
    "price-lists": "plist", "returns": "ret", "shipments": "shpt", "shipping-methods": "ship", "tax-rates": "tax",
    "variants": "var",
}
MOST = 200
dice = random.Random(7)
seen = {}


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(ctx, value):
    return value if isinstance(value, bytes) else (json.dumps(value) + "\n").encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """Puts ids that were answered before into the path, most of the time: a made-up id is only ever not found."""
    steps = case.operation.path.split("/")
    for before, step in zip(steps, steps[1:]):
        name, known = step.strip("{}"), seen.get(KINDS.get(before), [])
        if step.startswith("{") and dice.random() < 0.8:
            if name == "ref":
                known = ["1001", "1002", "1003"]
            if known and isinstance((case.path_parameters or {}).get(name), str):
                case.path_parameters[name] = dice.choice(known)


@schemathesis.hook
def after_call(ctx, case, response):
    if response.status_code < 300 and response.content:
        for found in ID.finditer(response.content.decode("utf-8", "replace")):
            known = seen.setdefault(found.group(1), [])
            if found.group() not in known:
                known.append(found.group())
            if len(known) > MOST:
                known.pop(dice.randrange(MOST))
