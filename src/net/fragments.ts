/**
 * Puts fragments of IPv4 packets together (RFC 791, 3.2).
 *
 * Law: at most `maxPackets` packets are in work, none longer than an IP packet may be; one that is not whole after
 * `lifetimeMs` is forgotten. Fragments that overlap are an attack or a mistake (RFC 5722): their packet is dropped.
 */
import type { NetClock } from "./clock.ts";
import type { Ipv4Packet } from "./ipv4.ts";

const maxPackets = 16;
const maxPieces = 1024;
const lifetimeMs = 30_000;

interface Piece {
  readonly from: number;
  readonly bytes: Uint8Array;
}

interface Unfinished {
  readonly since: number;
  readonly pieces: Piece[];
  /** Known with the last fragment. */
  length: number | undefined;
}

export class Fragments {
  readonly #clock: NetClock;
  readonly #unfinished = new Map<string, Unfinished>();

  constructor(clock: NetClock) {
    this.#clock = clock;
  }

  get count(): number {
    return this.#unfinished.size;
  }

  /** The whole packet when this fragment was the last that it lacked. */
  add(packet: Ipv4Packet): Ipv4Packet | undefined {
    const key = `${packet.source} ${packet.destination} ${packet.protocol} ${packet.id}`;
    const unfinished = this.#find(key);
    if (!accept(unfinished, packet)) {
      this.#unfinished.delete(key);
      return undefined;
    }
    const payload = assemble(unfinished);
    if (payload === undefined) return undefined;
    this.#unfinished.delete(key);
    return { ...packet, payload, fragmentOffset: 0, moreFragments: false };
  }

  clear(): void {
    this.#unfinished.clear();
  }

  #find(key: string): Unfinished {
    const now = this.#clock.now();
    for (const [each, { since }] of this.#unfinished) if (now - since > lifetimeMs) this.#unfinished.delete(each);
    const known = this.#unfinished.get(key);
    if (known !== undefined) return known;
    const [oldest] = this.#unfinished.keys();
    if (this.#unfinished.size >= maxPackets && oldest !== undefined) this.#unfinished.delete(oldest);
    const fresh: Unfinished = { since: now, pieces: [], length: undefined };
    this.#unfinished.set(key, fresh);
    return fresh;
  }
}

/** False when the fragment cannot belong to the packet. */
function accept(unfinished: Unfinished, { fragmentOffset: from, moreFragments, payload }: Ipv4Packet): boolean {
  const end = from + payload.length;
  if (payload.length === 0 || (moreFragments && payload.length % 8 !== 0)) return false;
  if (unfinished.pieces.length >= maxPieces) return false;
  if (unfinished.pieces.some((piece) => from < piece.from + piece.bytes.length && piece.from < end)) return false;
  if (!moreFragments) {
    if (unfinished.length !== undefined) return false;
    unfinished.length = end;
  }
  unfinished.pieces.push({ from, bytes: payload.slice() });
  return true;
}

function assemble({ pieces, length }: Unfinished): Uint8Array | undefined {
  if (length === undefined || pieces.some(({ from, bytes }) => from + bytes.length > length)) return undefined;
  if (pieces.reduce((sum, { bytes }) => sum + bytes.length, 0) < length) return undefined;
  const whole = new Uint8Array(length);
  for (const { from, bytes } of pieces) whole.set(bytes, from);
  return whole;
}
