/**
 * The XZ container as far as kernels use it: blocks of LZMA2, with or without the x86 BCJ filter before it.
 *
 * (The .xz File Format 1.1.0: "Stream Header", "Block Header", "List of Filters".) A CRC32 check is verified; CRC64
 * and SHA-256, which kernel builds do not use, are passed over. The index after the last block is not read.
 */
import { BootError } from "./boot-error.ts";
import { crc32 } from "./crc32.ts";
import { decodeLzma2 } from "./lzma2.ts";

const filterX86 = 0x04;
const filterLzma2 = 0x21;
/** Bytes of a check by its type's number. */
const checkSizes = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;

const corrupt = (what: string): BootError => new BootError(`the kernel's XZ data is corrupt: ${what}`);

const u32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;

/** Decodes one XZ stream to `output` and gives back the bytes written. */
export function decodeXz(input: Uint8Array, output: Uint8Array): number {
  if (input.length < 12) throw corrupt("it is truncated");
  if (input[6] !== 0 || input[7] > 15 || crc32(input, 6, 8) !== u32(input, 8)) throw corrupt("its header");
  const check = input[7];
  let at = 12;
  let to = 0;
  for (;;) {
    if (at >= input.length) throw corrupt("it is truncated");
    if (input[at] === 0) return to;
    const headerEnd = at + (input[at] + 1) * 4;
    if (headerEnd > input.length) throw corrupt("it is truncated");
    if (crc32(input, at, headerEnd - 4) !== u32(input, headerEnd - 4)) throw corrupt("a block's header");
    const x86 = readFilters(input, at, headerEnd - 4);
    const block = decodeLzma2(input, headerEnd, output, to);
    if (x86) undoX86(output, to, block.outputEnd);
    // The compressed data is padded to four bytes, counted from the block's start, itself aligned in the stream.
    at = block.inputEnd + (-block.inputEnd & 3);
    const checkSize = checkSizes[check];
    if (at + checkSize > input.length) throw corrupt("it is truncated");
    if (check === 1 && crc32(output, to, block.outputEnd) !== u32(input, at)) throw corrupt("its checksum is wrong");
    at += checkSize;
    to = block.outputEnd;
  }
}

/** Whether the block at `start` has the x86 filter before its LZMA2; other filters are refused by name. */
function readFilters(input: Uint8Array, start: number, end: number): boolean {
  let at = start + 2;
  const vli = (): number => {
    let value = 0;
    for (let scale = 1; at < end; scale *= 128) {
      const byte = input[at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale > 2 ** 49) break;
    }
    throw corrupt("a block's header");
  };
  const flags = input[start + 1];
  if (flags & 0x40) vli();
  if (flags & 0x80) vli();
  const ids: number[] = [];
  for (let count = (flags & 3) + 1; count > 0; count--) {
    const id = vli();
    const size = vli();
    // The start offset, the x86 filter's only property, is zero where it is absent; a kernel has none.
    if (id === filterX86 && size !== 0) throw new BootError("the kernel's XZ data uses an x86 filter with an offset");
    at += size;
    if (at > end) throw corrupt("a block's header");
    ids.push(id);
  }
  if (ids.length === 1 && ids[0] === filterLzma2) return false;
  if (ids.length === 2 && ids[0] === filterX86 && ids[1] === filterLzma2) return true;
  const names = ids.map((id) => `0x${id.toString(16)}`).join(", ");
  throw new BootError(`the kernel's XZ data uses filters that are not supported (${names}); only LZMA2 and x86 are`);
}

/** Whether a byte can be the highest of an operand that was converted: those stay within 16 MiB of zero. */
const isHigh = (byte: number): boolean => byte === 0 || byte === 0xff;

/** How far back the one set bit of a three-bit mask lies; -1 where several are set. */
const backOf = [0, 1, 2, -1, 3, -1, -1, -1] as const;

/**
 * Turns the absolute targets of E8 (CALL) and E9 (JMP) in bytes[start, end) back into relative ones.
 *
 * An operand is converted when its highest byte is 00 or FF. `mask` remembers which of the three bytes before an
 * opcode were opcodes left alone (bit 0: the nearest), since their operands overlap this one: with two of them, or
 * where the overlapped operand could have been converted, this one is left alone as well.
 */
export function undoX86(bytes: Uint8Array, start: number, end: number): void {
  let previous = start - 4;
  let mask = 0;
  const last = end - 4;
  for (let at = start; at < last; at++) {
    if ((bytes[at] & 0xfe) !== 0xe8) continue;
    const gap = at - previous;
    previous = at;
    mask = gap > 3 ? 0 : (mask << (gap - 1)) & 7;
    const back = backOf[mask];
    if (back < 0 || !isHigh(bytes[at + 4]) || (back > 0 && isHigh(bytes[at + 4 - back]))) {
      mask = (mask << 1) | 1;
      continue;
    }
    const relative = relativeOf(u32(bytes, at + 1), at - start + 5, back);
    bytes[at + 1] = relative;
    bytes[at + 2] = relative >>> 8;
    bytes[at + 3] = relative >>> 16;
    bytes[at + 4] = relative & 0x1000000 ? 0xff : 0;
    at += 4;
  }
}

/** The operand before conversion. Where it would itself be taken for one by the overlap, the encoder went round again. */
function relativeOf(absolute: number, nextIp: number, back: number): number {
  let target = absolute;
  for (let round = 0; ; round++) {
    const relative = (target - nextIp) | 0;
    if (back === 0 || round === 4 || !isHigh((relative >>> (24 - back * 8)) & 0xff)) return relative;
    target = relative ^ ((1 << (32 - back * 8)) - 1);
  }
}
