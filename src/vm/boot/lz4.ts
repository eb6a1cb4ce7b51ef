/**
 * LZ4's legacy frame, the form in which `lz4 -l` and kernel builds write: a magic, then blocks of up to 8 MiB of
 * output, each after its packed size. (LZ4 Frame Format, "Legacy frame"; LZ4 Block Format.)
 *
 * Law: work is bounded by input and output, since every sequence takes a byte of input and copies inside the output.
 */
import { BootError } from "./boot-error.ts";

const corrupt = (what: string): BootError => new BootError(`the kernel's LZ4 data is corrupt: ${what}`);

/** Decodes a legacy frame to `output` and gives back the bytes written. */
export function decodeLz4Legacy(input: Uint8Array, output: Uint8Array): number {
  let at = 4;
  let to = 0;
  // What follows the last block may be padding too short for a size.
  while (at + 4 <= input.length) {
    const size = (input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)) >>> 0;
    at += 4;
    if (size === 0) break;
    if (size > input.length - at) throw corrupt("it is truncated");
    to = decodeBlock(input, at, at + size, output, to);
    at += size;
  }
  return to;
}

function decodeBlock(input: Uint8Array, start: number, end: number, output: Uint8Array, from: number): number {
  let at = start;
  let to = from;
  while (at < end) {
    const token = input[at++];
    let literals = token >>> 4;
    if (literals === 15) {
      let byte = 255;
      while (byte === 255) {
        if (at >= end) throw corrupt("a length is cut off");
        byte = input[at++];
        literals += byte;
      }
    }
    if (literals > end - at) throw corrupt("literals are cut off");
    if (literals > output.length - to) throw corrupt("it is longer than it says");
    if (literals <= 32) for (let i = 0; i < literals; i++) output[to + i] = input[at + i];
    else output.set(input.subarray(at, at + literals), to);
    at += literals;
    to += literals;
    if (at === end) break;
    if (at + 2 > end) throw corrupt("an offset is cut off");
    const offset = input[at] | (input[at + 1] << 8);
    at += 2;
    if (offset === 0 || offset > to - from) throw corrupt("a match before the beginning");
    let length = token & 15;
    if (length === 15) {
      let byte = 255;
      while (byte === 255) {
        if (at >= end) throw corrupt("a length is cut off");
        byte = input[at++];
        length += byte;
      }
    }
    length += 4;
    if (length > output.length - to) throw corrupt("it is longer than it says");
    const source = to - offset;
    if (offset >= length && length >= 32) output.copyWithin(to, source, source + length);
    else for (let i = 0; i < length; i++) output[to + i] = output[source + i];
    to += length;
  }
  return to;
}
