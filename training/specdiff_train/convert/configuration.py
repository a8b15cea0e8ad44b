"""Numbers out of config.json, checked."""


def whole(config: dict[str, object], key: str, default: int | None = None) -> int:
    """A positive whole number."""
    value = config.get(key, default)
    if value is None:
        value = default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise SystemExit(f"convert: config.json needs a positive whole number as {key}, not {value!r}.")
    return value


def number(config: dict[str, object], key: str, default: float) -> float:
    """A positive number."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise SystemExit(f"convert: config.json needs a positive number as {key}, not {value!r}.")
    return float(value)


def table(config: dict[str, object], key: str) -> dict[str, object]:
    """An object inside."""
    value = config.get(key)
    if not isinstance(value, dict):
        raise SystemExit(f"convert: config.json needs an object as {key}, not {value!r}.")
    return value


def one_of(config: dict[str, object], key: str, *allowed: object) -> None:
    """Refuse a value other than what can be converted; an absent one is the first."""
    value = config.get(key, allowed[0])
    if value not in allowed:
        raise SystemExit(f"convert: config.json has {key} {value!r}; only {allowed[0]!r} can be converted.")


def divided(width: int, heads: int) -> None:
    """Refuse a width that the heads do not divide evenly."""
    if width % (2 * heads):
        raise SystemExit(f"convert: config.json gives {width} hidden values to {heads} heads, which is no even share.")
