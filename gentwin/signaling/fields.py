"""The tree of fields in a message: ordered, immutable, with repeated names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Union

if TYPE_CHECKING:
    from gentwin.signaling.messages import Message


class Bits(NamedTuple):
    """A bit string.

    Args:
        value: Its bits as a number, the first bit being the highest.
        size: Number of bits.
    """

    value: int
    size: int


Value = Union[int, str, bytes, Bits, "Fields", "Message"]


class Fields(tuple):
    """Names and values in the order in which a message has them; a name may occur several times.

    A value is a number, a text, opaque bytes, a [`Bits`][gentwin.signaling.fields.Bits], a message that is carried
    inside, or fields again; `Fields(pairs)` makes them of pairs. Fields can be hashed and compared, and share what they
    have in common with those they were made from.

    ```python
    >>> fields = Fields.of(cause=22, timer=Fields.of(unit="1 min", value=3))
    >>> fields["timer.value"], fields.get("dnn")
    (3, None)
    >>> fields.with_value("timer.value", 4)["timer.value"]
    4
    ```
    """

    __slots__ = ()

    @classmethod
    def of(cls, **values: Value) -> Fields:
        """Returns the fields with these names and values."""
        return cls(values.items())

    def __getitem__(self, path: Any) -> Any:
        """Returns the first value at a path of names joined by dots; an integer or slice counts pairs.

        Raises:
            KeyError: If there is no such field.
        """
        if not isinstance(path, str):
            return super().__getitem__(path)
        name, _, rest = path.partition(".")
        for known, value in self:
            if known == name:
                return value[rest] if rest else value
        raise KeyError(path)

    def get(self, path: str, default: Any = None) -> Any:
        """Returns the first value at a path, or `default`."""
        try:
            return self[path]
        except (KeyError, TypeError):
            return default

    def all(self, name: str) -> list[Any]:
        """Returns the values of all fields of a name."""
        return [value for known, value in self if known == name]

    def names(self) -> list[str]:
        """Returns the names in order, repeated ones as often as they occur."""
        return [name for name, _ in self]

    def has(self, path: str) -> bool:
        """Returns whether there is a field at a path."""
        return self.get(path, _MISSING) is not _MISSING

    def with_value(self, path: str, value: Value) -> Fields:
        """Returns the fields with another value at a path: the first of that name, or a new one at the end."""
        name, _, rest = path.partition(".")
        for place, (known, old) in enumerate(self):
            if known == name:
                new = old.with_value(rest, value) if rest else value
                return Fields((*self[:place], (name, new), *self[place + 1 :]))
        return Fields((*self, (name, Fields().with_value(rest, value) if rest else value)))

    def without(self, path: str) -> Fields:
        """Returns the fields without any at a path."""
        name, _, rest = path.partition(".")
        if not rest:
            return Fields((known, value) for known, value in self if known != name)
        return Fields(
            (known, value.without(rest) if known == name and hasattr(value, "without") else value)
            for known, value in self
        )

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Value]]:
        """Yields the path and value of every field that holds no others, depth first, through messages inside."""
        for name, value in self:
            inner = value if isinstance(value, Fields) else getattr(value, "fields", None)
            if inner is None:
                yield prefix + name, value
            else:
                yield from inner.walk(f"{prefix}{name}.")

    def __repr__(self) -> str:
        return "Fields(" + ", ".join(f"{name}={value!r}" for name, value in self) + ")"


_MISSING = object()
