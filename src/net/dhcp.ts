/**
 * A DHCP server for one client (RFC 2131, options in RFC 2132): whoever asks gets the guest's address.
 *
 * It has no state. The lease is long, and renewing it gives the same again.
 */
import { type Ipv4, ipv4, maskOf } from "./address.ts";

export const dhcpPort = { server: 67, client: 68 } as const;

const messageType = { discover: 1, offer: 2, request: 3, ack: 5, nak: 6, inform: 8 } as const;
const option = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  domainName: 15,
  mtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  messageType: 53,
  server: 54,
  renewal: 58,
  rebinding: 59,
  end: 255,
} as const;

/** From `op` to `file`, the magic cookie behind them. */
const fixedBytes = 236;
const cookie = 0x6382_5363;
const leaseSeconds = 24 * 3600;
const bootReply = 2;
/** What every client takes (RFC 2131, 2). */
const shortestMessage = 300;

export interface Lease {
  readonly address: Ipv4;
  readonly prefixBits: number;
  readonly gateway: Ipv4;
  readonly dns: Ipv4;
  readonly mtu: number;
  readonly domain?: string;
}

/** The answer to a client's message, or nothing where none is due. */
export function answerDhcp(message: Uint8Array, lease: Lease): Uint8Array | undefined {
  if (message.length < fixedBytes + 4 || message[0] !== 1 || message[1] !== 1 || message[2] !== 6) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  if (view.getUint32(fixedBytes) !== cookie) return undefined;
  const options = parseOptions(message.subarray(fixedBytes + 4));
  switch (options.get(option.messageType)?.[0]) {
    case messageType.discover:
      return reply(message, messageType.offer, lease);
    case messageType.request: {
      const server = addressIn(options.get(option.server));
      // Somebody else's offer was taken.
      if (server !== undefined && server !== lease.gateway) return undefined;
      const current = ipv4(view.getUint32(12));
      const wanted = addressIn(options.get(option.requestedAddress)) ?? (current === 0 ? undefined : current);
      return reply(message, wanted === lease.address ? messageType.ack : messageType.nak, lease);
    }
    case messageType.inform:
      return reply(message, messageType.ack, lease, true);
    default:
      return undefined;
  }
}

/** The first of each option; what is cut short ends the list. */
function parseOptions(bytes: Uint8Array): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  let at = 0;
  while (at < bytes.length && bytes[at] !== option.end) {
    const code = bytes[at];
    // A pad has no length.
    if (code === 0) {
      at++;
      continue;
    }
    const length = bytes[at + 1];
    if (length === undefined || at + 2 + length > bytes.length) break;
    if (!found.has(code)) found.set(code, bytes.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return found;
}

function addressIn(bytes: Uint8Array | undefined): Ipv4 | undefined {
  if (bytes === undefined || bytes.length !== 4) return undefined;
  return ipv4(new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0));
}

function reply(request: Uint8Array, type: number, lease: Lease, inform = false): Uint8Array {
  const nak = type === messageType.nak;
  const options = new OptionWriter();
  options.byte(option.messageType, type);
  options.word(option.server, lease.gateway);
  if (!nak) {
    if (!inform) {
      options.word(option.leaseTime, leaseSeconds);
      options.word(option.renewal, leaseSeconds / 2);
      options.word(option.rebinding, (leaseSeconds / 8) * 7);
    }
    options.word(option.subnetMask, maskOf(lease.prefixBits));
    options.word(option.router, lease.gateway);
    options.word(option.dns, lease.dns);
    options.bytes(option.mtu, [lease.mtu >> 8, lease.mtu & 0xff]);
    if (lease.domain)
      options.bytes(
        option.domainName,
        [...lease.domain].map((each) => each.charCodeAt(0) & 0x7f),
      );
  }
  const written = options.end();
  const message = new Uint8Array(Math.max(shortestMessage, fixedBytes + 4 + written.length));
  const view = new DataView(message.buffer);
  message.set(request.subarray(0, fixedBytes), 0);
  message[0] = bootReply;
  message[3] = 0;
  // secs, yiaddr, siaddr, giaddr; ciaddr stays for INFORM. Server name and file are not ours to echo.
  view.setUint16(8, 0);
  if (!inform) view.setUint32(12, 0);
  view.setUint32(16, nak || inform ? 0 : lease.address);
  view.setUint32(20, 0);
  view.setUint32(24, 0);
  message.fill(0, 44, fixedBytes);
  view.setUint32(fixedBytes, cookie);
  message.set(written, fixedBytes + 4);
  return message;
}

class OptionWriter {
  readonly #bytes: number[] = [];

  bytes(code: number, value: readonly number[]): void {
    this.#bytes.push(code, value.length, ...value);
  }

  byte(code: number, value: number): void {
    this.bytes(code, [value]);
  }

  word(code: number, value: number): void {
    this.bytes(code, [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
  }

  end(): Uint8Array {
    return Uint8Array.from([...this.#bytes, option.end]);
  }
}
