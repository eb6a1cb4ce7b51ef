/**
 * A virtio console: named ports between programs of the guest and programs of the host (virtio 1.2, "Console Device").
 *
 * Each time that a program in the guest opens a port is a stream to the host (`console/NAME`), until it closes it. A port is plugged
 * in when the host first listens for its streams; a driver finds it then, at any time, by its name.
 *
 *   guest opens   ──▶ a new stream                   host ends or closes ──▶ the guest reads an end of file, and its writes wait
 *   guest closes  ──▶ what it wrote, then a close    both have closed    ──▶ the port is open to the host again
 *
 * Laws: bytes of the host reach only the program for whose opening they were written. Of what a program writes, no more leaves
 * the guest than the host has room for: its buffers come back late, and it waits. Each port has at most one chain in flight.
 * Port 0 is a terminal (hvc0); without VIRTIO_CONSOLE_F_MULTIPORT it is all there is, and always open.
 */
import { copyState, restoreState, StateError } from "../../state.ts";
import type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "../../streams/index.ts";
import type { Chain, VirtioDevice, VirtioDriver } from "../device.ts";
import { type ConsoleState, newConsoleState, portFlag, unsaid } from "./persist.ts";
import {
  buildControl,
  type Control,
  controlBytes,
  controlEvent,
  controlReceive,
  controlTransmit,
  parseControl,
  portOf,
  receiveQueue,
  transmitQueue,
  VIRTIO_CONSOLE_F_MULTIPORT,
  VIRTIO_CONSOLE_F_SIZE,
} from "./protocol.ts";

/** A driver fills the receive queue of each port with pages: small queues, little memory. */
const dataQueueSize = 16;
const controlQueueSize = 32;
/** Taken from the guest at once, at most. */
const burstBytes = 64 * 1024;
const encoder = new TextEncoder();

/** A port's way to the host. */
interface Connection {
  stream: DeviceStream | undefined;
  /** Popped, and not all of it sent: `sent` says how much. */
  chain: Chain | undefined;
  /** The host closed the stream: what the program still writes is thrown away. */
  unheard: boolean;
}

export class VirtioConsole implements VirtioDevice<ConsoleState>, StreamProvider {
  readonly type = 3;
  /** Communication controller, other. */
  readonly classCode = 0x07_80_00;
  readonly features = VIRTIO_CONSOLE_F_MULTIPORT | VIRTIO_CONSOLE_F_SIZE;
  readonly queueSizes: readonly number[];
  /** One for the configuration and one for all queues: a driver that asks for one a queue would have a hundred interrupts. */
  readonly vectors = 2;
  readonly #names: readonly string[];
  readonly #streams: StreamSource;
  readonly #state: ConsoleState;
  readonly #sent: Uint32Array;
  readonly #connections: readonly Connection[];
  #driver: VirtioDriver | undefined;

  /** `names`: of the ports from 1 on. Port 0 is called hvc0. */
  constructor(names: readonly string[], streams: StreamSource) {
    this.#names = ["hvc0", ...names];
    this.#streams = streams;
    const ports = this.#names.length;
    this.queueSizes = Array.from({ length: 2 * ports + 2 }, (_, queue) =>
      queue === controlReceive || queue === controlTransmit ? controlQueueSize : dataQueueSize,
    );
    this.#state = newConsoleState(ports);
    this.#sent = new Uint32Array(this.#state.sent.buffer);
    this.#connections = this.#names.map(() => ({ stream: undefined, chain: undefined, unheard: false }));
    streams.serve("console", this);
  }

  readConfig(offset: number, size: number): number {
    const config = new DataView(new ArrayBuffer(16));
    config.setUint16(0, this.#state.columns, true);
    config.setUint16(2, this.#state.rows, true);
    config.setUint32(4, this.#names.length, true);
    if (offset + size > 12) return 0;
    return size === 1
      ? config.getUint8(offset)
      : size === 2
        ? config.getUint16(offset, true)
        : config.getUint32(offset, true);
  }

  writeConfig(): void {}

  start(driver: VirtioDriver): void {
    this.#driver = driver;
    if (!this.#multiport) this.#state.flags[0] |= portFlag.ready | portFlag.guestOpen;
    for (const port of this.#names.keys()) {
      if (this.#is(port, portFlag.guestOpen)) this.#connect(port);
    }
  }

  stop(): void {
    this.#driver = undefined;
    this.#hangUp();
    const { columns, rows } = this.#state;
    restoreState(this.#state, { ...newConsoleState(this.#names.length), columns, rows });
  }

  kick(queue: number): void {
    if (queue === controlTransmit) this.#takeControl();
    else if (queue === controlReceive) this.#sayAll();
    else if (queue === transmitQueue(portOf(queue))) this.#sendToHost(portOf(queue));
    else this.#sendToGuest(portOf(queue));
  }

  save(): ConsoleState {
    return copyState(this.#state);
  }

  /** The host's ends of the streams are lost: what is open is opened anew by `start`. */
  restore(saved: ConsoleState): void {
    if (saved.flags?.length !== this.#names.length) throw new StateError("a console with other ports");
    this.#hangUp();
    restoreState(this.#state, saved);
  }

  /** The terminal behind port 0 has another size. */
  resize(columns: number, rows: number): void {
    this.#state.columns = columns & 0xffff;
    this.#state.rows = rows & 0xffff;
    if (this.#is(0, portFlag.ready)) this.#say(0, unsaid.size);
    this.#driver?.configChanged();
  }

  // The host's side.

  /** The host does not open ports: the guest does. */
  connect(): undefined {
    return undefined;
  }

  listening(name: string): void {
    const port = this.#names.indexOf(name);
    if (port < 0) return;
    if (!this.#is(port, portFlag.added)) this.#plug(port);
    else if (this.#awaitsHost(port)) this.#connect(port);
    this.#tellOpen(port);
  }

  #awaitsHost(port: number): boolean {
    const { stream, unheard } = this.#connections[port];
    return (
      (this.#state.flags[port] & (portFlag.guestOpen | portFlag.closing)) === portFlag.guestOpen && !stream && !unheard
    );
  }

  #hangUp(): void {
    for (const connection of this.#connections) {
      connection.stream?.close();
      connection.stream = undefined;
      connection.chain = undefined;
      connection.unheard = false;
    }
  }

  #end(port: number): StreamEnd {
    return {
      input: () => this.#sendToGuest(port),
      room: () => this.#sendToHost(port),
      closed: () => {
        this.#connections[port].stream = undefined;
        this.#connections[port].unheard = true;
        this.#tellOpen(port);
        this.#sendToHost(port);
      },
    };
  }

  #connect(port: number): void {
    const connection = this.#connections[port];
    connection.unheard = false;
    connection.stream = this.#streams.open(`console/${this.#names[port]}`, this.#end(port));
    this.#tellOpen(port);
    this.#sendToHost(port);
  }

  /** Copies what the host sent into the driver's buffers, as far as they go. */
  #sendToGuest(port: number): void {
    const { stream } = this.#connections[port];
    const queue = this.#driver?.queues[receiveQueue(port)];
    if (stream === undefined || queue === undefined) return;
    // A driver throws away what comes while no program has the port open.
    while (stream.available > 0 && this.#is(port, portFlag.guestOpen)) {
      const chain = queue.pop();
      if (chain === undefined) break;
      const bytes = new Uint8Array(Math.min(stream.available, chain.writableBytes, burstBytes));
      queue.push(chain, chain.write(0, bytes.subarray(0, stream.take(bytes))));
    }
    queue.flush();
    if (stream.available === 0 && stream.inputEnded) this.#tellOpen(port);
  }

  /** Hands the host what the guest wrote, as far as there is room. */
  #sendToHost(port: number): void {
    const queue = this.#driver?.queues[transmitQueue(port)];
    if (queue === undefined) return;
    const connection = this.#connections[port];
    for (;;) {
      const { stream } = connection;
      // Without a stream, what a program wrote that is gone or unheard is for nobody, and the rest waits.
      if (stream === undefined ? !connection.unheard && !this.#is(port, portFlag.closing) : stream.room === 0) break;
      connection.chain ??= queue.pop();
      const { chain } = connection;
      if (chain === undefined) break;
      if (stream !== undefined) {
        // A driver may have cut the chain down before it was given anew by a restored queue.
        const left = Math.max(0, chain.readableBytes - this.#sent[port]);
        const bytes = new Uint8Array(Math.min(left, stream.room, burstBytes));
        this.#sent[port] += chain.read(this.#sent[port], bytes);
        stream.send(bytes);
        if (bytes.length < left) continue;
      }
      this.#sent[port] = 0;
      connection.chain = undefined;
      queue.push(chain, 0);
    }
    queue.flush();
    if (connection.chain === undefined && !queue.hasWork) this.#finishClosing(port);
  }

  // The driver's side: control messages.

  get #multiport(): boolean {
    return this.#driver !== undefined && (this.#driver.features & VIRTIO_CONSOLE_F_MULTIPORT) !== 0n;
  }

  #is(port: number, flag: number): boolean {
    return (this.#state.flags[port] & flag) !== 0;
  }

  #takeControl(): void {
    const queue = this.#driver?.queues[controlTransmit];
    if (queue === undefined) return;
    const message = new Uint8Array(controlBytes);
    for (let chain = queue.pop(); chain !== undefined; chain = queue.pop()) {
      if (chain.read(0, message) === controlBytes) this.#control(parseControl(message));
      queue.push(chain, 0);
    }
    queue.flush();
  }

  #control({ port, event, value }: Control): void {
    if (event === controlEvent.deviceReady) return this.#driverReady(value);
    if (port >= this.#names.length || !this.#is(port, portFlag.added)) return;
    if (event === controlEvent.portReady && value === 1) this.#portReady(port);
    else if (event === controlEvent.portOpen) this.#guestOpens(port, value === 1);
  }

  #driverReady(value: number): void {
    this.#state.driverReady = value & 1;
    if (value !== 1) return;
    for (const [port, name] of this.#names.entries()) {
      if (this.#streams.isListening(`console/${name}`)) this.#plug(port);
    }
  }

  #plug(port: number): void {
    if (this.#state.driverReady === 0 || this.#is(port, portFlag.added)) return;
    this.#state.flags[port] |= portFlag.added;
    this.#say(port, unsaid.add);
  }

  #portReady(port: number): void {
    this.#state.flags[port] |= portFlag.ready;
    this.#say(port, port === 0 ? unsaid.console | unsaid.size | unsaid.name : unsaid.name);
    this.#tellOpen(port);
  }

  #guestOpens(port: number, open: boolean): void {
    const { flags } = this.#state;
    if (!open) {
      if (!this.#is(port, portFlag.guestOpen)) return;
      flags[port] = (flags[port] & ~portFlag.guestOpen) | portFlag.closing;
      return this.#sendToHost(port);
    }
    if (this.#is(port, portFlag.guestOpen)) return;
    flags[port] |= portFlag.guestOpen;
    if (!this.#is(port, portFlag.closing)) this.#connect(port);
  }

  /** All that the last opener wrote has gone to the host. */
  #finishClosing(port: number): void {
    if (!this.#is(port, portFlag.closing)) return;
    this.#state.flags[port] &= ~portFlag.closing;
    this.#connections[port].stream?.close();
    this.#connections[port].stream = undefined;
    if (this.#is(port, portFlag.guestOpen)) this.#connect(port);
    else this.#tellOpen(port);
  }

  /** Tells the driver whether the host has the port open, when that has changed. */
  #tellOpen(port: number): void {
    if (!this.#is(port, portFlag.ready)) return;
    const { stream } = this.#connections[port];
    const free = !this.#is(port, portFlag.guestOpen) && this.#streams.isListening(`console/${this.#names[port]}`);
    const open = free || (stream !== undefined && !(stream.inputEnded && stream.available === 0));
    if (open === this.#is(port, portFlag.hostOpen)) return;
    this.#state.flags[port] ^= portFlag.hostOpen;
    this.#say(port, unsaid.open);
  }

  #say(port: number, what: number): void {
    this.#state.unsaid[port] |= what;
    this.#sayAll();
  }

  /** Control messages for the driver, as far as its buffers go. What is still to be said is a few bits a port, no queue. */
  #sayAll(): void {
    const queue = this.#driver?.queues[controlReceive];
    if (queue === undefined || !this.#multiport) return;
    for (const port of this.#names.keys()) {
      while (this.#state.unsaid[port] !== 0) {
        const chain = queue.pop();
        if (chain === undefined) return queue.flush();
        const bit = this.#state.unsaid[port] & -this.#state.unsaid[port];
        this.#state.unsaid[port] &= ~bit;
        const message = this.#message(port, bit);
        queue.push(chain, chain.write(0, message));
      }
    }
    queue.flush();
  }

  #message(port: number, bit: number): Uint8Array {
    const say = (event: number, value: number, more?: Uint8Array): Uint8Array =>
      buildControl({ port, event, value }, more);
    switch (bit) {
      case unsaid.add:
        return say(controlEvent.portAdd, 1);
      case unsaid.console:
        return say(controlEvent.consolePort, 1);
      case unsaid.size: {
        // Linux has the rows first, against the specification's order.
        const size = new DataView(new ArrayBuffer(4));
        size.setUint16(0, this.#state.rows, true);
        size.setUint16(2, this.#state.columns, true);
        return say(controlEvent.resize, 1, new Uint8Array(size.buffer));
      }
      case unsaid.name:
        return say(controlEvent.portName, 1, encoder.encode(this.#names[port]));
      default:
        return say(controlEvent.portOpen, this.#is(port, portFlag.hostOpen) ? 1 : 0);
    }
  }
}
