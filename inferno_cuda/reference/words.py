"""Random numbers that depend on a seed, a stream and an index alone, and what is made of them."""

import itertools
import math

import torch

_WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def philox(seed, stream, index, attempt=0):
    """Four words, 32 bits each, of every index: Philox4x32-10 (Salmon et al. 2011).

    The key is the seed; the counter is (low word of the index, its high word, stream, attempt).

    Args:
        seed: integer of 64 bits.
        stream, attempt: integers of 32 bits, or int64 tensors that broadcast with index.
        index: int64 tensor.

    Returns:
        Four int64 tensors of values in [0, 2^32).
    """
    a, b = index & _WORD, (index >> 32) & _WORD
    c, d = torch.zeros_like(a) + stream, torch.zeros_like(a) + attempt
    keys = [seed & _WORD, (seed >> 32) & _WORD]
    for _ in range(10):
        # all 64 bits are right, though those of a signed number
        first, second = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b = ((second >> 32) & _WORD) ^ b ^ keys[0], second & _WORD
        c, d = ((first >> 32) & _WORD) ^ d ^ keys[1], first & _WORD
        keys = [(key + step) & _WORD for key, step in zip(keys, _KEY_STEPS, strict=True)]
    return a, b, c, d


def uniform(high, low):
    """A float64 in (0, 1) from two words: the middle of one of 2^52 equal parts; ``u`` and ``1 - u`` are both exact."""
    return (((high << 20) | (low >> 12)).double() + 0.5) * 2.0**-52


def below(high, low, count):
    """An integer in [0, count) from two words, for count < 2^31: ``floor(word64 * count / 2^64)``."""
    return (high * count + ((low * count) >> 32)) >> 32


# 2 / 21, 2 / 19, ..., 2 / 3, 2
_ATANH = tuple(2.0 / n for n in range(21, 0, -2))
_LN2 = (0.6931471803691238, 1.9082149292705877e-10)  # whole multiples of the first are exact


def log(x):
    """Natural logarithm of positive float64 numbers of the normal range; every backend rounds alike.

    With ``x = 2^e m`` and m between sqrt(1/2) and sqrt(2): ``e ln 2 + 2 atanh(s)``, ``s = (m - 1) / (m + 1)``.
    """
    bits = x.view(torch.int64)
    exponent = (bits >> 52) - 1023
    m = ((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(torch.float64)
    large = m > 1.4142135623730951
    m = torch.where(large, m * 0.5, m)
    e = (exponent + large).double()
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    p = torch.full_like(x, _ATANH[0])
    for coefficient in _ATANH[1:]:
        p = p * z + coefficient
    return e * _LN2[0] + (p * s + e * _LN2[1])


def sqrt(x):
    """Square root of positive float64 numbers of the normal range; every backend rounds alike.

    ``torch.sqrt`` differs in the last bit where it calls MKL. Half the exponent is within 0.07 of it; Heron's rule then
    squares the error four times.
    """
    root = ((x.view(torch.int64) >> 1) + 0x1FF8000000000000).view(torch.float64)
    for _ in range(4):
        root = 0.5 * (root + x / root)
    return root


def _rational(r, numerator, denominator):
    p, q = torch.full_like(r, numerator[0]), torch.full_like(r, denominator[0])
    for a, b in zip(numerator[1:], denominator[1:], strict=True):
        p, q = p * r + a, q * r + b
    return p / q


_CENTRE = (
    (
        *(2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457),
        *(13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    ),
    (
        *(5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867),
        *(5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
    ),
)
_TAIL = (
    (
        *(7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258),
        *(3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    ),
    (
        *(1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459),
        *(0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
    ),
)
_FAR_TAIL = (
    (
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093),
        *(0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    ),
    (
        *(2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4),
        *(0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
    ),
)


def normal_quantile(u):
    """The standard normal number below which a share u, in (0, 1), of all lie: AS 241, PPND16 (Wichura 1988)."""
    q = u - 0.5
    centre = q * _rational(0.180625 - q * q, *_CENTRE)
    r = sqrt(-log(torch.minimum(u, 1.0 - u)))
    tail = torch.where(r <= 5.0, _rational(r - 1.6, *_TAIL), _rational(r - 5.0, *_FAR_TAIL))
    return torch.where(q.abs() <= 0.425, centre, torch.where(q < 0, -tail, tail))


def poisson_table(mean):
    """Cumulative probabilities of Poisson numbers of this mean, in units of 2^-32: a sorted int64 tensor ``[n]``.

    Element j is the probability of at most j, rounded; those that round to 1 are left out. A word then stands for as
    many events as there are elements that are at most the word. So the tail above a probability of 2^-33 is cut off.

    Additions, multiplications and divisions only, so that the table is the same on every machine.
    """
    if mean == 0:
        return torch.zeros(0, dtype=torch.int64)
    # probabilities in units of that of the mode, as far as they matter
    mode, upwards, downwards = math.floor(mean), [1.0], [1.0]
    while upwards[-1] > 1e-25:
        upwards.append(upwards[-1] * (mean / (mode + len(upwards))))
    while downwards[-1] > 1e-25 and len(downwards) <= mode:
        downwards.append(downwards[-1] * ((mode + 1 - len(downwards)) / mean))
    terms = [*reversed(downwards), *upwards[1:]]
    total = math.fsum(terms)
    below_all = [0] * (mode + 1 - len(downwards))
    scaled = (round(partial / total * 2.0**32) for partial in itertools.accumulate(terms))
    return torch.tensor([*below_all, *itertools.takewhile(lambda entry: entry < 2**32, scaled)], dtype=torch.int64)


def poisson_count(table, words):
    """How many events each word stands for, see :func:`poisson_table`; int64, in the shape of words."""
    return torch.searchsorted(table, words, right=True)


def permuted(position, count, seed, stream, key):
    """Element `position` of a pseudo-random permutation of [0, count), one permutation for each key.

    A Feistel network on pairs of numbers, (0..a-1) x (0..b-1) with a b just above count (Black & Rogaway 2002), walked
    until it comes back into range. The keys of its rounds are the words of attempts 1, 2, ... of index `key`: 12 keys,
    and 24 where count is below 16, because short permutations mix slowly.

    Args:
        position: int64 tensor, in [0, count).
        count: integer below 2^62.
        seed, stream: as for :func:`philox`.
        key: int64 tensor of position's shape.
    """
    a = math.isqrt(max(count - 1, 0)) + 1
    b = -(-count // a)
    attempts = range(1, 7 if count < 16 else 4)
    keys = [word for attempt in attempts for word in philox(seed, stream, key, attempt)]
    position, outside = position.clone(), torch.ones_like(position, dtype=torch.bool)
    while outside.any():
        left, right = position[outside] // b, position[outside] % b
        for i, word in enumerate(key[outside] for key in keys):
            half, other, size = (left, right, a) if i % 2 == 0 else (right, left, b)
            half = (half + ((_mixed(other, word) * size) >> 32)) % size
            left, right = (half, right) if i % 2 == 0 else (left, half)
        position[outside] = left * b + right
        outside = position >= count
    return position


def _mixed(x, key):
    """32 bits that depend on all bits of x and key."""
    x = ((x ^ key) * _MULTIPLIERS[0]) & _WORD
    x = ((x ^ (x >> 15)) * _MULTIPLIERS[1]) & _WORD
    return x ^ (x >> 16)
