/** The network's end of the line: a user-mode network (#net) on an I/O thread, whose link is the device. */
import { type HostSockets, type Link, type LinkAbilities, type NetClock, type Offload, UserNetwork } from "#net";
import { cardAddress, type NetworkOptions } from "#net/rules";
import type { OpenService, ServicePort } from "../../io/index.ts";
import { headerBytes, readHeader } from "./header.ts";
import { recentConnections } from "./recent.ts";
import { frameHead, type PortOrder, portAnswer, readPortOrder, readStart, toService } from "./wire.ts";

export interface NetworkServiceHost {
  readonly sockets: HostSockets;
  readonly clock: NetClock;
  /** A number below 2^32 that nobody can guess. */
  readonly random32: () => number;
  /** Resolves when what was written is sent, or nobody waits for it any more. */
  close(): Promise<void>;
}

/** The service on a host that gives it these. */
export function networkOpener(
  newHost: (options: NetworkOptions) => NetworkServiceHost | Promise<NetworkServiceHost>,
): OpenService {
  return async (config, port) => {
    const options = config as NetworkOptions;
    const host = await newHost(options);
    const link = new LineLink(port);
    const network = new UserNetwork({ link, ...host }, cardAddress(options));
    link.onRoom = () => network.linkReady();
    await network.start(options);
    let flushing = false;
    // All frames that wait on the line are one batch: they are delivered without a break.
    const flushSoon = (): void => {
      if (flushing) return;
      flushing = true;
      void Promise.resolve().then(() => {
        flushing = false;
        network.flush();
      });
    };
    const carryOut = async ({ id, rule, open }: PortOrder): Promise<void> => {
      try {
        if (open) await network.publish(rule);
        else network.unpublish(rule);
        port.send(portAnswer({ id }));
      } catch (error) {
        port.send(portAnswer({ id, error: error instanceof Error ? error.message : String(error) }));
      }
    };
    return {
      receive: (message) => {
        switch (message[0]) {
          case toService.start:
            link.start(readStart(message));
            break;
          case toService.stop:
            link.stop();
            network.reset();
            break;
          case toService.ask:
            network.ask(recentConnections(message.subarray(1)));
            break;
          case toService.port:
            void carryOut(readPortOrder(message));
            break;
          case toService.frame: {
            const frame = message.subarray(1 + headerBytes);
            const offload = readHeader(message.subarray(1, 1 + headerBytes), frame);
            if (offload !== undefined) network.receive(frame, offload);
            flushSoon();
          }
        }
      },
      close: async () => {
        network.close();
        await host.close();
      },
    };
  };
}

/** Closed until the driver has started. */
class LineLink implements Link {
  readonly #port: ServicePort;
  #started: { readonly abilities: LinkAbilities; readonly era: number } | undefined;
  #waiting = false;
  onRoom: () => void = () => {};

  constructor(port: ServicePort) {
    this.#port = port;
  }

  get abilities(): LinkAbilities {
    return this.#started?.abilities ?? { partialChecksum: false, largeSegments: false };
  }

  start(started: { readonly abilities: LinkAbilities; readonly era: number }): void {
    this.#started = started;
    this.onRoom();
  }

  stop(): void {
    this.#started = undefined;
  }

  send(offload: Offload, ...pieces: readonly Uint8Array[]): boolean {
    if (this.#started === undefined) return false;
    if (this.#port.congested) {
      this.#waitForRoom();
      return false;
    }
    this.#port.send(frameHead(this.#started.era, offload), ...pieces);
    return true;
  }

  #waitForRoom(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    void this.#port.room().then(() => {
      this.#waiting = false;
      this.onRoom();
    });
  }
}
