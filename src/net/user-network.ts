/**
 * The network that a guest's card is plugged into, played without any right on the host: a router with DHCP, a name server,
 * and NAT from the guest's frames to the host's sockets and back.
 *
 *     10.0.2.15 guest      10.0.2.2 gateway, DHCP      10.0.2.3 name server      everything else: the world, as policy.ts says
 *
 * Laws: any bytes at all may be a frame; what makes no sense is dropped and counted, and memory stays bounded.
 * Only the guest's own address is answered. IPv6 is silence: the guest has no router for it and goes by IPv4.
 */
import { formatMac, type Ipv4, inPrefix, ipv4, type Mac, parseIpv4, parseMac } from "./address.ts";
import { fold, sumPseudoHeader, sumWords } from "./checksum.ts";
import type { NetClock } from "./clock.ts";
import { answerDhcp, dhcpPort, type Lease } from "./dhcp.ts";
import { DnsForwarder } from "./dns-forwarder.ts";
import { arpFrame, arpOperation, ethernetHeaderBytes, etherType, parseArp, parseEthernet } from "./ethernet.ts";
import { Fragments } from "./fragments.ts";
import { FrameWriter } from "./frame-writer.ts";
import {
  type ConnectFailure,
  type HostAddress,
  type HostListener,
  type HostSockets,
  NetworkError,
} from "./host-sockets.ts";
import { echoReply, isEchoRequest, unreachable, unreachableMessage } from "./icmp.ts";
import { type Ipv4Packet, parseIpv4Packet, protocol } from "./ipv4.ts";
import { type Link, mtuBytes, noOffload, type Offload } from "./link.ts";
import { Policy } from "./policy.ts";
import { cardAddress, type NetworkOptions, type PublishRule, publishText, resolveAllow } from "./rules.ts";
import { parseTcp, tcpFlag } from "./tcp/segment.ts";
import { TcpNat } from "./tcp-nat.ts";
import { parseUdp } from "./udp.ts";
import { UdpNat } from "./udp-nat.ts";

const address = (text: string): Ipv4 => parseIpv4(text) as Ipv4;
const subnet = { base: address("10.0.2.0"), bits: 24 };
const limitedBroadcast = ipv4(0xffff_ffff);
const dnsPort = 53;
/** A locally administered address. */
const gatewayMac = parseMac("52:55:0a:00:02:02") as Mac;

export const userNetwork = {
  guest: address("10.0.2.15"),
  gateway: address("10.0.2.2"),
  nameServer: address("10.0.2.3"),
} as const;

const lease: Lease = {
  address: userNetwork.guest,
  prefixBits: subnet.bits,
  gateway: userNetwork.gateway,
  dns: userNetwork.nameServer,
  mtu: mtuBytes,
};

export interface UserNetworkHost {
  readonly link: Link;
  readonly sockets: HostSockets;
  readonly clock: NetClock;
  readonly random32: () => number;
}

/** As its last segment to us had it. */
export interface RecentConnection {
  readonly guestPort: number;
  readonly remotePort: number;
  readonly remote: number;
  readonly sequence: number;
  readonly acknowledgement: number;
}

export interface NetworkCounts {
  framesIn: number;
  framesOut: number;
  /** Frames that made no sense, or are of a protocol that is not here. */
  dropped: number;
}

export class UserNetwork {
  readonly #host: UserNetworkHost;
  readonly #link: Link;
  readonly #neighbours: { readonly ownMac: Mac; guestMac: Mac; readonly guest: Ipv4 };
  readonly #writer: FrameWriter;
  readonly #fragments: Fragments;
  readonly #dns: DnsForwarder;
  readonly #tcp: TcpNat;
  readonly #udp: UdpNat;
  /** Published ports, by their rules in words. */
  readonly #listeners = new Map<string, HostListener>();
  readonly counts: NetworkCounts = { framesIn: 0, framesOut: 0, dropped: 0 };
  #policy: Policy;

  constructor(host: UserNetworkHost, guestMac = cardAddress({})) {
    this.#host = host;
    const { clock, sockets, random32 } = host;
    this.#link = {
      get abilities() {
        return host.link.abilities;
      },
      send: (offload, ...pieces) => {
        const sent = host.link.send(offload, ...pieces);
        if (sent) this.counts.framesOut++;
        return sent;
      },
    };
    const { guest, gateway } = userNetwork;
    this.#neighbours = { ownMac: gatewayMac, guestMac, guest };
    this.#writer = new FrameWriter(this.#link, this.#neighbours);
    this.#fragments = new Fragments(clock);
    this.#dns = new DnsForwarder(clock, sockets);
    this.#policy = this.#policyOf([]);
    this.#tcp = new TcpNat({
      clock,
      sockets,
      random32,
      gateway,
      writer: this.#writer,
      destination: (to, port) => this.#destination(to, port),
      unreachable: (why, packet) => this.#unreachable(icmpCodes[why], packet),
    });
    this.#udp = new UdpNat({
      clock,
      sockets,
      gateway,
      deliver: (from, guestPort, payload) => void this.#writer.udp(from, guestPort, payload),
    });
  }

  /** Puts the rules in force. Throws `NetworkError` when a port cannot be published or a name has no address. */
  async start({ publish = [], allow = [] }: Omit<NetworkOptions, "mac">): Promise<void> {
    this.#policy = this.#policyOf(await resolveAllow(allow, (name) => this.#host.sockets.resolve(name)));
    try {
      for (const rule of publish) await this.publish(rule);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Leads a port of the host to one of the guest's. Rejected with `NetworkError` where the host does not have it to give. */
  async publish(rule: PublishRule): Promise<void> {
    this.#listeners.set(publishText(rule), await this.#listen(rule));
  }

  /** The port is the host's again; its connections go on. */
  unpublish(rule: PublishRule): void {
    this.#listeners.get(publishText(rule))?.close();
    this.#listeners.delete(publishText(rule));
  }

  /** A frame of the guest's. Its bytes are not used after the call. */
  receive(frame: Uint8Array, offload: Offload = noOffload): void {
    this.counts.framesIn++;
    if (!this.#take(frame, offload)) this.counts.dropped++;
  }

  /**
   * Asks the guest about connections that it had before this network began: it answers with where it is (RFC 9293, 3.10.7.4), and
   * the answer, of no connection that is known here, is refused.
   */
  ask(connections: readonly RecentConnection[]): void {
    for (const { guestPort, remotePort, remote, sequence, acknowledgement } of connections) {
      this.#writer.tcp(ipv4(remote), {
        sourcePort: remotePort,
        destinationPort: guestPort,
        seq: (acknowledgement - 1) >>> 0,
        ack: sequence,
        flags: tcpFlag.ack,
        window: 0,
        options: {},
      });
    }
  }

  /** No more frames are at hand: what was held back to be sent together is sent. */
  flush(): void {
    this.#tcp.flush();
  }

  /** The link has room again. */
  linkReady(): void {
    this.#tcp.resume();
  }

  /** The guest's card was reset: whatever it had open is no more. Published ports stay. */
  reset(): void {
    this.#tcp.clear();
    this.#udp.clear();
    this.#dns.clear();
    this.#fragments.clear();
  }

  close(): void {
    this.reset();
    for (const each of this.#listeners.values()) each.close();
    this.#listeners.clear();
  }

  /** One line: what is open. */
  toString(): string {
    const { framesIn, framesOut, dropped } = this.counts;
    return [
      `guest ${formatMac(this.#neighbours.guestMac)}`,
      `frames ${framesIn} in, ${framesOut} out, ${dropped} dropped`,
      `tcp ${this.#tcp.flowCount} with ${this.#tcp.bufferedBytes} bytes`,
      `udp ${this.#udp.mappingCount}`,
      `dns ${this.#dns.pendingCount}`,
      `fragments ${this.#fragments.count}`,
    ].join(", ");
  }

  #policyOf(allow: ConstructorParameters<typeof Policy>[0]["allow"]): Policy {
    const ownAddresses = (): readonly Ipv4[] => this.#host.sockets.ownAddresses();
    return new Policy({ gateway: userNetwork.gateway, subnet, allow, ownAddresses });
  }

  async #listen(rule: PublishRule): Promise<HostListener> {
    const { sockets } = this.#host;
    const at = { address: address(rule.hostAddress), port: rule.hostPort };
    if (parseIpv4(rule.hostAddress) === undefined)
      throw new NetworkError(`"${rule.hostAddress}" in ${publishText(rule)} is no IPv4 address`);
    if (rule.protocol === "tcp") return sockets.listen(at, (stream) => this.#tcp.accept(stream, rule.guestPort));
    const socket = await sockets.bindDatagrams(at, (bytes, from) =>
      this.#udp.accept(socket, rule.guestPort, from, bytes),
    );
    return socket;
  }

  // Frames. Each of these says whether it made sense of what it was given.

  #take(frame: Uint8Array, offload: Offload): boolean {
    const header = parseEthernet(frame);
    if (header === undefined) return false;
    const rest = frame.subarray(ethernetHeaderBytes);
    // A group address sends nothing.
    if ((header.source[0] & 1) === 0) this.#neighbours.guestMac = header.source.slice();
    if (header.type === etherType.arp) return this.#takeArp(rest);
    if (header.type !== etherType.ipv4) return false;
    const packet = parseIpv4Packet(rest);
    if (packet === undefined) return false;
    const isFragment = packet.moreFragments || packet.fragmentOffset > 0;
    if (!isFragment) return this.#takePacket(packet, offload);
    const whole = this.#fragments.add(packet);
    return whole === undefined || this.#takePacket(whole, noOffload);
  }

  #takeArp(bytes: Uint8Array): boolean {
    const arp = parseArp(bytes);
    if (arp === undefined) return false;
    const ours = arp.target === userNetwork.gateway || arp.target === userNetwork.nameServer;
    // A probe for one's own address (RFC 5227) has no sender; it gets no answer, because nobody else has it.
    if (arp.operation !== arpOperation.request || !ours) return true;
    const to = { mac: arp.senderMac, address: arp.sender };
    this.#link.send(noOffload, arpFrame(arpOperation.reply, { mac: gatewayMac, address: arp.target }, to));
    return true;
  }

  #takePacket(packet: Ipv4Packet, offload: Offload): boolean {
    if (packet.protocol === protocol.udp && packet.source !== userNetwork.guest) return this.#takeDhcp(packet);
    if (packet.source !== userNetwork.guest) return false;
    switch (packet.protocol) {
      case protocol.tcp:
        return this.#takeTcp(packet, offload);
      case protocol.udp:
        return this.#takeUdp(packet, offload);
      case protocol.icmp:
        return this.#takeIcmp(packet);
      default:
        return false;
    }
  }

  #takeTcp(packet: Ipv4Packet, offload: Offload): boolean {
    const { source, destination, payload } = packet;
    const segment = parseTcp(payload);
    if (segment === undefined) return false;
    if (!offload.partialChecksum) {
      const pseudo = sumPseudoHeader(source, destination, protocol.tcp, payload.length);
      if (fold(sumWords(payload, 0, payload.length, pseudo)) !== 0xffff) return false;
    }
    this.#tcp.receive(segment, packet);
    return true;
  }

  #takeUdp(packet: Ipv4Packet, { partialChecksum }: Offload): boolean {
    const { source, destination } = packet;
    const datagram = parseUdp(packet.payload, source, destination, partialChecksum);
    if (datagram === undefined) return false;
    const { destinationPort: port, payload, sourcePort } = datagram;
    if (port === dhcpPort.server) return this.#answerDhcp(payload);
    if (destination === userNetwork.nameServer && port === dnsPort) {
      this.#dns.ask(payload, (answer) => void this.#writer.udp({ address: destination, port }, sourcePort, answer));
      return true;
    }
    if (destination === userNetwork.gateway && this.#udp.answer(datagram)) return true;
    const remote: HostAddress = { address: destination, port };
    const to = this.#policy.destination(destination, port);
    if (to === undefined) this.#refuse(packet);
    else this.#udp.send(datagram, remote, to);
    return true;
  }

  /** Before it has an address, a client speaks from 0.0.0.0. */
  #takeDhcp(packet: Ipv4Packet): boolean {
    const datagram = parseUdp(packet.payload, packet.source, packet.destination, true);
    return datagram?.destinationPort === dhcpPort.server && this.#answerDhcp(datagram.payload);
  }

  #answerDhcp(message: Uint8Array): boolean {
    const answer = answerDhcp(message, lease);
    if (answer === undefined) return false;
    const server = { address: userNetwork.gateway, port: dhcpPort.server };
    this.#writer.udp(server, dhcpPort.client, answer, limitedBroadcast);
    return true;
  }

  /** Echoes to the network's own addresses are answered. Others would need a right that this program has not. */
  #takeIcmp({ destination, payload, whole }: Ipv4Packet): boolean {
    if (!isEchoRequest(payload)) return true;
    if (destination !== userNetwork.gateway && destination !== userNetwork.nameServer) {
      this.#unreachable(unreachable.prohibited, whole);
      return true;
    }
    const reply = echoReply(payload);
    if (reply === undefined) return false;
    this.#writer.packet(destination, protocol.icmp, reply);
    return true;
  }

  #destination(to: Ipv4, port: number): HostAddress | undefined {
    if (to !== userNetwork.nameServer) return this.#policy.destination(to, port);
    return port === dnsPort ? this.#host.sockets.resolvers[0] : undefined;
  }

  #refuse({ destination, whole }: Ipv4Packet): void {
    const isGroup = destination === limitedBroadcast || destination >>> 28 >= 14;
    // Nobody is told about broadcasts (RFC 1122, 3.2.2).
    if (isGroup || destination === ipv4(subnet.base | 0xff)) return;
    const near = destination === userNetwork.gateway || destination === userNetwork.nameServer;
    this.#unreachable(near ? unreachable.port : unreachable.prohibited, whole);
  }

  /** From the gateway, or from whom the guest has asked in its own network. */
  #unreachable(code: number, packet: Uint8Array): void {
    const destination = ipv4(new DataView(packet.buffer, packet.byteOffset, packet.length).getUint32(16));
    const near = inPrefix(destination, subnet);
    const from = near && destination === userNetwork.nameServer ? destination : userNetwork.gateway;
    this.#writer.packet(from, protocol.icmp, unreachableMessage(code, packet));
  }
}

const icmpCodes: Record<ConnectFailure, number> = {
  refused: unreachable.port,
  unreachable: unreachable.host,
  prohibited: unreachable.prohibited,
};
