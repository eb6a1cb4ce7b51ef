/**
 * What the host and the agent in the guest say to each other: frames of u32 payload length, u8 kind, u8 0, u16 session, then
 * the payload, all little-endian. The agent's half is `src/agent/wire.ts` and `session.ts`; the numbers are the same there.
 *
 * Law: any bytes from the guest are accepted. What cannot be a frame makes the parser broken, and nothing is held but one
 * frame of at most `largestFrame` bytes.
 */
export const agentVersion = 1;
export const sessionCount = 64;
/** In place of a session: the machine's console. */
export const consoleSession = 0xffff;

/** How far each side may be ahead of the other, a stream: what the agent holds for a command's input, and we of its output. */
export const inputWindow = 64 * 1024;
export const outputWindow = 256 * 1024;

export const toAgent = {
  /** Begins a command: see `startPayload`. */
  start: 1,
  /** Bytes for its input; none for the end. */
  input: 2,
  /** u32, u32: more bytes of output, of errors, that may be sent. */
  credit: 3,
  /** u32: a signal's number, to the command's process group. */
  signal: 4,
  /** u16 rows, u16 columns. */
  resize: 5,
  powerOff: 6,
  /**
   * Another host is at the line, and what came on it before was not for it: see `restartPayload`. The agent answers with `hello` and
   * the token.
   */
  restart: 7,
} as const;

export const fromAgent = {
  /** u32 version, u32 token (0 at the agent's start), u64 a bit for each session that has a command: the agent is there. */
  hello: 64,
  /** u32: the process. */
  started: 65,
  /** u32 step, u32 error number: there is no command. */
  failed: 66,
  output: 67,
  errors: 68,
  /** u32: bytes of input that the command took. */
  taken: 69,
  /** u32 status as wait(2) gives it: all is over, and the session's number free. */
  exit: 70,
  /** u32: bytes that the agent has read from the line. */
  read: 71,
} as const;

export interface Frame {
  readonly kind: number;
  readonly session: number;
  readonly payload: Uint8Array;
}

const headerSize = 8;
/** The agent sends at most 32 KiB at once. */
const largestFrame = 64 * 1024;

export function encodeFrame(kind: number, session: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const bytes = new Uint8Array(headerSize + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, payload.length, true);
  view.setUint8(4, kind);
  view.setUint16(6, session, true);
  bytes.set(payload, headerSize);
  return bytes;
}

export function numbers(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytes;
}

/** What a machine that goes on from a snapshot has to learn. */
export interface Awakening {
  /** Milliseconds since 1970; without, the guest's clock stays as it is. */
  readonly nowMs?: number;
  /** 32 bytes that no other copy of the machine has. */
  readonly entropy?: Uint8Array;
}

/** u32 token, u64 seconds and u64 nanoseconds since 1970 (zeros: leave the clock), then the entropy. */
export function restartPayload(token: number, { nowMs = 0, entropy = new Uint8Array(0) }: Awakening): Uint8Array {
  const payload = new Uint8Array(20 + entropy.length);
  payload.set(numbers(token, Math.floor(nowMs / 1000), 0, Math.floor((nowMs % 1000) * 1e6), 0));
  payload.set(entropy, 20);
  return payload;
}

export interface TerminalShape {
  readonly rows: number;
  readonly columns: number;
}

export const shapePayload = ({ rows, columns }: TerminalShape): Uint8Array =>
  numbers((rows & 0xffff) | ((columns & 0xffff) << 16));

export interface StartRequest {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly user: number;
  readonly group: number;
  /** Without a terminal there are three pipes. */
  readonly terminal?: TerminalShape;
  /** Whether input will come; /dev/null otherwise. */
  readonly input: boolean;
}

/** Linux passes on at most 128 KiB in one string (MAX_ARG_STRLEN). */
const longestString = 128 * 1024 - 1;
const largestStart = 512 * 1024;
const encoder = new TextEncoder();

/** The payload of `start`, or what is wrong with the request. */
export function startPayload(request: StartRequest): Uint8Array | string {
  const { argv, environment, folder, terminal, user, group, input } = request;
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  const badName = Object.keys(environment).find((name) => name === "" || name.includes("="));
  if (badName !== undefined) return `"${badName}" cannot be a variable's name`;
  if (argv.length === 0 || argv[0] === "") return "a command has a name";
  const strings = [folder, ...argv, ...variables].map((text) => encoder.encode(`${text}\0`));
  if (strings.some((each) => each.indexOf(0) !== each.length - 1)) return "a command cannot hold a NUL byte";
  if (strings.some((each) => each.length > longestString)) return "no part of a command is longer than 128 KiB";
  const size = strings.reduce((sum, each) => sum + each.length, 24);
  if (size > largestStart) return "a command and its environment are together at most 512 KiB";
  const payload = new Uint8Array(size);
  const flags = (terminal ? 1 : 0) | (input ? 0 : 2);
  payload.set(numbers(flags, 0, user, group, argv.length, variables.length));
  if (terminal) payload.set(shapePayload(terminal), 4);
  let at = 24;
  for (const each of strings) {
    payload.set(each, at);
    at += each.length;
  }
  return payload;
}

/** The u32 at `index`; 0 where the guest sent too little. */
export function numberAt(payload: Uint8Array, index: number): number {
  if (payload.length < 4 * index + 4) return 0;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(4 * index, true);
}

const kindsFromAgent: readonly number[] = Object.values(fromAgent);

/** A `hello` with this token, up to where it says which sessions are busy. */
function helloStart(token: number): Uint8Array {
  const payload = new Uint8Array(16);
  payload.set(numbers(agentVersion, token));
  return encodeFrame(fromAgent.hello, consoleSession, payload).subarray(0, headerSize + 8);
}

export class FrameParser {
  #held = new Uint8Array(0);
  #broken = false;
  /** What is looked for in a stream that is met in its middle. */
  #sought: Uint8Array | undefined;

  /** What the guest sent cannot be frames: nothing more is read until `reset`. */
  get broken(): boolean {
    return this.#broken;
  }

  reset(): void {
    this.#held = new Uint8Array(0);
    this.#broken = false;
    this.#sought = undefined;
  }

  /** Passes over all that comes before the `hello` with this token. */
  seek(token: number): void {
    this.reset();
    this.#sought = helloStart(token);
  }

  /** The frames that are whole now. Their payloads are views that hold until the next call. */
  *feed(bytes: Uint8Array): Generator<Frame> {
    if (this.#broken) return;
    let rest = bytes;
    if (this.#held.length > 0) {
      rest = new Uint8Array(this.#held.length + bytes.length);
      rest.set(this.#held);
      rest.set(bytes, this.#held.length);
    }
    if (this.#sought) {
      const at = indexOf(rest, this.#sought);
      if (at < 0) {
        this.#held = rest.slice(Math.max(0, rest.length - this.#sought.length + 1));
        return;
      }
      rest = rest.subarray(at);
      this.#sought = undefined;
    }
    while (rest.length >= headerSize) {
      const view = new DataView(rest.buffer, rest.byteOffset);
      const size = view.getUint32(0, true);
      const kind = view.getUint8(4);
      if (size > largestFrame || !kindsFromAgent.includes(kind)) {
        this.#broken = true;
        this.#held = new Uint8Array(0);
        return;
      }
      if (rest.length < headerSize + size) break;
      yield { kind, session: view.getUint16(6, true), payload: rest.subarray(headerSize, headerSize + size) };
      rest = rest.subarray(headerSize + size);
    }
    this.#held = rest.slice();
  }
}

function indexOf(bytes: Uint8Array, sought: Uint8Array): number {
  for (let at = bytes.indexOf(sought[0]); at >= 0; at = bytes.indexOf(sought[0], at + 1))
    if (sought.every((byte, n) => bytes[at + n] === byte)) return at;
  return -1;
}
