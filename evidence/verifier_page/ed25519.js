// Ed25519, RFC 8032, section 5.1.7.
const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const mod = (value) => ((value % P) + P) % P;
const power = (base, exponent) => {
  let result = 1n;
  for (let b = mod(base), e = exponent; e; e >>= 1n) {
    if (e & 1n) result = mod(result * b);
    b = mod(b * b);
  }
  return result;
};
const D = mod(-121665n * power(121666n, P - 2n));
const ROOT = power(2n, (P - 1n) / 4n);

const plus = (a, b) => {
  const e = mod((a[1] - a[0]) * (b[1] - b[0]));
  const f = mod((a[1] + a[0]) * (b[1] + b[0]));
  const g = mod(2n * a[3] * b[3] * D);
  const h = mod(2n * a[2] * b[2]);
  const [w, x, y, z] = [f - e, h - g, h + g, f + e];
  return [mod(w * x), mod(y * z), mod(x * y), mod(w * z)];
};
const times = (number, point) => {
  let result = [0n, 1n, 1n, 0n];
  for (let n = number, p = point; n; n >>= 1n) {
    if (n & 1n) result = plus(result, p);
    p = plus(p, p);
  }
  return result;
};
const pointOf = (data) => {
  const number = littleEndian(data);
  const sign = number >> 255n;
  const y = number & (2n ** 255n - 1n);
  if (data.length !== 32 || y >= P) return null;
  const square = mod((y * y - 1n) * power(D * y * y + 1n, P - 2n));
  let x = power(square, (P + 3n) / 8n);
  if (mod(x * x - square)) x = mod(x * ROOT);
  if (mod(x * x - square) || (x === 0n && sign)) return null;
  if ((x & 1n) !== sign) x = P - x;
  return [x, y, 1n, mod(x * y)];
};
const BASE = pointOf(unhex("58" + "66".repeat(31)));

const ed25519Holds = (key, message, signature) => {
  if (signature.length !== 64) return false;
  const [a, r] = [pointOf(key), pointOf(signature.slice(0, 32))];
  const s = littleEndian(signature.slice(32));
  if (!a || !r || s >= ORDER) return false;
  const h = littleEndian(sha512(signature.slice(0, 32), key, message)) % ORDER;
  const [left, right] = [times(s, BASE), plus(r, times(h, a))];
  return !mod(left[0] * right[2] - right[0] * left[2]) && !mod(left[1] * right[2] - right[1] * left[2]);
};
