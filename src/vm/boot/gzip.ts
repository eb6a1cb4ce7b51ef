/** A gzip member: inflated by fflate, in pieces so that the output's length bounds the work, checksum verified. */
import { Gunzip } from "fflate";
import { BootError } from "./boot-error.ts";
import { crc32 } from "./crc32.ts";

const corrupt = (what: string): BootError => new BootError(`the kernel's gzip data is corrupt: ${what}`);

/** Input of one step. Deflate gives at most 1032 bytes for one, so a step stays below 17 MiB. */
const stepBytes = 16 * 1024;

/** Decodes one member, whose trailer ends the input, to `output` and gives back the bytes written. */
export function decodeGzip(input: Uint8Array, output: Uint8Array): number {
  if (input.length < 18) throw corrupt("it is truncated");
  let to = 0;
  let overflow = false;
  const gunzip = new Gunzip((piece) => {
    if (piece.length > output.length - to) overflow = true;
    else {
      output.set(piece, to);
      to += piece.length;
    }
  });
  try {
    for (let at = 0; at < input.length && !overflow; at += stepBytes) {
      const end = Math.min(at + stepBytes, input.length);
      // fflate keeps what it is given and writes to none of it, but holds it: a copy frees the caller's buffer.
      gunzip.push(input.slice(at, end), end === input.length);
    }
  } catch (error) {
    throw corrupt(error instanceof Error ? error.message : "not a deflate stream");
  }
  if (overflow) throw corrupt("it is longer than it says");
  const trailer = input.length - 8;
  const stored =
    (input[trailer] | (input[trailer + 1] << 8) | (input[trailer + 2] << 16) | (input[trailer + 3] << 24)) >>> 0;
  if (crc32(output, 0, to) !== stored) throw corrupt("its checksum is wrong");
  return to;
}
