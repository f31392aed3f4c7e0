"""Sets of up to 128 users as two 64-bit words, for the compiled kernel."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
_POSITION = np.zeros(64, np.int64)
for _bit in range(64):
    _POSITION[((0x03F79D71B4CB0A89 << _bit) & 0xFFFFFFFFFFFFFFFF) >> 58] = _bit


@njit(inline="always")
def lowest_bit(word):
    """Returns the position of the lowest set bit of a non-zero word."""
    return _POSITION[((word & (~word + _ONE)) * _DE_BRUIJN) >> uint64(58)]


@njit(inline="always")
def count_bits(word):
    """Returns the number of set bits."""
    word = word - ((word >> _ONE) & uint64(0x5555555555555555))
    word = (word & uint64(0x3333333333333333)) + ((word >> uint64(2)) & uint64(0x3333333333333333))
    word = (word + (word >> uint64(4))) & uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((word * uint64(0x0101010101010101)) >> uint64(56))


@njit(inline="always")
def words_from(user):
    """Returns the two words of the set of all users whose index is `user` or more."""
    if user <= 0:
        return _ALL, _ALL
    if user < 64:
        return _ALL << uint64(user), _ALL
    if user < 128:
        return _ZERO, _ALL << uint64(user - 64)
    return _ZERO, _ZERO


@njit(inline="always")
def insert_user(words, user):
    """Adds `user` to the set."""
    words[user >> 6] |= _ONE << uint64(user & 63)


@njit(inline="always")
def remove_user(words, user):
    """Removes `user` from the set."""
    words[user >> 6] &= ~(_ONE << uint64(user & 63))


@njit
def last_user(low, high):
    """Returns the highest index in a non-empty set."""
    word, offset = (high, 64) if high != _ZERO else (low, 0)
    position = 0
    for shift in (32, 16, 8, 4, 2, 1):
        if word >> uint64(shift) != _ZERO:
            word = word >> uint64(shift)
            position += shift
    return position + offset


@njit
def first_users(low, high, count):
    """Returns the words of the `count` lowest users of a set that has at least as many."""
    first_low, first_high = _ZERO, _ZERO
    while count > 0 and low != _ZERO:
        bit = low & (~low + _ONE)
        first_low |= bit
        low ^= bit
        count -= 1
    while count > 0 and high != _ZERO:
        bit = high & (~high + _ONE)
        first_high |= bit
        high ^= bit
        count -= 1
    return first_low, first_high
