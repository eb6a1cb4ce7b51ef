/**
 * The connections that the guest has sent segments of, as far as a table of fixed size holds them: the newest of each place.
 *
 * After a restore the host knows none of them, and a guest that only listens would wait for good. So the network asks about each
 * (`UserNetwork.ask`), the guest answers, and the answer is refused.
 *
 * An entry, big-endian as in the frame: u16 guest's port, u16 remote port, u32 remote address, u32 sequence, u32 acknowledgement.
 * All zeros: none.
 */
import type { RecentConnection } from "#net";

const entryBytes = 16;
const entryCount = 512;
export const recentBytes = entryCount * entryBytes;

const etherTypeAt = 12;
const ipAt = 14;
const protocolTcp = 6;

/** `frame`: one of the guest's; noted if it is of a TCP connection. */
export function noteConnection(table: Uint8Array, frame: Uint8Array): void {
  const isIpv4 = frame[etherTypeAt] === 8 && frame[etherTypeAt + 1] === 0;
  if (!isIpv4 || frame[ipAt + 9] !== protocolTcp) return;
  const tcpAt = ipAt + (frame[ipAt] & 15) * 4;
  if (frame.length < tcpAt + 20) return;
  const place = ((frame[tcpAt] << 8) | frame[tcpAt + 1]) ^ ((frame[tcpAt + 2] << 8) | frame[tcpAt + 3]);
  const at = (place % entryCount) * entryBytes;
  // Both ports, address, sequence and acknowledgement.
  for (let i = 0; i < 4; i++) {
    table[at + i] = frame[tcpAt + i];
    table[at + 4 + i] = frame[ipAt + 16 + i];
  }
  for (let i = 0; i < 8; i++) table[at + 8 + i] = frame[tcpAt + 4 + i];
}

export function recentConnections(table: Uint8Array): readonly RecentConnection[] {
  const view = new DataView(table.buffer, table.byteOffset, table.length);
  const found: RecentConnection[] = [];
  for (let at = 0; at + entryBytes <= table.length; at += entryBytes) {
    if (view.getUint32(at) === 0) continue;
    found.push({
      guestPort: view.getUint16(at),
      remotePort: view.getUint16(at + 2),
      remote: view.getUint32(at + 4),
      sequence: view.getUint32(at + 8),
      acknowledgement: view.getUint32(at + 12),
    });
  }
  return found;
}
