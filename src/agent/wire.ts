/**
 * The line to the host: frames in, frames out, over one descriptor that never blocks.
 *
 * A frame is u32 payload length, u8 kind, u8 0, u16 session, then the payload, all little-endian. The kinds and what they
 * mean are in control/agent/frames.ts, the host's half; the numbers here and there are the same.
 */
import { close, EAGAIN, EINTR, exit, poll, read, write } from "./kernel";

export const headerSize: u32 = 8;

/** Kinds to the agent. */
export const START: u32 = 1;
export const INPUT: u32 = 2;
export const CREDIT: u32 = 3;
export const SIGNAL: u32 = 4;
export const RESIZE: u32 = 5;
export const POWER_OFF: u32 = 6;
export const RESTART: u32 = 7;
/** Kinds to the host. */
export const HELLO: u32 = 64;
export const STARTED: u32 = 65;
export const FAILED: u32 = 66;
export const OUTPUT: u32 = 67;
export const ERRORS: u32 = 68;
export const TAKEN: u32 = 69;
export const EXIT: u32 = 70;
export const READ: u32 = 71;

/** A START holds a command and its environment: more than Linux passes on is refused by the host. */
const largestFrame: u32 = 512 * 1024;
const rxSize: u32 = largestFrame + 64 * 1024;
const rx = memory.data(589824);
const txSize: u32 = 128 * 1024;
const tx = memory.data(131072);

let line: i32 = -1;
let lineOut: i32 = -1;
/** The device can be read again after its end: the other side may come back. */
let comesBack = false;
let rxLength: u32 = 0;
let txStart: u32 = 0;
let txLength: u32 = 0;
/** Bytes read, of which the host was not told. */
let unreported: u32 = 0;
/** On a serial line the host sends 4096 bytes, then waits to hear of them. */
const reportEvery: u32 = 1024;

export function openWire(input: i32, output: i32, device: bool): void {
  line = input;
  lineOut = output;
  comesBack = device;
}

export function wireInput(): i32 {
  return line;
}

export function wireOutput(): i32 {
  return lineOut;
}

export function hasUnsent(): bool {
  return txLength > 0;
}

/** Whether a frame of `size` bytes fits besides the small ones that go out at any time. */
export function hasRoom(size: u32): bool {
  return txLength + size + 8192 <= txSize;
}

export function sendFrame(kind: u32, session: u32, payload: usize, size: u32): void {
  if (txStart + txLength + headerSize + size > txSize) {
    memory.copy(tx, tx + txStart, txLength);
    txStart = 0;
  }
  // Only a host that does not read for ever lets this be full of small frames: then the oldest promise is broken first.
  if (txLength + headerSize + size > txSize) return;
  const at = tx + txStart + txLength;
  store<u32>(at, size);
  store<u32>(at, kind | (session << 16), 4);
  memory.copy(at + headerSize, payload, size);
  txLength += headerSize + size;
}

const word = memory.data(8);

export function sendNumber(kind: u32, session: u32, value: u32): void {
  store<u32>(word, value);
  sendFrame(kind, session, word, 4);
}

export function flush(): void {
  while (txLength > 0) {
    const written = write(lineOut, tx + txStart, txLength);
    if (written == EINTR) continue;
    if (written <= 0) return;
    txStart += written;
    txLength -= written;
  }
  txStart = 0;
}

/** Reads what there is. False when the line has ended for good. */
export function receive(): bool {
  const got = read(line, rx + rxLength, rxSize - rxLength);
  if (got > 0) {
    rxLength += got;
    unreported += got;
    if (unreported >= reportEvery) {
      sendNumber(READ, 0, unreported);
      unreported = 0;
    }
    return true;
  }
  if (got == EAGAIN || got == EINTR) return true;
  if (!comesBack) return false;
  // Nobody is at the other end of the port: look again in a while.
  poll(0, 0, 50);
  return true;
}

/** The first whole frame, 0 where there is none. `dropFrame` comes before the next one. */
export function firstFrame(): usize {
  if (rxLength < headerSize) return 0;
  const size = load<u32>(rx);
  // The host never sends this: the line is not what we took it for.
  if (size > largestFrame) {
    close(line);
    exit(1);
  }
  return rxLength >= headerSize + size ? rx : 0;
}

export function dropFrame(): void {
  const size = headerSize + load<u32>(rx);
  rxLength -= size;
  memory.copy(rx, rx + size, rxLength);
}
