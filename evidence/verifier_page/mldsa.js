// ML-DSA-44, FIPS 204: verification only. All products stay below 2^53.
const Q = 8380417;
const GAMMA1 = 131072;
const GAMMA2 = 95232;
const modQ = (value) => ((value % Q) + Q) % Q;
const ZETAS = (() => {
  const powers = [1];
  for (let n = 1; n < 256; n += 1) powers.push((powers[n - 1] * 1753) % Q);
  const reversed = (n) => parseInt(n.toString(2).padStart(8, "0").split("").reverse().join(""), 2);
  return powers.map((_, n) => powers[reversed(n)]);
})();

const ntt = (poly) => {
  const w = poly.map(modQ);
  let m = 0;
  for (let length = 128; length; length >>= 1) {
    for (let start = 0; start < 256; start += 2 * length) {
      m += 1;
      for (let j = start; j < start + length; j += 1) {
        const t = (ZETAS[m] * w[j + length]) % Q;
        w[j + length] = modQ(w[j] - t);
        w[j] = modQ(w[j] + t);
      }
    }
  }
  return w;
};
const inverseNtt = (poly) => {
  const w = [...poly];
  let m = 256;
  for (let length = 1; length < 256; length <<= 1) {
    for (let start = 0; start < 256; start += 2 * length) {
      m -= 1;
      for (let j = start; j < start + length; j += 1) {
        const t = w[j];
        w[j] = modQ(t + w[j + length]);
        w[j + length] = modQ(ZETAS[m] * modQ(w[j + length] - t));
      }
    }
  }
  return w.map((value) => (8347681 * value) % Q);
};
const unpackBits = (data, bits) => {
  const found = [];
  let [held, count] = [0, 0];
  for (const byte of data) {
    held += byte * 2 ** count;
    count += 8;
    while (count >= bits) {
      found.push(held % 2 ** bits);
      held = Math.floor(held / 2 ** bits);
      count -= bits;
    }
  }
  return found;
};
const sampled = (seed) => {
  for (let size = 1008; ; size *= 2) {
    const data = shake128(seed, size);
    const found = [];
    for (let at = 0; at < size; at += 3) {
      const value = data[at] + 256 * data[at + 1] + 65536 * (data[at + 2] & 127);
      if (value < Q) found.push(value);
    }
    if (found.length >= 256) return found.slice(0, 256);
  }
};
const challenge = (seed) => {
  const data = shake256(seed, 1024);
  const signs = littleEndian(data.slice(0, 8));
  const c = new Array(256).fill(0);
  let at = 8;
  for (let i = 256 - 39; i < 256; i += 1) {
    while (data[at] > i) at += 1;
    c[i] = c[data[at]];
    c[data[at]] = (signs >> BigInt(i + 39 - 256)) & 1n ? -1 : 1;
    at += 1;
  }
  return c;
};
const hintsOf = (data) => {
  const found = [];
  let at = 0;
  for (const end of data.slice(80)) {
    if (end < at || end > 80) return null;
    const places = Array.from(data.slice(at, end));
    if (places.some((place, n) => n && places[n - 1] >= place)) return null;
    found.push(new Set(places));
    at = end;
  }
  return data.slice(at, 80).some((byte) => byte) ? null : found;
};
const highBits = (value, hinted) => {
  let low = value % (2 * GAMMA2);
  if (low > GAMMA2) low -= 2 * GAMMA2;
  let high = (value - low) / (2 * GAMMA2);
  if (value - low === Q - 1) [high, low] = [0, low - 1];
  return hinted ? (high + (low > 0 ? 1 : 43)) % 44 : high;
};

const mldsa44Holds = (key, message, signature) => {
  if (key.length !== 1312 || signature.length !== 2420) return false;
  const hints = hintsOf(signature.slice(2336));
  const z = [0, 1, 2, 3].map((n) =>
    unpackBits(signature.slice(32 + 576 * n, 608 + 576 * n), 18).map((value) => GAMMA1 - value));
  if (!hints || z.some((poly) => poly.some((value) => Math.abs(value) >= GAMMA1 - 78))) return false;
  const c = ntt(challenge(signature.slice(0, 32)));
  const zs = z.map(ntt);
  const packed = [];
  for (let row = 0; row < 4; row += 1) {
    const t = ntt(unpackBits(key.slice(32 + 320 * row, 352 + 320 * row), 10).map((v) => v * 8192));
    const total = c.map((value, at) => modQ(-((value * t[at]) % Q)));
    for (let column = 0; column < 4; column += 1) {
      const a = sampled(join(key.slice(0, 32), [column, row]));
      a.forEach((value, at) => { total[at] = (total[at] + value * zs[column][at]) % Q; });
    }
    const w = inverseNtt(total).map((value, at) => highBits(value, hints[row].has(at)));
    for (let at = 0; at < 256; at += 4) {
      const bits = w[at] + 64 * w[at + 1] + 4096 * w[at + 2] + 262144 * w[at + 3];
      packed.push(bits & 255, (bits >> 8) & 255, bits >> 16);
    }
  }
  const mu = shake256(join(shake256(key, 64), [0, 0], message), 64);
  return same(shake256(join(mu, packed), 32), signature.slice(0, 32));
};
