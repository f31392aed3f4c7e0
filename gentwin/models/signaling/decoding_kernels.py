"""Compiled steps of small twins: all layers over the new tokens of several contexts, in one call.

Sums run over their terms in one order, however many tokens or contexts come at once. So what a context gives does not
depend on the others, nor on how its tokens were divided, to the last bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_IN_ORDER = {"contract", "nsz"}  # multiply-adds, no other order of sums
_LOG2_E = np.float32(1.4426950408889634)
_LOWEST, _HIGHEST = np.float32(-126.0), np.float32(127.0)  # exponents of ordinary numbers
_EXPONENT_BIAS, _FRACTION_BITS = 127, 23
# Taylor's coefficients of 2**r, |r| <= 1/2, from the highest power: below 1e-7 of the value.
_C6, _C5, _C4 = np.float32(1.540353039e-4), np.float32(1.333355815e-3), np.float32(9.618129108e-3)
_C3, _C2, _C1 = np.float32(5.550410866e-2), np.float32(2.402265070e-1), np.float32(6.931471806e-1)
PAGE = 256  # positions that are held together
LANES = 64  # positions are looked at in multiples of it
MANY = 8  # rows from which on int8 is made float32 before it is read by each four of them
_BLOCK = 64  # tokens that are passed over at once if none of them is allowed
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_IN_ORDER)
def product(x, w, y, rows, depth, width):
    """Sets `y[:rows, :width]` to `x[:rows, :depth] @ w[:depth, :width]`; four rows at a time share what is read."""
    row = 0
    while row + 4 <= rows:
        _four_rows(x[row : row + 4], w, y[row : row + 4], depth, width)
        row += 4
    for rest in range(row, rows):
        _one_row(x[rest], w, y[rest], depth, width)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_IN_ORDER)
def _four_rows(x, w, y, depth, width):
    xa, xb, xc, xd = x[0], x[1], x[2], x[3]
    ya, yb, yc, yd = y[0], y[1], y[2], y[3]
    for j in range(width):
        ya[j] = yb[j] = yc[j] = yd[j] = _ZERO
    t = 0
    while t + 4 <= depth:
        a0, a1, a2, a3 = xa[t], xa[t + 1], xa[t + 2], xa[t + 3]
        b0, b1, b2, b3 = xb[t], xb[t + 1], xb[t + 2], xb[t + 3]
        c0, c1, c2, c3 = xc[t], xc[t + 1], xc[t + 2], xc[t + 3]
        d0, d1, d2, d3 = xd[t], xd[t + 1], xd[t + 2], xd[t + 3]
        w0, w1, w2, w3 = w[t], w[t + 1], w[t + 2], w[t + 3]
        for j in range(width):
            u0, u1, u2, u3 = np.float32(w0[j]), np.float32(w1[j]), np.float32(w2[j]), np.float32(w3[j])
            ya[j] = ya[j] + a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3
            yb[j] = yb[j] + b0 * u0 + b1 * u1 + b2 * u2 + b3 * u3
            yc[j] = yc[j] + c0 * u0 + c1 * u1 + c2 * u2 + c3 * u3
            yd[j] = yd[j] + d0 * u0 + d1 * u1 + d2 * u2 + d3 * u3
        t += 4
    for rest in range(t, depth):
        a0, b0, c0, d0 = xa[rest], xb[rest], xc[rest], xd[rest]
        w0 = w[rest]
        for j in range(width):
            u0 = np.float32(w0[j])
            ya[j] = ya[j] + a0 * u0
            yb[j] = yb[j] + b0 * u0
            yc[j] = yc[j] + c0 * u0
            yd[j] = yd[j] + d0 * u0


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_IN_ORDER)
def _one_row(x, w, y, depth, width):
    for j in range(width):
        y[j] = _ZERO
    t = 0
    while t + 8 <= depth:
        a0, a1, a2, a3, a4, a5, a6, a7 = x[t], x[t + 1], x[t + 2], x[t + 3], x[t + 4], x[t + 5], x[t + 6], x[t + 7]
        w0, w1, w2, w3, w4, w5, w6, w7 = w[t], w[t + 1], w[t + 2], w[t + 3], w[t + 4], w[t + 5], w[t + 6], w[t + 7]
        for j in range(width):
            u0, u1, u2, u3 = np.float32(w0[j]), np.float32(w1[j]), np.float32(w2[j]), np.float32(w3[j])
            u4, u5, u6, u7 = np.float32(w4[j]), np.float32(w5[j]), np.float32(w6[j]), np.float32(w7[j])
            low = y[j] + a0 * u0 + a1 * u1 + a2 * u2 + a3 * u3
            y[j] = low + a4 * u4 + a5 * u5 + a6 * u6 + a7 * u7
        t += 8
    for rest in range(t, depth):
        a0, w0 = x[rest], w[rest]
        for j in range(width):
            y[j] = y[j] + a0 * np.float32(w0[j])


@njit(cache=True, nogil=True, error_model="numpy")
def _projected(x, w, scales, y, rows, depth, width, room):
    """Sets `y[:rows, :width]` to `x[:rows, :depth] @ (w * scales)`, or `@ w` if there are no scales.

    In `room`, int8 that many rows read is made float32 once; sums are the same either way.
    """
    if len(scales) and rows >= MANY:
        wide = room[: depth * width].reshape(depth, width)
        for t in range(depth):
            whole, held = wide[t], w[t]
            for j in range(width):
                whole[j] = np.float32(held[j])
        product(x, wide, y, rows, depth, width)
    else:
        product(x, w, y, rows, depth, width)
    if len(scales):
        for row in range(rows):
            yr = y[row]
            for j in range(width):
                yr[j] *= scales[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _looked_up(embedding, scales, tokens, x):
    """Sets each row of `x` to the vector of a token, times its scale if there are scales."""
    for place in range(len(tokens)):
        token = tokens[place]
        scale = scales[token] if len(scales) else _ONE
        for j in range(embedding.shape[1]):
            x[place, j] = np.float32(embedding[token, j]) * scale


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _dots(x, w, y, depth, width):
    """Sets `y[:4, :width]` to `x[:4, :depth] @ w[:width, :depth].T`, where `depth` is a multiple of `LANES` and `width`
    of 4. Sums of every `LANES`-th term are summed; terms that are 0 at the end change nothing."""
    xa, xb, xc, xd = x[0], x[1], x[2], x[3]
    for j in range(0, width, 4):
        w0, w1, w2, w3 = w[j], w[j + 1], w[j + 2], w[j + 3]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = _ZERO
        c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = _ZERO
        for t in range(depth):
            a, b, c, d = xa[t], xb[t], xc[t], xd[t]
            u0, u1, u2, u3 = w0[t], w1[t], w2[t], w3[t]
            a0, a1, a2, a3 = a0 + a * u0, a1 + a * u1, a2 + a * u2, a3 + a * u3
            b0, b1, b2, b3 = b0 + b * u0, b1 + b * u1, b2 + b * u2, b3 + b * u3
            c0, c1, c2, c3 = c0 + c * u0, c1 + c * u1, c2 + c * u2, c3 + c * u3
            d0, d1, d2, d3 = d0 + d * u0, d1 + d * u1, d2 + d * u2, d3 + d * u3
        y[0, j], y[0, j + 1], y[0, j + 2], y[0, j + 3] = a0, a1, a2, a3
        y[1, j], y[1, j + 1], y[1, j + 2], y[1, j + 3] = b0, b1, b2, b3
        y[2, j], y[2, j + 1], y[2, j + 2], y[2, j + 3] = c0, c1, c2, c3
        y[3, j], y[3, j + 1], y[3, j + 2], y[3, j + 3] = d0, d1, d2, d3


@njit(cache=True, nogil=True, error_model="numpy", fastmath=_IN_ORDER)
def _powers(x, shift, bits, length):
    """Makes of `exp(x - shift)` a fraction, in `x`, and a power of 2, in `bits` as float32, whose product it is."""
    for j in range(length):
        scaled = (x[j] - shift) * _LOG2_E
        scaled = scaled if scaled > _LOWEST else _LOWEST
        scaled = scaled if scaled < _HIGHEST else _HIGHEST
        whole = np.floor(scaled + _HALF)
        r = scaled - whole
        p = _C6 * r + _C5
        p = p * r + _C4
        p = p * r + _C3
        p = p * r + _C2
        p = p * r + _C1
        x[j] = p * r + _ONE
        bits[j] = np.int32(whole) + np.int32(_EXPONENT_BIAS) << np.int32(_FRACTION_BITS)


@njit(cache=True, nogil=True, error_model="numpy")
def exponential(x, bits, length):
    """Sets `x[:length]` to its exponential, to a relative error of about 1e-6, within what ordinary numbers can be.

    Args:
        x: float32.
        bits: int32 of the same length, to work in.
        length: Number of elements.
    """
    _powers(x, _ZERO, bits, length)
    powers = bits.view(np.float32)
    for j in range(length):
        x[j] *= powers[j]


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _weighed(scores, row, own, last, bits, peaks):
    """Sets the scores of a row to `exp(score - highest)` and to 0 from position `own` on, and returns their sum.

    Args:
        scores: `(pages, 4, PAGE)`.
        row: 0 to 3.
        own: Number of scores.
        last: Number of positions that are looked at, from `own` on; so are those up to a multiple of `LANES`.
        bits: To work in, int32 `(PAGE,)`.
        peaks: To work in, `(LANES,)`.
    """
    pages, powers = -(-last // PAGE), bits.view(np.float32)
    peaks[:] = -np.inf
    for page in range(pages):
        part, width = scores[page, row], _width(page, last)
        for j in range(max(own - page * PAGE, 0), width):
            part[j] = -np.inf
        for start in range(0, width, LANES):
            some = part[start : start + LANES]
            for j in range(LANES):
                peaks[j] = some[j] if some[j] > peaks[j] else peaks[j]
    highest, total = peaks.max(), _ZERO
    for page in range(pages):
        part, width = scores[page, row], _width(page, last)
        _powers(part, highest, bits, width)
        for j in range(max(own - page * PAGE, 0), width):
            part[j] = _ZERO
        for j in range(width):
            part[j] *= powers[j]
            total += part[j]
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def _width(page, last):
    """Returns how much of a page is looked at if there are so many positions, a multiple of `LANES`."""
    return -(-min(last - page * PAGE, PAGE) // LANES) * LANES


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def _normalised(x, weight, epsilon, y, rows):
    width = len(weight)
    for row in range(rows):
        xr, yr = x[row], y[row]
        total = _ZERO
        for j in range(width):
            total += xr[j] * xr[j]
        scale = _ONE / np.sqrt(total / np.float32(width) + epsilon)
        for j in range(width):
            yr[j] = weight[j] * (xr[j] * scale)


@njit(cache=True, nogil=True, error_model="numpy")
def _gated(x, scratch, bits, width, rows):
    """Sets the first half of each row to the SiLU of it times the second half."""
    for row in range(rows):
        xr = x[row]
        for j in range(width):
            scratch[j] = -xr[j]
        exponential(scratch, bits, width)
        for j in range(width):
            xr[j] = xr[j] / (_ONE + scratch[j]) * xr[width + j]


@njit(cache=True, nogil=True, error_model="numpy")
def _turned(x, cosines, sines):
    """Turns a head of a query or key to its position (RoPE, halves apart)."""
    half = len(cosines)
    for j in range(half):
        low, high = x[j], x[half + j]
        x[j] = low * cosines[j] - high * sines[j]
        x[half + j] = high * cosines[j] + low * sines[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _placed(projected, first, count, start, cosines, sines, heads, memory, pages, layer):
    """Turns queries and keys of a context's new tokens to their positions, and keeps keys and values.

    Args:
        projected: Queries, keys and values of all new tokens.
        first: Place of the context's first one.
        count: How many there are.
        start: Its position.
        cosines: Of positions.
        sines: Of positions.
        heads: Number of heads of queries.
        memory: As in `advance_transformer`.
        pages: Of the context.
        layer: In which this is.
    """
    groups, size = memory.shape[3], memory.shape[4]
    for token in range(count):
        row, position = projected[first + token], start + token
        page, place = memory[pages[position // PAGE], layer], position % PAGE
        for head in range(heads + groups):
            _turned(row[head * size : (head + 1) * size], cosines[position], sines[position])
        for kind in range(2):
            for group in range(groups):
                kept, new = page[kind, group], row[(heads + kind * groups + group) * size :]
                for j in range(size):
                    kept[j, place] = new[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _attended(projected, first, count, start, heads, memory, pages, layer, scores, bits, out):
    """Sets `out[:count]` to what the queries of a context's tokens find, each among positions up to its own.

    Args:
        projected: Queries first in each row.
        first: Row of the first of the tokens.
        count: How many there are.
        start: Position of the first one.
        heads: Number of heads of queries.
        memory: As in `advance_transformer`.
        pages: Of the context.
        layer: In which this is.
        scores: To work in, `(pages, 4, PAGE)`.
        bits: To work in, int32 `(PAGE,)`.
        out: `(count, heads * size)`.
    """
    groups, size = memory.shape[3], memory.shape[4]
    share = heads // groups
    scale = _ONE / np.sqrt(np.float32(size))
    queries, part = np.zeros((4, size), np.float32), np.empty((4, size), np.float32)
    totals, peaks = np.empty(4, np.float32), np.empty(LANES, np.float32)
    for group in range(groups):
        for top in range(0, count * share, 4):
            rows = min(4, count * share - top)
            last = start + (top + rows - 1) // share + 1
            for row in range(rows):
                token, head = (top + row) // share, group * share + (top + row) % share
                for j in range(size):
                    queries[row, j] = projected[first + token, head * size + j] * scale
                    out[token, head * size + j] = _ZERO
            for page in range(-(-last // PAGE)):
                keys = memory[pages[page], layer, 0, group]
                product(queries, keys, scores[page], rows, size, min(last - page * PAGE, PAGE))
            for row in range(rows):
                totals[row] = _weighed(scores, row, start + (top + row) // share + 1, last, bits, peaks)
            for page in range(-(-last // PAGE)):
                _dots(scores[page], memory[pages[page], layer, 1, group], part, _width(page, last), size)
                for row in range(rows):
                    token, head = (top + row) // share, group * share + (top + row) % share
                    for j in range(size):
                        out[token, head * size + j] += part[row, j] / totals[row]


@njit(cache=True, nogil=True, error_model="numpy")
def _added(x, y, rows):
    for row in range(rows):
        xr, yr = x[row], y[row]
        for j in range(len(xr)):
            xr[j] += yr[j]


@njit(cache=True, nogil=True, error_model="numpy")
def advance_transformer(
    embedding, joined, outward, widened, narrowed, scales, norms, last_norm, epsilon, cosines, sines, memory, pages,
    tokens, starts, counts, wanted, hidden,
):  # fmt: skip
    """Reads new tokens of several contexts, and keeps their keys and values.

    Args:
        embedding: `(vocabulary, D)`; it and the next four float32 or int8.
        joined: Queries, keys and values at once, `(layers, D, …)`.
        outward: `(layers, heads * size, D)`.
        widened: Gate and what is gated at once, `(layers, D, 2 * I)`.
        narrowed: `(layers, I, D)`.
        scales: Of the five before, of each token or output, `(vocabulary,)`, `(layers, …)`; none if they are float32.
        norms: Before attention and before the rest, `(layers, 2, D)`.
        last_norm: `(D,)`.
        epsilon: Of the norms, float32.
        cosines: `(positions, size / 2)`.
        sines: Likewise.
        memory: Keys and values in pages of positions, `(pages, layers, 2, heads of keys, size, PAGE)`.
        pages: Of each context, in order, `(contexts, pages)`.
        tokens: Of all contexts, one after the other, int64.
        starts: Position of the first new token of each.
        counts: Number of new tokens of each, at least 1.
        wanted: Number of those, at the end, of which `hidden` is wanted, at least 1.
        hidden: Result, `(sum of wanted, D)`.
    """
    layers, width, size = joined.shape[0], embedding.shape[1], memory.shape[4]
    heads, inner, total = outward.shape[1] // size, narrowed.shape[1], len(tokens)
    x, h = np.empty((total, width), np.float32), np.empty((total, width), np.float32)
    projected = np.empty((total, joined.shape[2]), np.float32)
    attended = np.empty((total, heads * size), np.float32)
    wide = np.empty((total, 2 * inner), np.float32)
    scratch, bits = np.empty(inner, np.float32), np.empty(max(inner, PAGE), np.int32)
    scores = np.zeros((pages.shape[1], 4, PAGE), np.float32)
    of_tokens, of_joined, of_outward, of_widened, of_narrowed = scales
    room = np.empty(max(projected.shape[1], 2 * inner, heads * size) * max(width, inner), np.float32)
    _looked_up(embedding, of_tokens, tokens, x)
    for layer in range(layers):
        _normalised(x, norms[layer, 0], epsilon, h, total)
        _projected(h, joined[layer], of_joined[layer], projected, total, width, joined.shape[2], room)
        first, kept = 0, 0
        for context in range(len(counts)):
            count, start = counts[context], starts[context]
            _placed(projected, first, count, start, cosines, sines, heads, memory, pages[context], layer)
            use = wanted[context] if layer == layers - 1 else count
            begin, position, out = first + count - use, start + count - use, attended[kept:]
            _attended(projected, begin, use, position, heads, memory, pages[context], layer, scores, bits, out)
            for place in range(use):
                x[kept + place] = x[begin + place]
            first += count
            kept += use
        _projected(attended, outward[layer], of_outward[layer], h, kept, heads * size, width, room)
        _added(x, h, kept)
        _normalised(x, norms[layer, 1], epsilon, h, kept)
        _projected(h, widened[layer], of_widened[layer], wide, kept, width, 2 * inner, room)
        _gated(wide, scratch, bits, inner, kept)
        _projected(wide, narrowed[layer], of_narrowed[layer], h, kept, inner, width, room)
        _added(x, h, kept)
    _normalised(x, last_norm, epsilon, hidden, len(hidden))


@njit(cache=True, nogil=True, error_model="numpy")
def _celled(gates, cells, hidden, scratch, bits):
    """Advances the cells of one layer of an LSTM by one token, from the sums that go into its gates."""
    size = len(cells)
    for j in range(size):
        scratch[j], scratch[size + j], scratch[3 * size + j] = -gates[j], -gates[size + j], -gates[3 * size + j]
        scratch[2 * size + j] = np.float32(-2.0) * gates[2 * size + j]
    exponential(scratch, bits, 4 * size)
    for j in range(size):
        keep, take = _ONE / (_ONE + scratch[size + j]), _ONE / (_ONE + scratch[j])
        new = (_ONE - scratch[2 * size + j]) / (_ONE + scratch[2 * size + j])
        cells[j] = keep * cells[j] + take * new
        scratch[j] = np.float32(-2.0) * cells[j]
    exponential(scratch, bits, size)
    for j in range(size):
        hidden[j] = (_ONE - scratch[j]) / (_ONE + scratch[j]) / (_ONE + scratch[3 * size + j])


@njit(cache=True, nogil=True, error_model="numpy")
def advance_lstm(
    embedding, inputs, first_input, recurrent, projection, scales, biases, states, tokens, counts, trail, hidden
):
    """Reads new tokens of several contexts.

    Args:
        embedding: `(vocabulary, E)`; it and the next four float32 or int8.
        inputs: To the gates from the layer below, `(layers - 1, H, 4 * H)`.
        first_input: To the gates of the first layer, `(E, 4 * H)`.
        recurrent: To the gates from the layer itself, `(layers, H, 4 * H)`.
        projection: `(H, E)`.
        scales: Of the five before, as in `advance_transformer`.
        biases: `(layers, 4 * H)`.
        states: Before the first token of each context, `(contexts, layers, 2, H)`.
        tokens: Of all contexts, one after the other, int64.
        counts: Number of new tokens of each, at least 1.
        trail: Result, the state after each token, `(tokens, layers, 2, H)`.
        hidden: Result, `(tokens, E)`.
    """
    layers, size, total = recurrent.shape[0], recurrent.shape[1], len(tokens)
    below = np.empty((total, max(size, embedding.shape[1])), np.float32)
    sums, scratch = np.empty((total, 4 * size), np.float32), np.empty(4 * size, np.float32)
    bits, live = np.empty(4 * size, np.int32), np.empty(len(counts), np.int64)
    old, step = np.empty((len(counts), size), np.float32), np.empty((len(counts), 4 * size), np.float32)
    firsts = np.cumsum(counts) - counts
    of_tokens, of_inputs, of_first, of_recurrent, of_projection = scales
    room = np.empty(max(size, embedding.shape[1]) * 4 * size, np.float32)
    _looked_up(embedding, of_tokens, tokens, below)
    for layer in range(layers):
        if layer == 0:
            _projected(below, first_input, of_first, sums, total, embedding.shape[1], 4 * size, room)
        else:
            _projected(below, inputs[layer - 1], of_inputs[layer - 1], sums, total, size, 4 * size, room)
        for time in range(counts.max()):
            alive = 0
            for context in range(len(counts)):
                if time < counts[context]:
                    live[alive] = context
                    before = trail[firsts[context] + time - 1, layer] if time else states[context, layer]
                    old[alive] = before[0]
                    trail[firsts[context] + time, layer, 1] = before[1]
                    alive += 1
            _projected(old, recurrent[layer], of_recurrent[layer], step, alive, size, 4 * size, room)
            for number in range(alive):
                place = firsts[live[number]] + time
                for j in range(4 * size):
                    step[number, j] += sums[place, j] + biases[layer, j]
                _celled(step[number], trail[place, layer, 1], trail[place, layer, 0], scratch, bits)
                below[place, :size] = trail[place, layer, 0]
    _projected(below, projection, of_projection, hidden, total, size, embedding.shape[1], room)


@njit(cache=True, nogil=True, error_model="numpy", fastmath=True)
def best_of(head, scales, hidden, allowed):
    """Returns the first of the allowed tokens whose logit is highest; -1 if none is allowed.

    Args:
        head: Vectors of tokens, `(vocabulary, D)`, float32 or int8.
        scales: What the logit of each is to be multiplied by, `(vocabulary,)`; none if they are float32.
        hidden: What is known, `(D,)`.
        allowed: `(vocabulary,)` bool.
    """
    best, highest = -1, _ZERO
    for start in range(0, len(allowed), _BLOCK):
        block = allowed[start : start + _BLOCK]
        some = False
        for place in range(len(block)):
            some |= block[place]
        if not some:
            continue
        for place in range(len(block)):
            if block[place]:
                row, logit = head[start + place], _ZERO
                for j in range(len(hidden)):
                    logit += np.float32(row[j]) * hidden[j]
                if len(scales):
                    logit *= scales[start + place]
                if best < 0 or logit > highest:
                    best, highest = start + place, logit
    return best
