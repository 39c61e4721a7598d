// Ids, nonces and times.
//
// Invariant: an id is a canonical decimal string of up to 64 bits and is never turned into a
// JavaScript number, which would lose its low digits.
// Left out: checking that an id is well formed; the server only sends good ones.

/** Compares two ids as the numbers they stand for: negative, zero or positive. */
export function compare(a, b) {
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

export const maxId = (a, b) => (compare(a, b) >= 0 ? a : b);
export const minId = (a, b) => (compare(a, b) <= 0 ? a : b);
export const after = (id) => String(BigInt(id) + 1n);
export const before = (id) => (id === '0' ? id : String(BigInt(id) - 1n));

/** A random name for a request or a message: 128 bits in 32 printable characters. */
export function nonce() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
