import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { type IoService, ioWords, MachineLine, type OpenService, runIoThread } from "./index.ts";

/** A machine's end of a line, and the thread behind it as a task of this one. */
function lineTo(open: OpenService, ringBytes = 1024) {
  const words = new Int32Array(new SharedArrayBuffer(4 * ioWords.count));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const ring = (): void => {
    Atomics.add(words, ioWords.bell, 1);
    Atomics.notify(words, ioWords.bell);
  };
  const line = new MachineLine(
    { service: "test", config: "name", ringBytes },
    {
      wakeService: ring,
      watch: (watching) => void Atomics.store(words, ioWords.watching, watching ? 1 : 0),
      now: () => performance.now() * 1e6,
    },
  );
  let rung = 0;
  const ended = runIoThread(
    { memory, words: words.buffer, lines: [line.start], event: { index: 5, bits: 8 } },
    { open: () => open, ringMachine: () => void rung++, otherEvents: () => setImmediate() },
  );
  const received: string[] = [];
  line.onMessage = (message) => void received.push(String.fromCharCode(...message));
  return {
    line,
    memory,
    received,
    rung: () => rung,
    /** Looks at the line until `done`. */
    until: async (done: () => boolean) => {
      for (let n = 0; n < 10_000 && !done(); n++) {
        line.poll();
        await setImmediate();
      }
      expect(done()).toBe(true);
    },
    close: async () => {
      Atomics.store(words, ioWords.closing, 1);
      ring();
      await ended;
      return Atomics.load(words, ioWords.closed);
    },
  };
}

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test("a service greets, answers, and is closed at the end", async () => {
  let closed = false;
  const t = lineTo((config, port) => ({
    greeting: text(`hello ${config}`),
    receive: (message) => port.send(text("> "), message),
    close: () => {
      closed = true;
    },
  }));
  await t.until(() => t.line.isOpen);
  expect(new TextDecoder().decode(t.line.greeting)).toBe("hello name");
  t.line.send(text("a"), text("b"));
  await t.until(() => t.received.length === 1);
  expect([t.received, t.rung() > 0, new Int32Array(t.memory.buffer)[5]]).toEqual([["> ab"], true, 8]);
  expect([await t.close(), closed]).toEqual([1, true]);
});

test("what cannot be opened says why", async () => {
  const t = lineTo(() => {
    throw new Error("disk.img: no such file");
  });
  await expect(t.until(() => t.line.isOpen)).rejects.toThrow("disk.img: no such file");
  await t.close();
});

test("a service that fails says so, and is closed with the machine: its device may use what it lends until then", async () => {
  let closed = 0;
  const t = lineTo(() => ({
    receive: () => Promise.reject(new Error("the disk is gone")),
    close: () => void closed++,
  }));
  await t.until(() => t.line.isOpen);
  t.line.send(text("x"));
  await expect(t.until(() => false)).rejects.toThrow("the disk is gone");
  expect(closed).toBe(0);
  await t.close();
  expect(closed).toBe(1);
});

test("while one message is worked on the next one waits", async () => {
  const log: string[] = [];
  const t = lineTo(() => ({
    receive: async (message) => {
      log.push(`in ${message[0]}`);
      await setImmediate();
      log.push(`out ${message[0]}`);
    },
    close: () => {},
  }));
  t.line.send(Uint8Array.of(1));
  t.line.send(Uint8Array.of(2));
  await t.until(() => log.length === 4);
  expect(log).toEqual(["in 1", "out 1", "in 2", "out 2"]);
  await t.close();
});

test("many messages pass in order through a small ring, both ways", async () => {
  const open = (_: unknown, port: Parameters<OpenService>[1]): IoService => ({
    receive: async (message) => {
      port.send(message);
      if (port.congested) await port.room();
    },
    close: () => {},
  });
  const t = lineTo(open, 128);
  let next = 0;
  const fill = (): void => {
    while (next < 500 && t.line.send(text(`message ${next}`))) next++;
  };
  t.line.onRoom = fill;
  fill();
  await t.until(() => t.received.length === 500);
  expect(t.received).toEqual(Array.from({ length: 500 }, (_, n) => `message ${n}`));
  await t.close();
});
