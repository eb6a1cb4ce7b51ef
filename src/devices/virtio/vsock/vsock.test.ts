import { expect, test } from "vitest";
import { type DeviceStream, type StreamEnd, type StreamSource, streamWindow } from "../../streams/index.ts";
import { TestDriver } from "../test-driver.ts";
import { VirtioVsock } from "./device.ts";
import { buildPacket, headerBytes, type Packet, packetOp, parsePacket } from "./protocol.ts";

/** A stream whose other end is the test. */
class ScriptedStream implements DeviceStream {
  end: StreamEnd | undefined;
  room = streamWindow;
  got = "";
  readonly log: string[] = [];
  inputEnded = false;
  #input: number[] = [];

  get available(): number {
    return this.#input.length;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length > this.room) throw new Error("more was sent than there is room for");
    this.room -= bytes.length;
    this.got += new TextDecoder().decode(bytes);
  }

  take(target: Uint8Array): number {
    const taken = this.#input.splice(0, target.length);
    target.set(taken);
    return taken.length;
  }

  accept(): void {
    this.log.push("accepted");
  }

  sendEnd(): void {
    this.log.push("end");
  }

  close(): void {
    this.log.push("closed");
  }

  // The host's doings.

  give(text: string): void {
    this.#input.push(...new TextEncoder().encode(text));
    this.end?.input();
  }

  consume(bytes: number): void {
    this.room += bytes;
    this.end?.room();
  }

  hostEnds(): void {
    this.inputEnded = true;
    this.end?.input();
  }

  hostCloses(): void {
    this.end?.closed();
  }
}

const names = Object.fromEntries(Object.entries(packetOp).map(([name, op]) => [op, name]));

/** A driver, and packets in words: "3:1000 -> 2:80 data hello". */
function setUp({ listening = [80], memoryBytes = 8 << 20 } = {}) {
  const streams: ScriptedStream[] = [];
  const source: StreamSource = {
    serve: () => {},
    isListening: () => true,
    open: (service, end) => {
      if (!listening.some((port) => service === `vsock/${port}`)) return undefined;
      const stream = new ScriptedStream();
      stream.end = end;
      streams.push(stream);
      return stream;
    },
  };
  const device = new VirtioVsock(source);
  const t = new TestDriver(device, { memoryBytes });
  const buffers = (count = 8, size = 200): void => {
    for (let n = 0; n < count; n++) t.add(0, [], [headerBytes, size]);
    t.kick(0);
  };
  const say = (op: keyof typeof packetOp, more: Partial<Packet> = {}, data = ""): void => {
    const packet: Packet = {
      sourceCid: 3n,
      targetCid: 2n,
      sourcePort: 1000,
      targetPort: 80,
      length: data.length,
      type: 1,
      op: packetOp[op],
      flags: 0,
      bufferBytes: 1000,
      forwarded: 0,
      ...more,
    };
    t.add(1, [buildPacket(packet), new TextEncoder().encode(data)]);
    t.kick(1);
    t.used(1);
  };
  const packets = (): Packet[] => t.used(0).map(({ bytes }) => parsePacket(bytes));
  const heard = (): string[] =>
    t.used(0).map(({ bytes }) => {
      const { op, flags, sourcePort, targetPort, length } = parsePacket(bytes);
      const data = new TextDecoder().decode(bytes.subarray(headerBytes));
      const from = sourcePort >= 0x4000_0000 ? "host" : sourcePort;
      expect(length).toBe(bytes.length - headerBytes);
      return `${from} to ${targetPort}: ${names[op]}${flags ? ` ${flags}` : ""}${data ? ` ${data}` : ""}`;
    });
  return { device, t, streams, buffers, say, heard, packets };
}

test("a guest's connection to a port that the host listens on carries bytes both ways", () => {
  const { buffers, say, heard, streams } = setUp();
  buffers();
  say("request");
  expect(heard()).toEqual(["80 to 1000: response"]);
  say("data", {}, "hello");
  streams[0].give("world");
  expect([streams[0].got, heard()]).toEqual(["hello", ["80 to 1000: data world"]]);
});

test("a port that nobody listens on is refused, and so is what belongs to no connection", () => {
  const { buffers, say, heard } = setUp();
  buffers();
  say("request", { targetPort: 81 });
  say("data", {}, "x");
  say("request", { targetCid: 7n });
  say("request", { type: 2 });
  say("reset");
  expect(heard()).toEqual(["81 to 1000: reset", "80 to 1000: reset", "80 to 1000: reset", "80 to 1000: reset"]);
});

test("the host connects: the guest answers, or refuses", () => {
  const { device, buffers, say, heard } = setUp();
  buffers();
  const [good, bad] = [new ScriptedStream(), new ScriptedStream()];
  good.end = device.connect("22", good);
  bad.end = device.connect("23", bad);
  expect(heard()).toEqual(["host to 22: request", "host to 23: request"]);
  say("response", { sourcePort: 22, targetPort: 0x4000_0001 });
  say("reset", { sourcePort: 23, targetPort: 0x4000_0002 });
  expect([good.log, bad.log]).toEqual([["accepted"], ["closed"]]);
  good.give("hi");
  expect(heard()).toEqual(["host to 22: data hi"]);
});

test("no more is sent than the guest says it takes", () => {
  const { buffers, say, heard, streams } = setUp();
  buffers();
  say("request", { bufferBytes: 10 });
  heard();
  streams[0].give("0123456789abcdefghijklmno");
  expect(heard()).toEqual(["80 to 1000: data 0123456789"]);
  say("creditUpdate", { bufferBytes: 10, forwarded: 7 });
  expect(heard()).toEqual(["80 to 1000: data abcdefg"]);
  say("creditUpdate", { bufferBytes: 0, forwarded: 17 });
  expect(heard()).toEqual([]);
});

test("the guest is told how much the host has taken, and one that sends more is cut off", () => {
  const { buffers, say, packets, streams } = setUp();
  buffers();
  say("request");
  expect(packets().map((each) => [each.bufferBytes, each.forwarded])).toEqual([[streamWindow, 0]]);
  say("data", {}, "x".repeat(60_000));
  say("data", {}, "x".repeat(60_000));
  streams[0].consume(60_000);
  expect(packets().map((each) => [each.op, each.forwarded])).toEqual([[packetOp.creditUpdate, 60_000]]);
  say("creditRequest");
  expect(packets().map((each) => each.op)).toEqual([packetOp.creditUpdate]);
  say("data", {}, "x".repeat(65_000));
  say("data", {}, "x".repeat(65_000));
  expect(packets().map((each) => each.op)).toEqual([packetOp.reset]);
  expect(streams[0].log).toEqual(["closed"]);
});

test("a guest's end is an end; when it has closed both ways it is let go", () => {
  const { buffers, say, heard, streams } = setUp();
  buffers();
  say("request");
  say("shutdown", { flags: 2 });
  expect(streams[0].log).toEqual(["end"]);
  streams[0].give("still");
  say("shutdown", { flags: 1 });
  expect(heard()).toEqual(["80 to 1000: response", "80 to 1000: data still", "80 to 1000: reset"]);
  expect(streams[0].log).toEqual(["end", "end", "closed"]);
  say("data", {}, "late");
  expect(heard()).toEqual(["80 to 1000: reset"]);
});

test("the host's end follows its last byte; its close shuts both ways, and the guest's reset ends it", () => {
  const { buffers, say, heard, streams } = setUp();
  say("request", { bufferBytes: 3 });
  streams[0].give("12345");
  streams[0].hostEnds();
  buffers();
  expect(heard()).toEqual(["80 to 1000: response", "80 to 1000: data 123"]);
  streams[0].hostCloses();
  say("creditUpdate", { bufferBytes: 3, forwarded: 3 });
  expect(heard()).toEqual(["80 to 1000: data 45", "80 to 1000: shutdown 3"]);
  say("reset");
  say("request");
  expect([heard(), streams.length]).toEqual([["80 to 1000: response"], 2]);
});

test("without buffers for answers the guest's packets wait", () => {
  const { t, say, buffers, heard } = setUp({ listening: [] });
  for (let n = 0; n < 256; n++) say("request", { sourcePort: n });
  const packet = { ...parsePacket(new Uint8Array(headerBytes)), sourceCid: 3n, targetCid: 2n };
  for (let n = 0; n < 4; n++)
    t.add(1, [buildPacket({ ...packet, type: 1, op: packetOp.request, sourcePort: 300 + n })]);
  t.kick(1);
  expect(t.used(1)).toEqual([]);
  buffers();
  expect([heard().length, t.used(1).length]).toEqual([8, 4]);
  let rest = 0;
  for (let turn = 0; turn < 40; turn++) {
    buffers();
    rest += heard().length;
  }
  expect([rest, t.notices]).toEqual([252, []]);
});

test("buffers too small for a packet are given back empty", () => {
  const { t, say } = setUp();
  t.add(0, [], [10]);
  t.add(0, [], [headerBytes]);
  say("request");
  expect(t.used(0).map(({ written }) => written)).toEqual([0, headerBytes]);
});

test("a driver that goes on from a record is told that its connections are lost", () => {
  const { device, t, say, streams, heard, buffers } = setUp();
  buffers();
  say("request");
  heard();
  t.add(2, [], [8]);
  t.kick(2);
  expect(t.used(2)).toEqual([]);
  const saved = t.transport.parts().map(([, part]) => part.save());
  for (const [n, [, part]] of t.transport.parts().entries()) part.restore(saved[n] ?? {});
  expect(t.used(2).map(({ bytes }) => [...bytes])).toEqual([[0, 0, 0, 0]]);
  expect([streams[0].log, device.save().connectionsLost]).toEqual([["closed"], 0]);
  say("data", {}, "x");
  expect(heard()).toEqual(["80 to 1000: reset"]);
});

test("random packets of a few ports: nothing is sent beyond its room, and all is taken", () => {
  const { t, streams, device } = setUp({ listening: [0, 1], memoryBytes: 64 << 20 });
  let seed = 5;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 10) % below;
  };
  const outgoing: ScriptedStream[] = [];
  /** Chains that the device has. */
  const out: [number, number] = [0, 0];
  for (let n = 0; n < 6_000; n++) {
    if (random(3) === 0 && out[0] < 8) {
      t.add(0, [], [headerBytes + random(300)]);
      out[0]++;
    }
    const packet: Packet = {
      sourceCid: random(20) === 0 ? 9n : 3n,
      targetCid: random(20) === 0 ? 9n : 2n,
      sourcePort: random(3),
      targetPort: random(4) === 0 ? 0x4000_0000 + random(50) : random(3),
      length: random(2) === 0 ? random(100) : random(2 ** 31),
      type: random(20) === 0 ? 2 : 1,
      op: random(9),
      flags: random(8),
      bufferBytes: random(2) === 0 ? random(200) : random(2 ** 31) * 2,
      forwarded: random(2) === 0 ? random(200) : random(2 ** 31) * 2,
    };
    if (out[1] < 8) {
      t.add(1, [buildPacket(packet), new Uint8Array(random(100))]);
      out[1]++;
    }
    t.kick(random(3));
    t.kick(1);
    for (const queue of [0, 1] as const) out[queue] -= t.used(queue).length;
    if (random(50) === 0) {
      const stream = new ScriptedStream();
      stream.end = device.connect(`${random(3)}`, stream);
      outgoing.push(stream);
    }
    const all = [...streams, ...outgoing];
    const stream = all[random(all.length || 1)];
    if (stream === undefined || stream.log.includes("closed")) continue;
    const act = random(6);
    if (act === 0) stream.give("some bytes");
    else if (act === 1) stream.consume(streamWindow - stream.room);
    else if (act === 2 && random(10) === 0) stream.hostEnds();
    else if (act === 3 && random(20) === 0) stream.hostCloses();
  }
  expect(t.notices).toEqual([]);
  expect(streams.length).toBeGreaterThan(15);
});
