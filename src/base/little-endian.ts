/** The `size` bytes at `offset`, at most 6, as one number, the least first. Past the end of `bytes` there are zeros. */
export function littleEndian(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let n = size - 1; n >= 0; n--) value = value * 256 + (bytes[offset + n] ?? 0);
  return value;
}
