import { expect, test } from "vitest";
import { allocateByteRing, ByteRingReader } from "#base";
import { type DeviceStream, StreamHub, type StreamProvider, streamRingBytes, streamWindow } from "#devices";
import { type GuestStream, GuestStreams } from "./guest-streams.ts";
import { VmError } from "./vm-api.ts";

/** An owner and a machine's hub on one thread: `poll` is the machine's turn. */
function pair() {
  const ring = allocateByteRing(streamRingBytes);
  let rung = 0;
  const streams = new GuestStreams(ring, () => void rung++);
  const hub = new StreamHub(new ByteRingReader(ring), (message) => streams.receive(message));
  return { streams, hub, poll: () => hub.poll(), rings: () => rung };
}

/** A device that notes what it is told. */
function device(log: string[] = []) {
  const end = {
    input: () => void log.push("input"),
    room: () => void log.push("room"),
    closed: () => void log.push("closed"),
  };
  const taken: DeviceStream[] = [];
  const provider: StreamProvider = {
    connect: (target, stream) => {
      log.push(`connect ${target}`);
      taken.push(stream);
      return target === "none" ? undefined : end;
    },
    listening: (target, wanted) => void log.push(`${wanted ? "listen" : "unlisten"} ${target}`),
  };
  return { log, end, provider, taken };
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

function takeAll(stream: DeviceStream): string {
  const target = new Uint8Array(stream.available);
  stream.take(target);
  return new TextDecoder().decode(target);
}

test("a stream that the guest opens carries bytes both ways, then ends both ways", async () => {
  const { streams, hub, poll } = pair();
  const d = device();
  hub.serve("console", d.provider);
  const opened: GuestStream[] = [];
  streams.listen("console/a", (stream) => opened.push(stream));
  poll();
  expect(d.log).toEqual(["listen a"]);
  const inner = hub.open("console/a", d.end) as DeviceStream;
  let text = "";
  opened[0].onData((each) => void (text += new TextDecoder().decode(each)));
  inner.send(bytes("from the guest"));
  await opened[0].write(bytes("from the host"));
  await opened[0].end();
  poll();
  expect([text, takeAll(inner), inner.inputEnded]).toEqual(["from the guest", "from the host", true]);
  inner.close();
  await opened[0].closed;
  await expect(opened[0].write(bytes("late"))).rejects.toThrow("closed the connection");
});

test("nobody listens: the guest's stream is refused", () => {
  const { hub } = pair();
  expect(hub.open("console/a", device().end)).toBeUndefined();
});

test("a service that the guest has not is refused, one that it has is accepted when it says so", async () => {
  const { streams, hub, poll } = pair();
  const d = device();
  hub.serve("vsock", d.provider);
  const refused = streams.connect("vsock/none");
  const taken = streams.connect("vsock/7");
  poll();
  await expect(refused.opened).rejects.toThrow(VmError);
  d.taken[1].accept();
  await taken.opened;
});

test("a sender that nobody reads stops at a window, in both directions", async () => {
  const { streams, hub, poll } = pair();
  const d = device();
  hub.serve("console", d.provider);
  let stream: GuestStream | undefined;
  streams.listen("console/a", (each) => {
    stream = each;
  });
  poll();
  const inner = hub.open("console/a", d.end) as DeviceStream;
  while (inner.room > 0) inner.send(new Uint8Array(Math.min(inner.room, 50_000)));
  let written = false;
  void stream?.write(new Uint8Array(streamWindow + 1)).then(() => {
    written = true;
  });
  poll();
  await tick();
  expect([inner.available, written]).toEqual([streamWindow, false]);
  inner.take(new Uint8Array(streamWindow));
  await tick();
  poll();
  expect([written, inner.available]).toEqual([true, 1]);
  // The receiver that comes late finds all of it, and gives the guest room again.
  let got = 0;
  stream?.onData((each) => void (got += each.length));
  await tick();
  poll();
  expect([got, inner.room]).toEqual([streamWindow, streamWindow]);
});

test("a receiver that is busy is given nothing more meanwhile", async () => {
  const { streams, hub, poll } = pair();
  let stream: GuestStream | undefined;
  streams.listen("console/a", (each) => {
    stream = each;
  });
  poll();
  const inner = hub.open("console/a", device().end) as DeviceStream;
  const seen: number[] = [];
  const first = Promise.withResolvers<void>();
  stream?.onData((each) => {
    seen.push(each.length);
    return seen.length === 1 ? first.promise : undefined;
  });
  inner.send(new Uint8Array(1));
  inner.send(new Uint8Array(2));
  inner.close();
  await tick();
  expect(seen).toEqual([1]);
  first.resolve();
  await stream?.ended;
  expect(seen).toEqual([1, 2]);
});

test("what was sent before the end is read by a loop, to its end", async () => {
  const { streams, hub, poll } = pair();
  let stream: GuestStream | undefined;
  streams.listen("console/a", (each) => {
    stream = each;
  });
  poll();
  const inner = hub.open("console/a", device().end) as DeviceStream;
  inner.send(bytes("one "));
  inner.send(bytes("two"));
  inner.close();
  let text = "";
  for await (const each of stream as GuestStream) text += new TextDecoder().decode(each);
  expect(text).toBe("one two");
});

test("bytes for a stream of before a reset reach nobody, and its end is told", async () => {
  const { streams, hub, poll } = pair();
  const all: GuestStream[] = [];
  streams.listen("console/a", (each) => all.push(each));
  poll();
  hub.open("console/a", device().end);
  void all[0].write(bytes("old"));
  hub.reset();
  const d = device();
  hub.serve("console", d.provider);
  const inner = hub.open("console/a", d.end) as DeviceStream;
  poll();
  await all[0].closed;
  expect([d.log, inner.available]).toEqual([["listen a"], 0]);
});

test("a guest that opens and closes without end is held back until the owner has looked", async () => {
  const { streams, hub, poll } = pair();
  const d = device();
  hub.serve("console", d.provider);
  streams.listen("console/a", () => {});
  poll();
  let opened = 0;
  for (let stream = hub.open("console/a", d.end); stream !== undefined; stream = hub.open("console/a", d.end)) {
    stream.send(bytes("x"));
    stream.close();
    if (++opened > 5000) break;
  }
  expect(opened).toBe(1024);
});

test("more than the ring holds arrives whole and in order", async () => {
  const { streams, hub, poll } = pair();
  const d = device();
  hub.serve("vsock", d.provider);
  const many = Array.from({ length: 8 }, (_, n) => streams.connect(`vsock/${n}`));
  const data = Uint8Array.from({ length: streamWindow }, (_, n) => (n * 7) ^ (n >> 8));
  const writes = many.map((stream) => stream.write(data));
  for (let turn = 0; turn < 50; turn++) {
    poll();
    await tick();
  }
  await Promise.all(writes);
  expect(d.taken.length).toBe(8);
  for (const stream of d.taken) {
    const got = new Uint8Array(streamWindow);
    expect(stream.take(got)).toBe(streamWindow);
    expect(Buffer.from(got).equals(Buffer.from(data))).toBe(true);
  }
});

test("the machine's end fails what is open", async () => {
  const { streams } = pair();
  const stream = streams.connect("vsock/1");
  const write = stream.write(new Uint8Array(streamWindow + 1));
  streams.close(new VmError("ended", "the machine ended"));
  await expect(write).rejects.toThrow("the machine ended");
  await expect(stream.opened).rejects.toThrow("the machine ended");
  await stream.closed;
  await expect(streams.connect("vsock/2").opened).rejects.toThrow("the machine ended");
});
