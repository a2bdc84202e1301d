"""Arithmetic of `${...}` in OpenSCENARIO, read by hand: nothing of a file is ever executed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

Value = float | bool | str

_TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)|(\$?[A-Za-z_][\w.]*)|(.))")
DEEPEST = 40
"""Parentheses and functions within each other; longer formulas than LONGEST characters are none of a scenario's."""
LONGEST = 2000

_FUNCTIONS: dict[str, tuple[int, Callable[..., float]]] = {
    "round": (1, lambda x: math.floor(x + 0.5)), "floor": (1, math.floor), "ceil": (1, math.ceil),
    "sqrt": (1, math.sqrt), "pow": (2, math.pow), "sign": (1, lambda x: float((x > 0) - (x < 0))),
    "max": (2, max), "min": (2, min), "abs": (1, abs),
    "sin": (1, math.sin), "cos": (1, math.cos), "tan": (1, math.tan),
    "asin": (1, math.asin), "acos": (1, math.acos), "atan": (1, math.atan), "atan2": (2, math.atan2),
    "exp": (1, math.exp), "log": (1, math.log),
}  # fmt: skip
"""Of the standard round to min; the others are what players of the field offer beside them."""

_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "pi": math.pi}


def evaluate(text: str, parameters: Mapping[str, str]) -> Value:
    """The value of what stands between `${` and `}`; ValueError says what is wrong with it.

    Words that are neither parameters, constants nor functions stand for themselves, and `+` joins words.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the expression is longer than {LONGEST} characters")
    try:
        reader = _Reader(text, parameters)
        value = reader.either(0)
    except (OverflowError, ZeroDivisionError) as error:
        raise ValueError(f"the expression '{text}' has no value ({error})") from None
    if reader.next is not None:
        raise ValueError(f"the expression '{text}' goes on with '{reader.next}' after its end")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"the expression '{text}' is no finite number")
    return value


class _Reader:
    """Descends through or, and, not, + -, * / %, sign, ^, operand."""

    def __init__(self, text: str, parameters: Mapping[str, str]) -> None:
        self.parameters = parameters
        self.tokens = [m.group().strip() for m in _TOKEN.finditer(text) if m.group().strip()]
        self.at = 0

    @property
    def next(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self, *wanted: str) -> str | None:
        if self.next is not None and self.next in wanted:
            self.at += 1
            return self.tokens[self.at - 1]
        return None

    def either(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise ValueError("the expression is nested too deeply")
        value = self.both(depth)
        while self.take("or"):
            other = self.both(depth)
            value = _flag(value) or _flag(other)
        return value

    def both(self, depth: int) -> Value:
        value = self.negated(depth)
        while self.take("and"):
            other = self.negated(depth)
            value = _flag(value) and _flag(other)
        return value

    def negated(self, depth: int) -> Value:
        turns = 0
        while self.take("not"):
            turns += 1
        value = self.sum(depth)
        return _flag(value) != bool(turns % 2) if turns else value

    def sum(self, depth: int) -> Value:
        value = self.product(depth)
        while sign := self.take("+", "-"):
            other = self.product(depth)
            if sign == "+" and (isinstance(value, str) or isinstance(other, str)):
                value = spelled(value) + spelled(other)
            else:
                value = _number(value) + (_number(other) if sign == "+" else -_number(other))
        return value

    def product(self, depth: int) -> Value:
        value = self.signed(depth)
        while sign := self.take("*", "/", "%"):
            a, b = _number(value), _number(self.signed(depth))
            value = a * b if sign == "*" else a / b if sign == "/" else math.fmod(a, b)
        return value

    def signed(self, depth: int) -> Value:
        negative, signs = False, 0
        while sign := self.take("-", "+"):
            negative, signs = negative != (sign == "-"), signs + 1
        value = self.power(depth)
        return (-_number(value) if negative else _number(value)) if signs else value

    def power(self, depth: int) -> Value:
        value = self.operand(depth)
        if not self.take("^"):
            return value
        result = _number(value) ** _number(self.signed(depth + 1) if depth < DEEPEST else self.operand(depth))
        if isinstance(result, complex):
            raise ValueError("a power of a negative number is no number")
        return result

    def operand(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise ValueError("the expression is nested too deeply")
        if self.take("("):
            value = self.either(depth + 1)
            self._close()
            return value
        token = self.next
        if token is None:
            raise ValueError("the expression ends where a value is expected")
        self.at += 1
        if token[0].isdigit() or (token[0] == "." and len(token) > 1):
            return float(token)
        if token.startswith("$"):
            if token[1:] not in self.parameters:
                raise ValueError(f"the parameter {token} is not declared")
            return typed(self.parameters[token[1:]])
        if token in _FUNCTIONS and self.take("("):
            return self._call(token, depth)
        if not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"'{token}' stands where a value is expected")
        return _CONSTANTS.get(token, token)

    def _call(self, name: str, depth: int) -> float:
        count, function = _FUNCTIONS[name]
        values = [_number(self.either(depth + 1))]
        while self.take(","):
            values.append(_number(self.either(depth + 1)))
        self._close()
        if len(values) != count:
            raise ValueError(f"{name} takes {count} values, not {len(values)}")
        return float(function(*values))

    def _close(self) -> None:
        if not self.take(")"):
            raise ValueError("a parenthesis is not closed")


def typed(text: str) -> Value:
    """A parameter's text as number or truth value where it is one."""
    lowered = text.strip()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        return float(lowered)
    except ValueError:
        return text


def spelled(value: Value) -> str:
    """A value as it would stand in the file: whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return repr(value) if isinstance(value, float) else str(value)


def _number(value: Value) -> float:
    if isinstance(value, str):
        raise ValueError(f"'{value}' is no number")
    return float(value)


def _flag(value: Value) -> bool:
    if isinstance(value, str):
        raise ValueError(f"'{value}' is neither true nor false")
    return bool(value)
