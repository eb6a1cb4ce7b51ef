import { expect, test } from "vitest";
import type { DeviceStream, StreamEnd, StreamProvider, StreamSource } from "../../streams/index.ts";
import { TestDriver } from "../test-driver.ts";
import { VirtioConsole } from "./device.ts";
import {
  buildControl,
  controlEvent,
  controlReceive,
  controlTransmit,
  parseControl,
  receiveQueue,
  transmitQueue,
  VIRTIO_CONSOLE_F_MULTIPORT,
} from "./protocol.ts";

const names = ["hvc0", "a", "b"];

/** A stream whose other end is the test. */
class ScriptedStream implements DeviceStream {
  readonly end: StreamEnd;
  room = 10;
  got = "";
  closed = false;
  inputEnded = false;
  #input: number[] = [];

  constructor(end: StreamEnd) {
    this.end = end;
  }

  get available(): number {
    return this.#input.length;
  }

  send(bytes: Uint8Array): void {
    expect(bytes.length).toBeLessThanOrEqual(this.room);
    this.room -= bytes.length;
    this.got += new TextDecoder().decode(bytes);
  }

  take(target: Uint8Array): number {
    const taken = this.#input.splice(0, target.length);
    target.set(taken);
    return taken.length;
  }

  accept(): void {}

  sendEnd(): void {}

  close(): void {
    this.closed = true;
  }

  // The host's doings.

  give(text: string): void {
    this.#input.push(...new TextEncoder().encode(text));
    this.end.input();
  }

  grow(room: number): void {
    this.room += room;
    this.end.room();
  }

  hostEnds(): void {
    this.inputEnded = true;
    this.end.input();
  }
}

/** A console with a good driver, its control messages in words, and the streams that it opened. */
function setUp({ listening = ["a"], multiport = true } = {}) {
  const wanted = new Set(listening.map((name) => `console/${name}`));
  const streams: ScriptedStream[] = [];
  let provider: StreamProvider | undefined;
  const source: StreamSource = {
    serve: (_, served) => {
      provider = served;
    },
    isListening: (service) => wanted.has(service),
    open: (service, end) => {
      if (!wanted.has(service)) return undefined;
      streams.push(new ScriptedStream(end));
      return streams.at(-1);
    },
  };
  const device = new VirtioConsole(names.slice(1), source);
  const t = new TestDriver(device, multiport ? {} : { features: 0n });
  const say = (event: keyof typeof controlEvent, port = 0, value = 1): void => {
    t.add(controlTransmit, [buildControl({ port, event: controlEvent[event], value })]);
    t.kick(controlTransmit);
  };
  const buffers = (count: number): void => {
    for (let n = 0; n < count; n++) t.add(controlReceive, [], [64]);
    t.kick(controlReceive);
  };
  const listen = (name: string): void => {
    wanted.add(`console/${name}`);
    provider?.listening(name, true);
  };
  const heard = (): string[] => t.used(controlReceive).map(({ bytes }) => messageText(bytes));
  /** As a driver does for each port that it is told of. */
  const ready = (...ports: number[]): void => {
    buffers(12);
    say("deviceReady");
    for (const port of ports) say("portReady", port);
  };
  return { device, t, say, buffers, listen, heard, ready, streams };
}

function messageText(bytes: Uint8Array): string {
  const { port, event, value } = parseControl(bytes);
  const name = Object.entries(controlEvent).find(([, number]) => number === event)?.[0];
  const more = event === controlEvent.portName ? ` ${new TextDecoder().decode(bytes.subarray(8))}` : "";
  return `${names[port]} ${name} ${value}${more}`;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The texts of what came in the port's receive queue. */
const received = (t: TestDriver, port: number): string[] =>
  t.used(receiveQueue(port)).map((chain) => new TextDecoder().decode(chain.bytes));

test("a driver that is ready is told of the ports that the host listens on, with name and state", () => {
  const { heard, ready } = setUp();
  ready(1);
  expect(heard()).toEqual(["a portAdd 1", "a portName 1 a", "a portOpen 1"]);
});

test("a port that the host listens on later is plugged in then", () => {
  const { heard, ready, listen } = setUp({ listening: [] });
  ready();
  expect(heard()).toEqual([]);
  listen("b");
  expect(heard()).toEqual(["b portAdd 1"]);
});

test("port 0 is a terminal with a size", () => {
  const { device, t, heard, ready } = setUp({ listening: ["hvc0"] });
  ready(0);
  expect(heard()).toEqual([
    "hvc0 portAdd 1",
    "hvc0 consolePort 1",
    "hvc0 resize 1",
    "hvc0 portName 1 hvc0",
    "hvc0 portOpen 1",
  ]);
  device.resize(132, 50);
  expect(heard()).toEqual(["hvc0 resize 1"]);
  expect([t.config(0, 2), t.config(2, 2), t.config(4)]).toEqual([132, 50, 3]);
});

test("control messages wait for buffers, and say what is true by then", () => {
  const { heard, buffers, say, t } = setUp();
  say("deviceReady");
  say("portReady", 1);
  expect(heard()).toEqual([]);
  buffers(1);
  expect(heard()).toEqual(["a portAdd 1"]);
  buffers(5);
  expect(heard()).toEqual(["a portName 1 a", "a portOpen 1"]);
  expect(t.notices).toEqual([]);
});

test("an open port carries bytes both ways", () => {
  const { t, ready, say, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  t.add(receiveQueue(1), [], [3]);
  t.add(receiveQueue(1), [], [10]);
  streams[0].give("hello");
  expect(received(t, 1)).toEqual(["hel", "lo"]);
  t.add(transmitQueue(1), [bytes("wor"), bytes("ld")]);
  t.kick(transmitQueue(1));
  expect([streams[0].got, t.used(transmitQueue(1)).length]).toEqual(["world", 1]);
});

test("what comes before a program opens the port is not given to the driver, which would throw it away", () => {
  const { t, ready, say, streams } = setUp();
  ready(1);
  t.add(receiveQueue(1), [], [10]);
  t.kick(receiveQueue(1));
  expect(received(t, 1)).toEqual([]);
  say("portOpen", 1);
  streams[0].give("now");
  expect(received(t, 1)).toEqual(["now"]);
});

test("a program that writes more than the host takes gets its buffer back late", () => {
  const { t, ready, say, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  t.add(transmitQueue(1), [bytes("0123456789abcdef")]);
  t.add(transmitQueue(1), [bytes("ghi")]);
  t.kick(transmitQueue(1));
  expect([streams[0].got, t.used(transmitQueue(1)).length]).toEqual(["0123456789", 0]);
  streams[0].grow(100);
  expect([streams[0].got, t.used(transmitQueue(1)).length]).toEqual(["0123456789abcdefghi", 2]);
});

test("the host's end is an end of file after the last byte", () => {
  const { t, ready, say, heard, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  heard();
  streams[0].give("last");
  streams[0].hostEnds();
  expect(heard()).toEqual([]);
  t.add(receiveQueue(1), [], [10]);
  t.kick(receiveQueue(1));
  expect([received(t, 1), heard()]).toEqual([["last"], ["a portOpen 0"]]);
  say("portOpen", 1, 0);
  expect([streams[0].closed, heard()]).toEqual([true, ["a portOpen 1"]]);
});

test("a program that closes is heard to its end; the next one has a stream of its own", () => {
  const { t, ready, say, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  t.add(transmitQueue(1), [bytes("0123456789abc")]);
  t.kick(transmitQueue(1));
  say("portOpen", 1, 0);
  say("portOpen", 1, 1);
  expect([streams[0].closed, streams.length]).toEqual([false, 1]);
  streams[0].grow(10);
  expect([streams[0].got, streams[0].closed, streams.length]).toEqual(["0123456789abc", true, 2]);
});

test("what is written to a host that has hung up is taken and forgotten", () => {
  const { t, ready, say, heard, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  heard();
  streams[0].end.closed();
  t.add(transmitQueue(1), [bytes("0123456789abc")]);
  t.kick(transmitQueue(1));
  expect([t.used(transmitQueue(1)).length, heard()]).toEqual([1, ["a portOpen 0"]]);
});

test("a driver without several ports has the terminal, open from the start", () => {
  const { t, streams } = setUp({ listening: ["hvc0"], multiport: false });
  expect(streams.length).toBe(1);
  t.add(transmitQueue(0), [bytes("login:")]);
  t.kick(transmitQueue(0));
  expect(streams[0].got).toBe("login:");
});

test("control messages that make no sense change nothing", () => {
  const { t, ready, say, heard, streams } = setUp();
  say("portOpen", 1);
  ready(1);
  heard();
  say("portOpen", 77);
  say("portOpen", 2);
  say("portAdd", 1);
  t.add(controlTransmit, [Uint8Array.of(1, 2, 3)]);
  t.kick(controlTransmit);
  expect([heard(), streams.length, t.notices]).toEqual([[], 0, []]);
});

test("a reset closes all streams, and everything is told anew", () => {
  const { t, ready, say, heard, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  heard();
  t.reset();
  expect(streams[0].closed).toBe(true);
});

test("a restored console goes on with what it had taken and not sent, for a new stream", () => {
  const { device, t, ready, say, streams } = setUp();
  ready(1);
  say("portOpen", 1);
  t.add(transmitQueue(1), [bytes("0123456789abc")]);
  t.kick(transmitQueue(1));
  const saved = t.transport.parts().map(([, part]) => part.save());
  for (const [n, [, part]] of t.transport.parts().entries()) part.restore(saved[n]);
  expect([streams[0].closed, streams.length, streams[1]?.got]).toEqual([true, 2, "abc"]);
  expect(t.used(transmitQueue(1)).length).toBe(1);
  expect(device.features & VIRTIO_CONSOLE_F_MULTIPORT).not.toBe(0n);
});
