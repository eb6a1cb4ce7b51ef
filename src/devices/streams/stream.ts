/** Streams as devices see them. */

/** One stream. Requires of its user: nothing more is called once it is closed by either side. */
export interface DeviceStream {
  /** Bytes that the host takes now. */
  readonly room: number;
  /** Requires: no more than `room`. The array is the callee's to keep. */
  send(bytes: Uint8Array): void;
  /** Bytes from the host that wait. */
  readonly available: number;
  /** Copies what waits to the start of `target`, and gives how many bytes that were. */
  take(target: Uint8Array): number;
  /** The host sends nothing more than what is available now. */
  readonly inputEnded: boolean;
  /** A stream that the host opened: the guest has taken it. */
  accept(): void;
  sendEnd(): void;
  close(): void;
}

/** What a device is told about a stream of its own. */
export interface StreamEnd {
  /** More is available, or the host has ended its side. */
  input(): void;
  /** `room` has grown. */
  room(): void;
  /** The host closed the stream. */
  closed(): void;
}

/** Takes the streams that the host opens to services of one kind. */
export interface StreamProvider {
  /** The device's end, or nothing when there is no such service in the guest. */
  connect(target: string, stream: DeviceStream): StreamEnd | undefined;
  /** Whether the host welcomes streams of the guest to this service. */
  listening(target: string, wanted: boolean): void;
}

/** Where devices get streams from. */
export interface StreamSource {
  /** Requires: one provider a kind. It is told at once of what the host listens for. */
  serve(kind: string, provider: StreamProvider): void;
  isListening(service: string): boolean;
  /**
   * A stream to a service of the host. Nothing when the host does not listen, or is behind with too many streams: then `listening` is
   * called again when it may be tried anew.
   */
  open(service: string, end: StreamEnd): DeviceStream | undefined;
}
