/** Integer operations on vectors that Wasm has nothing like. */

/** The least of eight unsigned words, and in bits 16-18 where it first stands. */
export function phminposuw(a: v128): v128 {
  let low = u64(i64x2.extract_lane(a, 0));
  let high = u64(i64x2.extract_lane(a, 1));
  let best: u32 = 0x10000;
  let index: u32 = 0;
  for (let n: u32 = 0; n < 8; n++) {
    const word = u32(low) & 0xffff;
    if (word < best) {
      best = word;
      index = n;
    }
    low = (low >> 16) | (high << 48);
    high >>= 16;
  }
  return i64x2.replace_lane(i64x2.splat(0), 0, u64(best | (index << 16)));
}

/** Four sums of absolute differences: of the windows of four bytes that `windows` picks from a, against `block` repeated. */
// @ts-ignore: decorator
@inline
function differences(a: v128, windows: v128, block: v128): v128 {
  const w = v128.swizzle(a, windows);
  const d = v128.or(i8x16.sub_sat_u(w, block), i8x16.sub_sat_u(block, w));
  return i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(d));
}

/** Eight sums of absolute differences: of four bytes of b against four from each of eight places in a. */
export function mpsadbw(a: v128, b: v128, imm: u32): v128 {
  const chosen = i8x16.add(i8x16.splat(u8((imm & 3) << 2)), i8x16(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3));
  const block = v128.swizzle(b, chosen);
  const windows = i8x16.add(i8x16.splat(u8(imm & 4)), i8x16(0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6));
  return i16x8.narrow_i32x4_u(differences(a, windows, block), differences(a, i8x16.add(windows, i8x16.splat(4)), block));
}
