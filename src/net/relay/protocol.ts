/**
 * What a page, which has no sockets, and a relay, which has, say to each other: version 1.
 *
 * Each message is one binary message of a WebSocket: u8 kind, u32 id, body; numbers are little-endian, an address is its four
 * bytes as one number, high byte first in meaning (10.0.2.2 is 0x0a000202). The client chooses ids, each once, for streams,
 * datagram sockets and questions alike.
 *
 *     hello     id: the version    client: token as UTF-8           relay: resolvers as (address u32, port u16)...
 *     connect   client: address u32, port u16                       relay: nothing, the connection stands
 *     failed    relay: u8 of `failures`: instead of connect
 *     data      both: bytes of a stream
 *     credit    both: u32, so many bytes of data have been taken and as many more may follow
 *     end       both: no more data from this side
 *     reset     both: the stream is over, at once; or the datagram socket
 *     closed    relay: the stream is over, all in order
 *     open      client: a datagram socket
 *     datagram  client: to, relay: from: address u32, port u16, bytes
 *     resolve   client: name as UTF-8                               relay: addresses, u32 each
 *
 * Law: per stream and direction no more than `streamWindow` bytes, and what was one piece with the last of them, are sent beyond
 * what was credited. Who breaks the form is hung up on.
 */
import { type Ipv4, ipv4 } from "../address.ts";
import type { ConnectFailure, HostAddress } from "../host-sockets.ts";

export const relayVersion = 1;
export const streamWindow = 256 * 1024;
export const mostStreams = 1024;
export const mostDatagramSockets = 512;

export const relayKind = {
  hello: 0,
  connect: 1,
  failed: 2,
  data: 3,
  credit: 4,
  end: 5,
  reset: 6,
  closed: 7,
  open: 8,
  datagram: 9,
  resolve: 10,
} as const;
type RelayKind = (typeof relayKind)[keyof typeof relayKind];
const kindEnd = 11;

export const failures: readonly ConnectFailure[] = ["refused", "unreachable", "prohibited"];

export interface RelayMessage {
  readonly kind: RelayKind;
  readonly id: number;
  /** A view on the message. */
  readonly body: Uint8Array;
}

const headBytes = 5;
const addressBytes = 6;

/** Undefined for what is no message. */
export function parseRelay(message: Uint8Array): RelayMessage | undefined {
  if (message.length < headBytes || message[0] >= kindEnd) return undefined;
  const id = new DataView(message.buffer, message.byteOffset, headBytes).getUint32(1, true);
  return { kind: message[0] as RelayKind, id, body: message.subarray(headBytes) };
}

export function relayMessage(kind: RelayKind, id: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(headBytes + parts.reduce((sum, part) => sum + part.length, 0));
  message[0] = kind;
  new DataView(message.buffer).setUint32(1, id, true);
  let at = headBytes;
  for (const part of parts) {
    message.set(part, at);
    at += part.length;
  }
  return message;
}

export function addressBody({ address, port }: HostAddress): Uint8Array {
  const body = new Uint8Array(addressBytes);
  const view = new DataView(body.buffer);
  view.setUint32(0, address, true);
  view.setUint16(4, port, true);
  return body;
}

/** An address and what follows it. */
export function parseAddress(body: Uint8Array): { readonly at: HostAddress; readonly rest: Uint8Array } | undefined {
  if (body.length < addressBytes) return undefined;
  const view = new DataView(body.buffer, body.byteOffset, addressBytes);
  const at = { address: ipv4(view.getUint32(0, true)), port: view.getUint16(4, true) };
  return { at, rest: body.subarray(addressBytes) };
}

export function wordsBody(words: readonly number[]): Uint8Array {
  const body = new Uint8Array(4 * words.length);
  const view = new DataView(body.buffer);
  for (const [n, word] of words.entries()) view.setUint32(4 * n, word, true);
  return body;
}

export function parseWords(body: Uint8Array): readonly number[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  return Array.from({ length: Math.floor(body.length / 4) }, (_, n) => view.getUint32(4 * n, true));
}

export const addressesOf = (body: Uint8Array): readonly Ipv4[] => parseWords(body).map(ipv4);

/** A way for messages between the two, whole and in order. */
export interface RelayChannel {
  send(message: Uint8Array<ArrayBuffer>): void;
  /** Bytes that were sent and have not left. */
  readonly bufferedBytes: number;
  close(): void;
}
