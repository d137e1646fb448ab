"""The decision that every candidate records: 20 features (12 floats, 4 integers, 4 short texts), 2 outputs, 3 parameters, 20 attributions."""

import random
from typing import Any

FEATURES = [f"feature_{n}" for n in range(20)]
PURPOSES = ["car", "house", "education", "furniture"]

Decision = dict[str, Any]


def decisions(count: int, seed: int = 7) -> list[Decision]:
    """So many different decisions."""
    drawn = random.Random(seed)
    return [decision(drawn) for _ in range(count)]


def decision(drawn: random.Random) -> Decision:
    inputs: dict[str, Any] = {}
    for place, name in enumerate(FEATURES):
        if place < 12:
            inputs[name] = drawn.gauss(0.0, 1.0)
        elif place < 16:
            inputs[name] = drawn.randrange(10_000)
        else:
            inputs[name] = drawn.choice(PURPOSES)
    return {
        "inputs": inputs,
        "outputs": {"approve": drawn.random() < 0.5, "probability": drawn.random()},
        "params": {"threshold": 0.5, "scaling": "standard", "seed": 7},
        "attributions": {name: drawn.gauss(0.0, 1.0) for name in FEATURES},
    }
