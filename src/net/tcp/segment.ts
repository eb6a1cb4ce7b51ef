/** TCP segments as bytes (RFC 9293, 3.1 and 3.2; options also RFC 7323 and RFC 2018). */

export const tcpHeaderBytes = 20;
export const tcpChecksumOffset = 16;
export const maxTcpHeaderBytes = 60;

export const tcpFlag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

const option = { end: 0, nop: 1, mss: 2, windowScale: 3, sackPermitted: 4, sack: 5 } as const;

/** Sequence numbers `[from, to)` that have arrived out of order. */
export type SackBlock = readonly [from: number, to: number];

export interface TcpOptions {
  readonly mss?: number;
  readonly windowScale?: number;
  readonly sackPermitted?: boolean;
  readonly sack?: readonly SackBlock[];
}

export interface TcpHeader {
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly seq: number;
  readonly ack: number;
  readonly flags: number;
  /** As in the header, not scaled. */
  readonly window: number;
  readonly options: TcpOptions;
}

export interface TcpSegment extends TcpHeader {
  /** A view on the frame. */
  readonly payload: Uint8Array;
}

const noOptions: TcpOptions = {};

/** Undefined for what is no sound segment; its checksum is somebody else's to look at. */
export function parseTcp(bytes: Uint8Array): TcpSegment | undefined {
  if (bytes.length < tcpHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const headerBytes = (bytes[12] >> 4) * 4;
  if (headerBytes < tcpHeaderBytes || headerBytes > bytes.length) return undefined;
  return {
    sourcePort: view.getUint16(0),
    destinationPort: view.getUint16(2),
    seq: view.getUint32(4),
    ack: view.getUint32(8),
    flags: bytes[13] & 0x3f,
    window: view.getUint16(14),
    options: headerBytes === tcpHeaderBytes ? noOptions : parseOptions(view, headerBytes),
    payload: bytes.subarray(headerBytes),
  };
}

/** What is cut short, or has a length that its kind does not have, ends the list. */
function parseOptions(view: DataView, end: number): TcpOptions {
  const found: { mss?: number; windowScale?: number; sackPermitted?: boolean; sack?: SackBlock[] } = {};
  let at = tcpHeaderBytes;
  while (at < end) {
    const kind = view.getUint8(at);
    if (kind === option.end) break;
    if (kind === option.nop) {
      at++;
      continue;
    }
    const length = at + 1 < end ? view.getUint8(at + 1) : 0;
    if (length < 2 || at + length > end) break;
    if (kind === option.mss && length === 4) found.mss = view.getUint16(at + 2);
    // RFC 7323, 2.3: larger shifts count as 14.
    else if (kind === option.windowScale && length === 3) found.windowScale = Math.min(14, view.getUint8(at + 2));
    else if (kind === option.sackPermitted && length === 2) found.sackPermitted = true;
    else if (kind === option.sack && length > 2 && (length - 2) % 8 === 0) {
      found.sack = [];
      for (let each = at + 2; each < at + length; each += 8) {
        found.sack.push([view.getUint32(each), view.getUint32(each + 4)]);
      }
    }
    at += length;
  }
  return found;
}

/** Bytes of a header with these options. */
export function tcpHeaderLength({ mss, windowScale, sackPermitted, sack }: TcpOptions): number {
  const options =
    (mss === undefined ? 0 : 4) +
    (windowScale === undefined ? 0 : 4) +
    (sackPermitted ? 4 : 0) +
    (sack === undefined || sack.length === 0 ? 0 : 4 + 8 * sack.length);
  return tcpHeaderBytes + options;
}

/** Writes a header, its checksum 0, at `at`; each option is padded by NOPs to whole words. Gives its length. */
export function writeTcpHeader(bytes: Uint8Array, at: number, header: TcpHeader): number {
  const length = tcpHeaderLength(header.options);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, length);
  view.setUint16(0, header.sourcePort);
  view.setUint16(2, header.destinationPort);
  view.setUint32(4, header.seq);
  view.setUint32(8, header.ack);
  view.setUint16(12, ((length / 4) << 12) | header.flags);
  view.setUint16(14, header.window);
  view.setUint32(16, 0);
  let next = tcpHeaderBytes;
  const word = (value: number): void => {
    view.setUint32(next, value >>> 0);
    next += 4;
  };
  const { mss, windowScale, sackPermitted, sack } = header.options;
  if (mss !== undefined) word((option.mss << 24) | (4 << 16) | mss);
  if (windowScale !== undefined) word((option.nop << 24) | (option.windowScale << 16) | (3 << 8) | windowScale);
  if (sackPermitted) word((option.nop << 24) | (option.nop << 16) | (option.sackPermitted << 8) | 2);
  if (sack !== undefined && sack.length > 0) {
    word((option.nop << 24) | (option.nop << 16) | (option.sack << 8) | (2 + 8 * sack.length));
    for (const [from, to] of sack) {
      word(from);
      word(to);
    }
  }
  return length;
}

const flagLetters = Object.entries(tcpFlag);

/** As in `SYN,ACK seq 1 ack 2 win 3 [mss 1460] 5 bytes`. */
export function printSegment(segment: TcpHeader & { readonly payload?: Uint8Array }): string {
  const { mss, windowScale, sackPermitted, sack } = segment.options;
  const flags = flagLetters.filter(([, bit]) => (segment.flags & bit) !== 0).map(([name]) => name.toUpperCase());
  const options = [
    ...(mss === undefined ? [] : [`mss ${mss}`]),
    ...(windowScale === undefined ? [] : [`scale ${windowScale}`]),
    ...(sackPermitted ? ["sack ok"] : []),
    ...(sack ?? []).map(([from, to]) => `sack ${from}-${to}`),
  ];
  return [
    flags.join(",") || "none",
    `seq ${segment.seq}`,
    ...((segment.flags & tcpFlag.ack) !== 0 ? [`ack ${segment.ack}`] : []),
    `win ${segment.window}`,
    ...(options.length > 0 ? [`[${options.join(", ")}]`] : []),
    ...(segment.payload === undefined || segment.payload.length === 0 ? [] : [`${segment.payload.length} bytes`]),
  ].join(" ");
}
