/** The devices that fuzz.ts gets at, each with a host that answers sooner or later. */
import { type IoLine, LentFile, NearLine } from "../io/index.ts";
import { ManualClock } from "../manual-clock.ts";
import type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "../streams/index.ts";
import { Balloon } from "./balloon/index.ts";
import { Blk } from "./blk/device.ts";
import { decodeRequest, encodeAnswer } from "./blk/protocol.ts";
import { VirtioConsole } from "./console/index.ts";
import { VirtioFs } from "./fs/device.ts";
import { shareService } from "./fs/service.ts";
import { oneFile } from "./fs/test-share.ts";
import { answerMessage, fileRecalled, parseRequestHeader, sessionSave } from "./fs/wire.ts";
import type { MakeFuzzed, Random } from "./fuzz.ts";
import { PluggedMemory, plugBlockBytes } from "./mem/index.ts";
import { Net } from "./net/index.ts";
import { frameHead } from "./net/wire.ts";
import { Pmem } from "./pmem/index.ts";
import { Rng } from "./rng/index.ts";
import { VirtioVsock } from "./vsock/index.ts";

export const fuzzedDevices: Readonly<Record<string, MakeFuzzed>> = {
  rng: (_, random) => ({ device: new Rng((target) => target.fill(random(256))) }),
  pmem: (_, random) => ({
    device: new Pmem({ base: 0x2_0000_0000, sizeBytes: 64 << 20, flush: () => random(4) > 0 }),
  }),
  mem: (_, random) => {
    const blocks = 1 + random(16);
    const sizeBytes = blocks * plugBlockBytes;
    const region = { base: 0x1_0000_0000, sizeBytes, plug: () => {}, unplug: () => random(4) > 0 };
    const device = new PluggedMemory(region);
    return { device, hostEvent: () => device.request(random(blocks + 1) * plugBlockBytes) };
  },
  blk: (memory, random) => {
    const lent = random(2) === 0 ? 1 : undefined;
    const facts = { sizeBytes: 1 << 20, readOnly: random(8) === 0, id: "fuzz", physicalBlockBytes: 4096, file: lent };
    const line = new FuzzLine(random, new TextEncoder().encode(JSON.stringify(facts)));
    const device = new Blk(memory, line);
    const unit = (): number => random(17) * 4096;
    const answerTo = (message: Uint8Array): Uint8Array => {
      const place = { from: unit(), length: unit(), file: random(2), at: unit(), writable: random(2) === 0 };
      return encodeAnswer(decodeRequest(message).tag, random(2), random(2) === 0 ? place : undefined).slice();
    };
    return { device, hostEvent: () => line.answer(answerTo) };
  },
  net: (_, random) => {
    const line = new FuzzLine(random);
    const device = new Net(line, Uint8Array.of(2, 0, 0, 0, 0, 1), new ManualClock());
    const frame = (): Uint8Array => {
      const head = frameHead(random(4), { partialChecksum: random(2) === 0, segmentBytes: random(2000) });
      return Uint8Array.from([...head, ...new Uint8Array(14 + random(1500))]);
    };
    let next = frame();
    const deliver = (): void => {
      if (line.onMessageInPlace?.(next)) next = frame();
      else line.pause();
    };
    line.onResume = deliver;
    return {
      device,
      hostEvent: () => {
        line.answer(() => undefined);
        if (!line.paused) deliver();
      },
    };
  },
  "near-fs": (memory, random) => {
    const line = new FuzzLine(random);
    const { share } = oneFile();
    const beside = { service: "files", config: undefined };
    const nearLine = new NearLine({ beside, open: (port, next) => shareService(share, port, next) }, line);
    nearLine.open(memory.bytes);
    return {
      device: new VirtioFs("fuzz", memory, nearLine),
      hostEvent: () => line.answer((message) => answerMessage(parseRequestHeader(message), random(200))),
    };
  },
  fs: (memory, random) => {
    const line = new FuzzLine(random);
    const device = new VirtioFs("fuzz", memory, line);
    // A saved device waits for the answer to its own question, the session, which has one part here.
    const bytesFor = (request: number): number => (request === sessionSave ? 0 : random(200));
    const answerTo = (message: Uint8Array): Uint8Array => {
      const request = parseRequestHeader(message);
      const lent = { handle: random(4), node: random(4), file: random(4) };
      return answerMessage(request, bytesFor(request), request < sessionSave && random(2) === 0 ? lent : undefined);
    };
    const recalled = (): Uint8Array<ArrayBuffer> => Uint8Array.from(answerMessage(fileRecalled, random(4)));
    line.onResume = () => line.answer(answerTo);
    return {
      device,
      hostEvent: () => {
        line.answer(answerTo);
        line.onMessage(recalled());
      },
    };
  },
  vsock: (_, random) => {
    const streams = new FuzzStreams(random);
    const device = new VirtioVsock(streams);
    return {
      device,
      hostEvent: () => {
        streams.event();
        if (random(4) === 0) streams.connect(`${random(100)}`);
      },
    };
  },
  balloon: (memory, random) => {
    const device = new Balloon(memory);
    return {
      device,
      hostEvent: () => {
        device.setTarget(random(1000));
        device.statistics();
      },
    };
  },
  console: (_, random) => {
    const streams = new FuzzStreams(random);
    return { device: new VirtioConsole(["a", "b"], streams), hostEvent: () => streams.event() };
  },
};

class FuzzLine implements IoLine {
  readonly greeting: Uint8Array;
  readonly #random: Random;
  readonly #sent: Uint8Array[] = [];
  paused = false;
  onMessage: (message: Uint8Array<ArrayBuffer>) => void = () => {};
  onMessageInPlace?: (message: Uint8Array) => boolean;
  onRoom: () => void = () => {};
  /** What the host does when it is waited for. */
  onResume: () => void = () => {};

  constructor(random: Random, greeting: Uint8Array = new Uint8Array(0)) {
    this.#random = random;
    this.greeting = greeting;
  }

  send(...parts: readonly Uint8Array[]): boolean {
    if (this.#sent.length >= 4 || this.#random(16) === 0) return false;
    this.#sent.push(Uint8Array.from(parts.flatMap((part) => [...part.subarray(0, 100)])));
    return true;
  }

  pause(): void {
    this.paused = true;
  }

  linger(): void {}

  /** A file that is sometimes slow, and sometimes refuses. */
  borrow(file: number): LentFile {
    const random = this.#random;
    let now = 0;
    const transfer = (pieces: Uint8Array[]): number | undefined => {
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      return [undefined, random(bytes + 1), bytes][random(3)];
    };
    const read = (_: number, _offset: number, pieces: Uint8Array[]): number | undefined => {
      for (const piece of pieces) piece.fill(random(256));
      return transfer(pieces);
    };
    const write = (_: number, _offset: number, pieces: Uint8Array[]): number | undefined => transfer(pieces);
    return new LentFile({ read, write, now: () => (now += random(60_000)) }, file);
  }

  resume(): void {
    this.paused = false;
    this.onResume();
  }

  /** Answers all that was sent, in any order, and has room again. */
  answer(answerTo: (message: Uint8Array) => Uint8Array | undefined): void {
    while (this.#sent.length > 0) {
      const [message] = this.#sent.splice(this.#random(this.#sent.length), 1);
      const answer = message && answerTo(message);
      if (answer) this.onMessage(Uint8Array.from(answer));
    }
    this.onRoom();
  }
}

/** Streams that come, take, give and go at random. */
class FuzzStreams implements StreamSource {
  readonly #random: Random;
  readonly #ends = new Map<FuzzStream, StreamEnd>();
  #provider: StreamProvider | undefined;

  constructor(random: Random) {
    this.#random = random;
  }

  serve(_kind: string, provider: StreamProvider): void {
    this.#provider = provider;
  }

  isListening(): boolean {
    return this.#random(4) > 0;
  }

  open(_service: string, end: StreamEnd): DeviceStream | undefined {
    if (this.#ends.size > 8 || this.#random(8) === 0) return undefined;
    const stream = new FuzzStream(() => this.#ends.delete(stream));
    this.#ends.set(stream, end);
    return stream;
  }

  /** The host connects to a service. */
  connect(target: string): void {
    const stream = new FuzzStream(() => this.#ends.delete(stream));
    const end = this.#provider?.connect(target, stream);
    if (end !== undefined) this.#ends.set(stream, end);
  }

  event(): void {
    const random = this.#random;
    this.#provider?.listening(["a", "b", "hvc0", "c"][random(4)] as string, random(2) === 0);
    for (const [stream, end] of [...this.#ends]) {
      switch (random(5)) {
        case 0:
          stream.available += random(2000);
          end.input();
          break;
        case 1:
          stream.inputEnded = true;
          end.input();
          break;
        case 2:
          this.#ends.delete(stream);
          end.closed();
          break;
        default:
          stream.room += random(2000);
          end.room();
      }
    }
  }
}

class FuzzStream implements DeviceStream {
  room = 100;
  available = 0;
  inputEnded = false;
  readonly #forget: () => void;

  constructor(forget: () => void) {
    this.#forget = forget;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length > this.room) throw new Error("more was sent than there is room for");
    this.room -= bytes.length;
  }

  take(target: Uint8Array): number {
    const count = Math.min(target.length, this.available);
    this.available -= count;
    return count;
  }

  accept(): void {}
  sendEnd(): void {}
  close(): void {
    this.#forget();
  }
}
