/**
 * How long the zstd frame at the start of some bytes is (RFC 8878, "Zstandard Frames"): a compressed cluster is followed by what
 * else lies in its last sector.
 */

const checksumFlag = 4;
const singleSegmentFlag = 0x20;
const blockRle = 1;

/** At most the bytes there are; what is no frame is for the decoder to refuse. */
export function zstdFrameLength(bytes: Uint8Array): number {
  const descriptor = bytes[4] ?? 0;
  const single = (descriptor & singleSegmentFlag) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  let at = 5 + (single ? 0 : 1) + dictionaryBytes + sizeBytes;
  for (let last = false; !last && at + 3 <= bytes.length; ) {
    const header = (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16);
    last = (header & 1) !== 0;
    at += 3 + (((header >> 1) & 3) === blockRle ? 1 : header >> 3);
  }
  return Math.min(bytes.length, at + ((descriptor & checksumFlag) !== 0 ? 4 : 0));
}
