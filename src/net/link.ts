/**
 * The virtual cable between the guest's network card and the network that we play.
 *
 * It loses nothing by itself: a full link says so, and tells when there is room again.
 */

/** What of a frame's checksums and sizes is left to whoever receives it; virtio-net's header says the same. */
export interface Offload {
  /** The transport's checksum field holds only the pseudo header's sum. */
  readonly partialChecksum: boolean;
  /** Above 0: a TCP segment longer than the link's MTU, to be taken as segments of so much payload. */
  readonly segmentBytes: number;
}

export const noOffload: Offload = { partialChecksum: false, segmentBytes: 0 };

/** What a card takes of such frames. */
export interface LinkAbilities {
  readonly partialChecksum: boolean;
  readonly largeSegments: boolean;
}

export interface Link {
  readonly abilities: LinkAbilities;
  /** Sends a frame to the guest, of these pieces, copying them. False, and nothing sent, while the link is full. */
  send(offload: Offload, ...pieces: readonly Uint8Array[]): boolean;
}

/** What an IP packet on the link may have: Ethernet's. */
export const mtuBytes = 1500;
/** The longest frame there is: an IP packet of 64 KiB less one byte behind Ethernet's header. */
export const maxFrameBytes = 14 + 0xffff;
