"""ML-DSA-44 signatures, FIPS 204, algorithms 3 and 8: verification only, as plain as it can be said."""

import hashlib

Q, DROPPED_BITS, TAU, OMEGA = 8380417, 13, 39, 80
GAMMA1, GAMMA2, BETA = 2**17, (8380417 - 1) // 88, 78
WIDTH, COEFFICIENTS = 4, 256  # k = l = 4
ZETAS = [pow(1753, int(f"{number:08b}"[::-1], 2), Q) for number in range(256)]


def ntt(poly):
    """Number theoretic transform (algorithm 41)."""
    w, m, length = list(poly), 0, 128
    while length:
        for start in range(0, COEFFICIENTS, 2 * length):
            m += 1
            for j in range(start, start + length):
                t = ZETAS[m] * w[j + length] % Q
                w[j + length], w[j] = (w[j] - t) % Q, (w[j] + t) % Q
        length //= 2
    return w


def inverse_ntt(poly):
    """The way back (algorithm 42)."""
    w, m, length = list(poly), 256, 1
    while length < COEFFICIENTS:
        for start in range(0, COEFFICIENTS, 2 * length):
            m -= 1
            for j in range(start, start + length):
                t = w[j]
                w[j], w[j + length] = (t + w[j + length]) % Q, ZETAS[m] * (w[j + length] - t) % Q
        length *= 2
    return [8347681 * value % Q for value in w]


def unpack_bits(data, bits):
    """Numbers of so many bits each, the lowest first."""
    whole = int.from_bytes(data, "little")
    return [whole >> at & ((1 << bits) - 1) for at in range(0, 8 * len(data), bits)]


def sampled(seed):
    """A polynomial of the public matrix (algorithm 30)."""
    size = 1024
    while True:
        data = hashlib.shake_128(seed).digest(size)
        triples = zip(data[0::3], data[1::3], data[2::3])
        found = [a + 256 * b + 65536 * (c & 127) for a, b, c in triples]
        found = [value for value in found if value < Q]
        if len(found) >= COEFFICIENTS:
            return found[:COEFFICIENTS]
        size *= 2


def challenge(seed):
    """The polynomial with `TAU` coefficients of 1 or -1 (algorithm 29)."""
    data = hashlib.shake_256(seed).digest(1024)
    signs, at, c = int.from_bytes(data[:8], "little"), 8, [0] * COEFFICIENTS
    for i in range(COEFFICIENTS - TAU, COEFFICIENTS):
        while data[at] > i:
            at += 1
        c[i] = c[data[at]]
        c[data[at]] = -1 if signs >> (i + TAU - COEFFICIENTS) & 1 else 1
        at += 1
    return c


def hints_of(data):
    """Places of the hints of each polynomial (algorithm 21); None: not as they are encoded."""
    found, at = [], 0
    for end in data[OMEGA:]:
        if not at <= end <= OMEGA:
            return None
        places = list(data[at:end])
        if any(a >= b for a, b in zip(places, places[1:])):
            return None
        found.append(set(places))
        at = end
    return None if any(data[at:OMEGA]) else found


def high_bits(value, hinted):
    """The high part of a number, moved by its hint (algorithms 36 and 40)."""
    low = value % (2 * GAMMA2)
    low = low - 2 * GAMMA2 if low > GAMMA2 else low
    high, low = (0, low - 1) if value - low == Q - 1 else ((value - low) // (2 * GAMMA2), low)
    if hinted:
        high = (high + (1 if low > 0 else -1)) % 44
    return high


def mldsa44_holds(public, message, signature):
    """Whether an ML-DSA-44 signature over a message, with an empty context, is true."""
    if len(public) != 1312 or len(signature) != 2420:
        return False
    seed, z_bytes = signature[:32], signature[32:2336]
    hints = hints_of(signature[2336:])
    z = [[GAMMA1 - v for v in unpack_bits(z_bytes[n : n + 576], 18)] for n in range(0, 2304, 576)]
    if hints is None or any(abs(v) >= GAMMA1 - BETA for poly in z for v in poly):
        return False
    c, z = ntt(challenge(seed)), [ntt(poly) for poly in z]
    w1 = 0
    for row in range(WIDTH):
        t1 = unpack_bits(public[32 + 320 * row : 352 + 320 * row], 10)
        t = ntt([v << DROPPED_BITS for v in t1])
        total = [-a * b for a, b in zip(c, t)]
        for column in range(WIDTH):
            a = sampled(public[:32] + bytes((column, row)))
            total = [v + x * y for v, x, y in zip(total, a, z[column])]
        for at, value in enumerate(inverse_ntt([v % Q for v in total])):
            w1 |= high_bits(value, at in hints[row]) << (6 * (COEFFICIENTS * row + at))
    digest = hashlib.shake_256(public).digest(64) + b"\0\0" + message
    mu = hashlib.shake_256(digest).digest(64)
    packed = w1.to_bytes(WIDTH * 192, "little")
    return hashlib.shake_256(mu + packed).digest(32) == seed
