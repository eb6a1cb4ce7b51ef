/**
 * The network device (virtio 1.2, "Network Device"): one pair of queues, frames to and from a network service.
 *
 * Checksums and the cutting of long TCP segments are left to the network, which has no use for either: a guest sends and gets up
 * to 64 KiB in one frame.
 * Laws: a frame that the driver has no room for waits, and so does all behind it, on the line and then in the host's
 * sockets. What the driver sends waits in its own queue while the line is full. Nothing is lost, and nothing grows.
 *
 * That small frames have been sent is told when nothing more was sent for `quietNs`, or when they are many: an answer is mostly on its
 * way, Linux's driver looks at both queues when one comes, and has then no need of an interrupt of its own. Who waits for its
 * buffers waits no longer than that.
 */
import { littleEndian } from "#base";
import type { Mac } from "#net";
import { type LinkAbilities, maxFrameBytes } from "#net/link";
import type { PublishRule } from "#net/rules";
import type { Alarm, DeviceClock } from "../../bus.ts";
import type { IoLine } from "../../io/index.ts";
import { copyState, restoreState } from "../../state.ts";
import type { Chain, VirtioDevice, VirtioDriver, Virtqueue } from "../device.ts";
import { headerBytes, writeHeader } from "./header.ts";
import { type NetState, newNetState } from "./persist.ts";
import { noteConnection } from "./recent.ts";
import {
  askMessage,
  frameHeadBytes,
  portMessage,
  readFrameHead,
  readPortAnswer,
  startMessage,
  stopMessage,
  toService,
} from "./wire.ts";

const VIRTIO_NET_F_CSUM = 1n << 0n;
const VIRTIO_NET_F_GUEST_CSUM = 1n << 1n;
const VIRTIO_NET_F_MAC = 1n << 5n;
const VIRTIO_NET_F_GUEST_TSO4 = 1n << 7n;
const VIRTIO_NET_F_HOST_TSO4 = 1n << 11n;
const VIRTIO_NET_F_MRG_RXBUF = 1n << 15n;
const VIRTIO_NET_F_STATUS = 1n << 16n;

const queue = { receive: 0, transmit: 1 } as const;
const configBytes = 8;
const statusAt = 6;
const linkUp = 1;

/** A frame up to this length is small. */
const smallBytes = 1600;
const quietNs = 500_000;
/** More small frames than these are told of at once. */
const mostUntold = 32;

const frameMessage = Uint8Array.of(toService.frame);

export class Net implements VirtioDevice<NetState> {
  readonly type = 1;
  readonly classCode = 0x02_0000;
  readonly features =
    VIRTIO_NET_F_CSUM |
    VIRTIO_NET_F_GUEST_CSUM |
    VIRTIO_NET_F_MAC |
    VIRTIO_NET_F_GUEST_TSO4 |
    VIRTIO_NET_F_HOST_TSO4 |
    VIRTIO_NET_F_MRG_RXBUF |
    VIRTIO_NET_F_STATUS;
  readonly queueSizes = [256, 256];
  readonly #state = newNetState();
  readonly #config = new Uint8Array(configBytes);
  readonly #line: IoLine;
  readonly #clock: DeviceClock;
  readonly #scratch = new Uint8Array(headerBytes + maxFrameBytes);
  #driver: VirtioDriver | undefined;
  #mergeable = false;
  /** Room that has been taken for the line's next frame, not enough yet. */
  #room: Chain[] = [];
  /** A frame of the guest's that did not fit on the line. */
  #unsent: { readonly chain: Chain; readonly length: number } | undefined;

  #restored = false;
  /** Frames sent that the driver does not know of yet, all small. */
  #quietly = 0;
  readonly #quietEnds: Alarm;

  constructor(line: IoLine, mac: Mac, clock: DeviceClock) {
    this.#line = line;
    this.#clock = clock;
    this.#quietEnds = clock.alarm(() => this.#tellSent());
    this.#config.set(mac, 0);
    this.#config[statusAt] = linkUp;
    line.onMessageInPlace = (message) => this.#receive(message);
    line.onRoom = () => this.#sendMore();
  }

  readConfig(offset: number, size: number): number {
    return littleEndian(this.#config, offset, size);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    const has = (feature: bigint): boolean => (driver.features & feature) !== 0n;
    this.#mergeable = has(VIRTIO_NET_F_MRG_RXBUF);
    const abilities: LinkAbilities = {
      partialChecksum: has(VIRTIO_NET_F_GUEST_CSUM),
      largeSegments: has(VIRTIO_NET_F_GUEST_CSUM) && has(VIRTIO_NET_F_GUEST_TSO4),
    };
    this.#tell(startMessage(abilities, this.#state.era));
    // A restored driver may not have been told, and has connections that nobody knows.
    this.#tellSent();
    if (this.#restored) this.#tell(askMessage(this.#state.recent));
    this.#restored = false;
  }

  kick(index: number): void {
    if (index === queue.transmit) this.#sendMore();
    else if (index === queue.receive) this.#line.resume();
  }

  stop(): void {
    if (this.#driver !== undefined) this.#tell(stopMessage());
    this.#driver = undefined;
    this.#state.era = (this.#state.era + 1) & 0xff;
    this.#room = [];
    this.#unsent = undefined;
    this.#state.recent.fill(0);
    this.#quietEnds.set(undefined);
    this.#line.resume();
  }

  save(): NetState {
    return copyState(this.#state);
  }

  restore(saved: NetState): void {
    restoreState(this.#state, saved);
    this.#restored = true;
  }

  /** Publishes a port of the host, or gives it back. `done` hears the answer once: what was wrong, if anything was. */
  port(rule: PublishRule, open: boolean, done: (error: string | undefined) => void): void {
    const id = this.#nextPortOrder++;
    this.#portOrders.set(id, done);
    this.#tell(portMessage({ id, rule, open }));
  }

  readonly #portOrders = new Map<number, (error: string | undefined) => void>();
  #nextPortOrder = 1;

  /** Not to be lost: while the line is full it waits for room. */
  #tell(message: Uint8Array): void {
    this.#untold.push(message);
    this.#sendUntold();
  }

  readonly #untold: Uint8Array[] = [];

  #sendUntold(): boolean {
    while (this.#untold.length > 0) {
      if (!this.#line.send(this.#untold[0] as Uint8Array)) return false;
      this.#untold.shift();
    }
    return true;
  }

  // From the guest.

  #sendMore(): void {
    if (!this.#sendUntold()) return;
    const transmit = this.#driver?.queues[queue.transmit];
    if (transmit === undefined) return;
    if (this.#unsent !== undefined && !this.#sendOne(transmit, this.#unsent.chain, this.#unsent.length)) return;
    this.#unsent = undefined;
    let large = false;
    for (let chain = transmit.pop(); chain !== undefined; chain = transmit.pop()) {
      const length = chain.read(0, this.#scratch);
      // Too short to be one, or longer than any frame is: dropped, as a cable would.
      const isFrame = length > headerBytes && chain.readableBytes <= this.#scratch.length;
      if (!isFrame) transmit.push(chain, 0);
      else if (!this.#sendOne(transmit, chain, length)) {
        this.#unsent = { chain, length };
        break;
      }
      large ||= length > smallBytes;
      this.#quietly++;
    }
    if (large || this.#quietly > mostUntold || this.#unsent !== undefined) this.#tellSent();
    else if (this.#quietly > 0) this.#quietEnds.set(this.#clock.now() + quietNs);
  }

  #tellSent(): void {
    this.#quietly = 0;
    this.#quietEnds.set(undefined);
    this.#driver?.queues[queue.transmit]?.flush();
  }

  /** Requires: the frame is in the scratch memory. */
  #sendOne(transmit: Virtqueue, chain: Chain, length: number): boolean {
    if (!this.#line.send(frameMessage, this.#scratch.subarray(0, length))) return false;
    noteConnection(this.#state.recent, this.#scratch.subarray(headerBytes, length));
    transmit.push(chain, 0);
    return true;
  }

  // To the guest.

  /** False while the guest has no room for it. */
  #receive(message: Uint8Array): boolean {
    const answer = readPortAnswer(message);
    if (answer !== undefined) {
      this.#portOrders.get(answer.id)?.(answer.error);
      this.#portOrders.delete(answer.id);
      return true;
    }
    const receive = this.#driver?.queues[queue.receive];
    if (receive === undefined || message[0] !== this.#state.era) return true;
    if (!this.#deliver(receive, message)) return false;
    receive.flush();
    return true;
  }

  /** False when there is not room enough yet. */
  #deliver(receive: Virtqueue, message: Uint8Array): boolean {
    const frame = message.subarray(frameHeadBytes);
    const needed = headerBytes + frame.length;
    let room = this.#room.reduce((sum, chain) => sum + chain.writableBytes, 0);
    while (room < needed) {
      const chain = receive.pop();
      if (chain === undefined) return false;
      // A chain without room for the header is none, and without merging one that is too short is an overrun.
      const useless = chain.writableBytes < headerBytes || (!this.#mergeable && chain.writableBytes < needed);
      if (useless) {
        receive.push(chain, 0);
        if (!this.#mergeable) return true;
        continue;
      }
      this.#room.push(chain);
      room += chain.writableBytes;
    }
    const header = new Uint8Array(headerBytes);
    writeHeader(header, frame, readFrameHead(message).offload, this.#room.length);
    let done = 0;
    for (const [n, chain] of this.#room.entries()) {
      const start = n === 0 ? headerBytes : 0;
      if (n === 0) chain.write(0, header);
      const part = frame.subarray(done, done + chain.writableBytes - start);
      done += chain.write(start, part);
      receive.push(chain, start + part.length);
    }
    this.#room = [];
    return true;
  }
}
