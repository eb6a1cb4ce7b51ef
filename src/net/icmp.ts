/** ICMP (RFC 792): echoes, and the errors that tell the guest why nothing comes. */
import { checksumOf, fold, sumWords } from "./checksum.ts";

export const icmpType = { echoReply: 0, unreachable: 3, echo: 8 } as const;

/** Codes of `unreachable`. */
export const unreachable = { network: 0, host: 1, port: 3, prohibited: 13 } as const;

const headerBytes = 8;
/** An error quotes this much: the IP header and the ports (RFC 1812, 4.3.2.3, allows more; nobody needs it). */
const quotedBytes = 28;

/** The reply to an echo request; undefined for any other message. */
export function echoReply(message: Uint8Array): Uint8Array | undefined {
  if (message.length < headerBytes || message[0] !== icmpType.echo || message[1] !== 0) return undefined;
  if (fold(sumWords(message, 0, message.length)) !== 0xffff) return undefined;
  const reply = message.slice();
  reply[0] = icmpType.echoReply;
  return withChecksum(reply);
}

export const isEchoRequest = (message: Uint8Array): boolean =>
  message.length >= headerBytes && message[0] === icmpType.echo;

/** `packet`: the IP packet that did not arrive. */
export function unreachableMessage(code: number, packet: Uint8Array): Uint8Array {
  const quoted = packet.subarray(0, quotedBytes);
  const message = new Uint8Array(headerBytes + quoted.length);
  message[0] = icmpType.unreachable;
  message[1] = code;
  message.set(quoted, headerBytes);
  return withChecksum(message);
}

function withChecksum(message: Uint8Array): Uint8Array {
  message[2] = message[3] = 0;
  const checksum = checksumOf(sumWords(message, 0, message.length));
  message[2] = checksum >> 8;
  message[3] = checksum & 0xff;
  return message;
}
