"""Formulas over streams and points: arithmetic that is parsed, never executed as code.

::

    formula    = sum
    sum        = product { ("+" | "-") product }
    product    = factor { ("*" | "/") factor }
    factor     = "-" factor | number | name | "(" sum ")" | call
    call       = ("min" | "max") "(" sum "," sum { "," sum } ")" | "abs" "(" sum ")"
               | "clamp" "(" sum "," sum "," sum ")" | "if" "(" condition "," sum "," sum ")"
    condition  = sum ("<" | "<=" | ">" | ">=" | "==" | "!=") sum
    name       = id [ "." id ], in double quotes where an id holds "-" or begins with a digit
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from agent.core.errors import TanshuError

LONGEST = 2000  # characters
DEEPEST = 40  # brackets, calls and signs inside each other
MOST_TERMS = 500

COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
FUNCTIONS: Mapping[str, tuple[int, int]] = {  # fewest and most arguments
    "min": (2, 20),
    "max": (2, 20),
    "abs": (1, 1),
    "clamp": (3, 3),
    "if": (3, 3),
}

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r"|(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)?)"
    r'|(?P<quoted>"[^"]*")'
    r"|(?P<sign><=|>=|==|!=|[-+*/(),<>])"
)
_CLOSE_ENOUGH = 0.5


class ExpressionError(TanshuError):
    """A formula that cannot be read; ``column`` counts from 1."""

    def __init__(self, what: str, *, column: int, hint: str) -> None:
        super().__init__(what, where=f"column {column}", hint=hint)
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A stream or point, and the column at which it stands."""

    name: str
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An operator (``+ - * /``, ``negate``), a comparison or a function with its arguments."""

    operator: str
    arguments: tuple[Node, ...]
    column: int


Node = Number | Name | Call


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    kind: str  # number, word, quoted, sign, end
    text: str
    column: int


def parse(text: str) -> Node:
    """The formula as a tree.

    Raises:
        ExpressionError: it is too long, too deep or no formula; names the column and what is
            expected there.

    >>> parse("2 * m1.energy")
    Call(operator='*', arguments=(Number(value=2.0), Name(name='m1.energy', column=5)), column=3)
    """
    if len(text) > LONGEST:
        raise ExpressionError(
            f"{len(text)} characters", column=LONGEST, hint=f"at most {LONGEST}; use two streams"
        )
    return _Parser(tuple(_tokens(text))).whole()


def names_in(node: Node) -> Iterator[Name]:
    """Every name of a formula, in the order of the text."""
    match node:
        case Name():
            yield node
        case Call(arguments=arguments):
            for argument in arguments:
                yield from names_in(argument)
        case Number():
            return


def _tokens(text: str) -> Iterator[_Token]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            hint = 'end it with "' if text[position] == '"' else "+ - * / ( ) , and comparisons"
            raise ExpressionError(
                f"{text[position]!r} has no meaning here", column=position + 1, hint=hint
            )
        kind = str(found.lastgroup)
        if kind != "space":
            yield _Token(kind=kind, text=found[0], column=position + 1)
        position = found.end()
    yield _Token(kind="end", text="", column=len(text) + 1)


class _Parser:
    """Recursive descent over the tokens, bounded in depth and size."""

    def __init__(self, tokens: tuple[_Token, ...]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        if len(tokens) > MOST_TERMS:
            column = tokens[MOST_TERMS].column
            hint = f"at most {MOST_TERMS}; use two streams"
            raise ExpressionError("too many terms", column=column, hint=hint)

    def whole(self) -> Node:
        node = self._sum()
        self._refuse_comparison()
        if self._next.kind != "end":
            raise self._unexpected('an operator, or quotes around an id with "-"')
        return node

    @property
    def _next(self) -> _Token:
        return self._tokens[self._place]

    def _take(self, *signs: str) -> _Token | None:
        token = self._next
        if token.kind == "sign" and token.text in signs:
            self._place += 1
            return token
        return None

    def _sum(self) -> Node:
        node = self._product()
        while sign := self._take("+", "-"):
            node = _call(sign.text, sign.column, node, self._product())
        return node

    def _product(self) -> Node:
        node = self._factor()
        while sign := self._take("*", "/"):
            node = _call(sign.text, sign.column, node, self._factor())
        return node

    def _factor(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            hint = f"at most {DEEPEST} inside each other"
            raise ExpressionError("nested too deeply", column=self._next.column, hint=hint)
        try:
            return self._bare_factor()
        finally:
            self._depth -= 1

    def _bare_factor(self) -> Node:
        if sign := self._take("-"):
            return _call("negate", sign.column, self._factor())
        if self._take("("):
            node = self._sum()
            self._refuse_comparison()
            self._expect(")")
            return node
        token = self._next
        if token.kind not in ("number", "word", "quoted"):
            raise self._unexpected("a number, a stream or a bracket")
        self._place += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "word" and self._take("("):
            return self._function(token)
        if token.text in FUNCTIONS:
            hint = f"write {token.text}(…)"
            raise ExpressionError(f"{token.text} is a function", column=token.column, hint=hint)
        return Name(name=token.text.strip('"'), column=token.column)

    def _function(self, word: _Token) -> Node:
        bounds = FUNCTIONS.get(word.text)
        if bounds is None:
            near = get_close_matches(word.text, FUNCTIONS, n=1, cutoff=_CLOSE_ENOUGH)
            hint = f"did you mean {near[0]}?" if near else "known: " + ", ".join(FUNCTIONS)
            raise ExpressionError(
                f'there is no function "{word.text}"', column=word.column, hint=hint
            )
        arguments = [self._condition(word) if word.text == "if" else self._sum()]
        while self._take(","):
            arguments.append(self._sum())
        self._refuse_comparison()
        self._expect(")")
        if not bounds[0] <= len(arguments) <= bounds[1]:
            wanted = str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]} to {bounds[1]}"
            what = f"{word.text} with {len(arguments)} arguments"
            raise ExpressionError(what, column=word.column, hint=f"it takes {wanted}")
        return _call(word.text, word.column, *arguments)

    def _condition(self, word: _Token) -> Node:
        left = self._sum()
        sign = self._take(*COMPARISONS)
        if sign is None:
            raise ExpressionError(
                "if needs a comparison first", column=word.column, hint="if(a > b, then, else)"
            )
        return _call(sign.text, sign.column, left, self._sum())

    def _refuse_comparison(self) -> None:
        token = self._next
        if token.kind == "sign" and token.text in COMPARISONS:
            raise ExpressionError(
                "a comparison is no number", column=token.column, hint="if(a > b, then, else)"
            )

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise self._unexpected(f'"{sign}"')

    def _unexpected(self, wanted: str) -> ExpressionError:
        token = self._next
        what = f'"{token.text}" stands here' if token.text else "the formula ends here"
        return ExpressionError(what, column=token.column, hint=f"expected {wanted}")


def _call(operator: str, column: int, *arguments: Node) -> Call:
    return Call(operator=operator, arguments=arguments, column=column)


def _number(token: _Token) -> Number:
    value = float(token.text)
    if not math.isfinite(value):
        raise ExpressionError(
            f"{token.text} is too large", column=token.column, hint="a finite number"
        )
    return Number(value=value)
