/** A guest at the other end of the link: builds frames, keeps those it gets, and has TCP of its own. */
import { type Ipv4, parseIpv4, parseMac } from "../address.ts";
import { checksumOf, fold, sumPseudoHeader, sumWords } from "../checksum.ts";
import { arpFrame, etherType, parseArp, parseEthernet, writeEthernet } from "../ethernet.ts";
import { type Ipv4Packet, ipv4HeaderBytes, parseIpv4Packet, protocol, writeIpv4Header } from "../ipv4.ts";
import type { Link, LinkAbilities, Offload } from "../link.ts";
import { TcpEndpoint } from "../tcp/endpoint.ts";
import { parseTcp, printSegment, type TcpSegment, tcpFlag, writeTcpHeader } from "../tcp/segment.ts";
import { buildUdp, type Datagram, parseUdp } from "../udp.ts";
import { UserNetwork, userNetwork } from "../user-network.ts";
import { joined } from "./bytes.ts";
import { Dial, seeded } from "./dial.ts";
import { at, FakeSockets } from "./fake-sockets.ts";
import { TestUser } from "./tcp-pair.ts";

const guestMac = parseMac("52:54:00:12:34:56") as Uint8Array;
const gatewayMac = parseMac("52:55:0a:00:02:02") as Uint8Array;

export interface GuestOptions {
  readonly abilities?: LinkAbilities;
  /** Frames that the link holds until the test takes them; unbounded without. */
  readonly linkFrames?: number;
}

export class TestGuest implements Link {
  readonly clock = new Dial();
  readonly sockets = new FakeSockets();
  readonly network: UserNetwork;
  readonly abilities: LinkAbilities;
  /** Frames to the guest that it has not looked at. */
  readonly inbox: { readonly frame: Uint8Array; readonly offload: Offload }[] = [];
  readonly packets: Ipv4Packet[] = [];
  readonly segments: string[] = [];
  readonly connections = new Map<string, TestUser>();
  /** Takes connections that are opened to the guest, by port. */
  readonly services = new Map<number, (user: TestUser) => void>();
  largest = 0;
  readonly #linkFrames: number;
  #port = 40000;

  constructor({
    abilities = { partialChecksum: false, largeSegments: false },
    linkFrames = Infinity,
  }: GuestOptions = {}) {
    this.abilities = abilities;
    this.#linkFrames = linkFrames;
    const random = seeded(1);
    const random32 = (): number => Math.floor(random() * 2 ** 32);
    this.network = new UserNetwork({ link: this, sockets: this.sockets, clock: this.clock, random32 });
  }

  // The link.

  send(offload: Offload, ...pieces: readonly Uint8Array[]): boolean {
    if (this.inbox.length >= this.#linkFrames) return false;
    this.inbox.push({ frame: joined(pieces), offload });
    return true;
  }

  /** Lets everything happen that can happen now: frames to the guest are looked at, host programs answer. */
  async settle(ms = 0): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      await Promise.resolve();
      while (this.inbox.length > 0) {
        quiet = 0;
        for (const { frame, offload } of this.inbox.splice(0)) this.#look(frame, offload);
        for (const { endpoint } of this.connections.values()) endpoint.flush();
        this.network.flush();
        this.network.linkReady();
      }
    }
    if (ms > 0) {
      this.clock.pass(ms);
      await this.settle();
    }
  }

  // What the guest sends.

  frame(payload: Uint8Array, type: number): void {
    const frame = new Uint8Array(14 + payload.length);
    writeEthernet(frame, gatewayMac, guestMac, type);
    frame.set(payload, 14);
    this.network.receive(frame);
    this.network.flush();
  }

  ip(to: Ipv4, of: number, payload: Uint8Array, source: Ipv4 = userNetwork.guest): void {
    const packet = new Uint8Array(ipv4HeaderBytes + payload.length);
    writeIpv4Header(packet, 0, { source, destination: to, protocol: of }, payload.length);
    packet.set(payload, ipv4HeaderBytes);
    this.frame(packet, etherType.ipv4);
  }

  udp(fromPort: number, to: string, payload: Uint8Array, source: Ipv4 = userNetwork.guest): void {
    const destination = at(to);
    this.ip(
      destination.address,
      protocol.udp,
      buildUdp({ address: source, port: fromPort }, destination, payload),
      source,
    );
  }

  arp(target: string): void {
    const from = { mac: guestMac, address: userNetwork.guest };
    this.frame(arpFrame(1, from, { mac: guestMac, address: parseIpv4(target) as Ipv4 }).subarray(14), etherType.arp);
  }

  ping(to: string, payload = Uint8Array.of(1, 2, 3, 4)): void {
    const message = new Uint8Array(8 + payload.length);
    message[0] = 8;
    message.set(payload, 8);
    const checksum = checksumOf(sumWords(message, 0, message.length));
    message[2] = checksum >> 8;
    message[3] = checksum & 0xff;
    this.ip(parseIpv4(to) as Ipv4, protocol.icmp, message);
  }

  /** Opens a connection. */
  connect(to: string, toWrite: Uint8Array = new Uint8Array(0), endAfter = false): TestUser {
    const user = this.newConnection(at(to), this.#port++);
    user.toWrite = toWrite;
    user.endAfter = endAfter;
    user.endpoint.connect();
    return user;
  }

  newConnection(remote: { readonly address: Ipv4; readonly port: number }, port: number): TestUser {
    const user = new TestUser();
    user.endpoint = new TcpEndpoint({
      clock: this.clock,
      user,
      iss: Math.imul(port, 0x9e3779b1) >>> 0,
      linkMss: 1460,
      sendLimit: 2 ** 18,
      receiveLimit: 2 ** 18,
      wire: {
        maxPayload: (mss) => (this.abilities.largeSegments ? 44 * mss : mss),
        send: (fields, queue, offset, length) => {
          const bytes = new Uint8Array(60 + length);
          const header = writeTcpHeader(bytes, 0, { ...fields, sourcePort: port, destinationPort: remote.port });
          queue.copy(offset, length, bytes, header);
          const segment = bytes.subarray(0, header + length);
          const pseudo = sumPseudoHeader(userNetwork.guest, remote.address, protocol.tcp, segment.length);
          const checksum = checksumOf(sumWords(segment, 0, segment.length, pseudo));
          segment[16] = checksum >> 8;
          segment[17] = checksum & 0xff;
          this.ip(remote.address, protocol.tcp, segment);
          return true;
        },
      },
    });
    this.connections.set(`${port} ${remote.address} ${remote.port}`, user);
    return user;
  }

  // What the guest gets.

  /** ICMP messages as "type code", datagrams as "from>port bytes"; each once. */
  read(): string[] {
    return this.packets.splice(0).map((packet) => {
      if (packet.protocol === protocol.icmp) return `icmp ${packet.payload[0]} ${packet.payload[1]}`;
      const { sourcePort, destinationPort, payload } = this.datagram(packet);
      return `${sourcePort}>${destinationPort} ${String.fromCharCode(...payload)}`;
    });
  }

  datagram(packet: Ipv4Packet): Datagram {
    const datagram = parseUdp(packet.payload, packet.source, packet.destination, false);
    if (datagram === undefined) throw new Error("a bad datagram came from the network");
    return datagram;
  }

  #look(frame: Uint8Array, offload: Offload): void {
    this.largest = Math.max(this.largest, frame.length);
    const header = parseEthernet(frame);
    if (header?.type === etherType.arp) {
      const arp = parseArp(frame.subarray(14));
      this.segments.push(`arp ${arp?.operation} ${arp?.sender === userNetwork.gateway ? "gateway" : arp?.sender}`);
      return;
    }
    const packet = parseIpv4Packet(frame.subarray(14));
    if (packet === undefined) throw new Error("a bad packet came from the network");
    if (packet.protocol !== protocol.tcp) return void this.packets.push(packet);
    const segment = parseTcp(packet.payload);
    if (segment === undefined) throw new Error("a bad segment came from the network");
    const pseudo = sumPseudoHeader(packet.source, packet.destination, protocol.tcp, packet.payload.length);
    const good = offload.partialChecksum
      ? ((packet.payload[16] << 8) | packet.payload[17]) === fold(pseudo)
      : fold(sumWords(packet.payload, 0, packet.payload.length, pseudo)) === 0xffff;
    if (!good) throw new Error("a bad checksum came from the network");
    if (this.segments.length < 1000) this.segments.push(printSegment(segment));
    this.#segment(segment, packet.source);
  }

  #segment(segment: TcpSegment, from: Ipv4): void {
    const { sourcePort, destinationPort } = segment;
    const known = this.connections.get(`${destinationPort} ${from} ${sourcePort}`);
    if (known !== undefined) return known.endpoint.receive(segment);
    const service = this.services.get(destinationPort);
    if (service === undefined || (segment.flags & tcpFlag.syn) === 0) return;
    const user = this.newConnection({ address: from, port: sourcePort }, destinationPort);
    service(user);
    user.endpoint.accept(segment);
  }
}
