/** Builds the frames that the guest gets, in one buffer, and sends them. */
import type { Ipv4, Mac } from "./address.ts";
import { checksumOf, fold, sumPseudoHeader, sumWords } from "./checksum.ts";
import { ethernetHeaderBytes, etherType, writeEthernet } from "./ethernet.ts";
import { type Ipv4Fields, ipv4HeaderBytes, protocol, writeIpv4Header } from "./ipv4.ts";
import { type Link, maxFrameBytes, mtuBytes, noOffload } from "./link.ts";
import { maxTcpHeaderBytes, type TcpHeader, tcpChecksumOffset, writeTcpHeader } from "./tcp/segment.ts";
import type { SendQueue } from "./tcp/send-queue.ts";
import { buildUdp } from "./udp.ts";

/** Who is on the link. */
export interface Neighbours {
  readonly ownMac: Mac;
  /** Learned from what it sends. */
  guestMac: Mac;
  readonly guest: Ipv4;
}

const ipAt = ethernetHeaderBytes;
const transportAt = ipAt + ipv4HeaderBytes;
/** Fragments begin at multiples of 8. */
const fragmentBytes = (mtuBytes - ipv4HeaderBytes) & ~7;

export class FrameWriter {
  readonly #link: Link;
  readonly #neighbours: Neighbours;
  readonly #frame = new Uint8Array(maxFrameBytes);
  #nextId = 1;

  constructor(link: Link, neighbours: Neighbours) {
    this.#link = link;
    this.#neighbours = neighbours;
  }

  /** What a segment's payload may have on this link. */
  maxTcpPayload(mss: number): number {
    if (!this.#link.abilities.largeSegments) return mss;
    return Math.floor((0xffff - ipv4HeaderBytes - maxTcpHeaderBytes) / mss) * mss;
  }

  /** An IP packet from `source`, in fragments where it is longer than the link takes. False: the link is full. */
  packet(source: Ipv4, of: number, payload: Uint8Array, destination = this.#neighbours.guest): boolean {
    const fields = { source, destination, protocol: of };
    if (ipv4HeaderBytes + payload.length <= mtuBytes) return this.#send(fields, payload);
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff) + 1;
    for (let at = 0; at < payload.length; at += fragmentBytes) {
      const piece = payload.subarray(at, at + fragmentBytes);
      const moreFragments = at + piece.length < payload.length;
      if (!this.#send({ ...fields, id, fragmentOffset: at, moreFragments }, piece)) return false;
    }
    return true;
  }

  udp(
    source: { readonly address: Ipv4; readonly port: number },
    guestPort: number,
    payload: Uint8Array,
    destination = this.#neighbours.guest,
  ): boolean {
    const datagram = buildUdp(source, { address: destination, port: guestPort }, payload);
    return this.packet(source.address, protocol.udp, datagram, destination);
  }

  /** A segment whose payload is `[offset, offset + length)` of the queue. */
  tcp(source: Ipv4, header: TcpHeader, queue?: SendQueue, offset = 0, length = 0, mss = length): boolean {
    const frame = this.#frame;
    const payloadAt = transportAt + writeTcpHeader(frame, transportAt, header);
    const end = payloadAt + length;
    const destination = this.#neighbours.guest;
    this.#writeHeaders({ source, destination, protocol: protocol.tcp }, end - transportAt);
    const pseudo = sumPseudoHeader(source, destination, protocol.tcp, end - transportAt);
    const { partialChecksum } = this.#link.abilities;
    const offload = { partialChecksum, segmentBytes: length > mss ? mss : 0 };
    if (partialChecksum) {
      // Nobody looks at the payload here: it goes from the queue to the link.
      setTcpChecksum(frame, fold(pseudo));
      return this.#link.send(offload, frame.subarray(0, payloadAt), ...(queue?.views(offset, length) ?? []));
    }
    queue?.copy(offset, length, frame, payloadAt);
    setTcpChecksum(frame, checksumOf(sumWords(frame, transportAt, end, pseudo)));
    return this.#link.send(offload, frame.subarray(0, end));
  }

  #send(fields: Ipv4Fields, payload: Uint8Array): boolean {
    this.#writeHeaders(fields, payload.length);
    this.#frame.set(payload, transportAt);
    return this.#link.send(noOffload, this.#frame.subarray(0, transportAt + payload.length));
  }

  #writeHeaders(fields: Ipv4Fields, payloadBytes: number): void {
    const { guestMac, ownMac } = this.#neighbours;
    writeEthernet(this.#frame, guestMac, ownMac, etherType.ipv4);
    writeIpv4Header(this.#frame, ipAt, fields, payloadBytes);
  }
}

function setTcpChecksum(frame: Uint8Array, checksum: number): void {
  frame[transportAt + tcpChecksumOffset] = checksum >> 8;
  frame[transportAt + tcpChecksumOffset + 1] = checksum & 0xff;
}
