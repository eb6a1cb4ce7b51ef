/** Products of 64 by 64 bits: the upper halves. */

export function mulhu64(a: u64, b: u64): u64 {
  const aLow = a & 0xffffffff;
  const aHigh = a >> 32;
  const bLow = b & 0xffffffff;
  const bHigh = b >> 32;
  const cross = (aLow * bLow >> 32) + (aHigh * bLow & 0xffffffff) + aLow * bHigh;
  return aHigh * bHigh + (aHigh * bLow >> 32) + (cross >> 32);
}

export function mulhs64(a: i64, b: i64): i64 {
  return <i64>mulhu64(<u64>a, <u64>b) - (a < 0 ? b : 0) - (b < 0 ? a : 0);
}
