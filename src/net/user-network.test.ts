import { describe, expect, it } from "vitest";
import { parseIpv4 } from "./address.ts";
import { parseAllow, parsePublish } from "./rules.ts";
import { bufferBytes } from "./tcp-flow.ts";
import { pattern } from "./testing/bytes.ts";
import { seeded } from "./testing/dial.ts";
import { at, type FakeStream } from "./testing/fake-sockets.ts";
import { TestGuest } from "./testing/test-guest.ts";
import { userNetwork } from "./user-network.ts";

const text = (value: string): Uint8Array => Buffer.from(value, "latin1");
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const web = "198.51.100.7:80";

function guestWithServer(serve: (stream: FakeStream) => void, options = {}): TestGuest {
  const guest = new TestGuest(options);
  guest.sockets.servers.set(web, serve);
  return guest;
}

describe("the network's own addresses", () => {
  it("answer ARP, and no others do", async () => {
    const guest = new TestGuest();
    guest.arp("10.0.2.2");
    guest.arp("10.0.2.77");
    await guest.settle();
    expect(guest.segments).toEqual(["arp 2 gateway"]);
  });

  it("answer pings; pings into the world are refused by name", async () => {
    const guest = new TestGuest();
    guest.ping("10.0.2.2");
    guest.ping("10.0.2.3");
    guest.ping("198.51.100.7");
    await guest.settle();
    expect(guest.read()).toEqual(["icmp 0 0", "icmp 0 0", "icmp 3 13"]);
  });
});

describe("TCP out", () => {
  it("carries bytes both ways and closes both sides", async () => {
    const guest = guestWithServer((stream) => {
      stream.echo = true;
    });
    const bytes = pattern(1_000_000);
    const user = guest.connect(web, bytes, true);
    await guest.settle(100);
    await guest.settle(5000);
    expect(equal(user.bytes, bytes)).toBe(true);
    expect(user.events).toEqual(["established", "peer ended", "done"]);
    expect(guest.network.toString()).toContain("tcp 0 with 0 bytes");
  });

  it("sends segments of up to 64 KiB, their checksums left open, to a card that takes them", async () => {
    const bytes = pattern(700_000);
    const guest = guestWithServer((stream) => queueMicrotask(() => stream.user.received(bytes.slice())), {
      abilities: { partialChecksum: true, largeSegments: true },
    });
    const user = guest.connect(web);
    await guest.settle(100);
    expect(equal(user.bytes, bytes)).toBe(true);
    expect(guest.largest).toBeGreaterThan(60_000);
  });

  it("tells the guest at once when the host is refused, cannot get there, or may not", async () => {
    const guest = new TestGuest();
    guest.sockets.failures.set("198.51.100.8:1", "unreachable");
    const refused = guest.connect("198.51.100.8:2");
    await guest.settle();
    expect(refused.end).toBe("reset");
    guest.connect("198.51.100.8:1");
    guest.connect("127.0.0.1:22");
    guest.connect("169.254.169.254:80");
    guest.connect("10.0.2.2:22");
    await guest.settle();
    expect(guest.read()).toEqual(["icmp 3 13", "icmp 3 13", "icmp 3 13", "icmp 3 1"]);
    expect(guest.sockets.connected).toEqual(["198.51.100.8:2", "198.51.100.8:1"]);
  });

  it("holds a bounded part of what a host sends to a guest that does not read", async () => {
    let stream: FakeStream | undefined;
    const guest = guestWithServer((each) => {
      stream = each;
    });
    const user = guest.connect(web);
    user.space = 50_000;
    await guest.settle(10);
    let sent = 0;
    for (let i = 0; i < 100 && !stream?.paused; i++) {
      stream?.user.received(pattern(16_384, i));
      sent += 16_384;
      await guest.settle();
    }
    // What the guest has not acknowledged, and what it has room for.
    expect(sent).toBeLessThan(bufferBytes / 2 + 100_000);
    user.space = 1e9;
    user.endpoint.spaceGrew();
    await guest.settle(100);
    expect(user.bytes.length).toBe(sent);
    expect(stream?.paused).toBe(false);
  });

  it("holds a bounded part of what a guest sends to a host that does not read", async () => {
    let stream: FakeStream | undefined;
    const guest = guestWithServer((each) => {
      stream = each;
      each.taking = false;
    });
    const bytes = pattern(4 * bufferBytes);
    const user = guest.connect(web, bytes, true);
    await guest.settle(10);
    expect(stream?.buffered).toBeLessThanOrEqual(bufferBytes);
    expect(stream?.buffered).toBeGreaterThan(bufferBytes / 2);
    stream?.take();
    await guest.settle(5000);
    expect(equal(stream?.bytes ?? bytes.subarray(1), bytes)).toBe(true);
    expect(stream?.events).toEqual(["end"]);
    expect(user.end).toBeUndefined();
    stream?.finish();
    await guest.settle(5000);
    expect(user.end).toBe("done");
  });

  it("waits for room on a link that is full, and loses nothing", async () => {
    const bytes = pattern(500_000);
    const guest = guestWithServer((stream) => queueMicrotask(() => stream.user.received(bytes.slice())), {
      linkFrames: 3,
    });
    const users = Array.from({ length: 5 }, () => guest.connect(web));
    await guest.settle(5000);
    for (const user of users) expect(equal(user.bytes, bytes)).toBe(true);
  });

  it("passes resets on in both directions", async () => {
    const streams: FakeStream[] = [];
    const guest = guestWithServer((stream) => streams.push(stream));
    const first = guest.connect(web);
    const second = guest.connect(web);
    await guest.settle(10);
    streams[0].user.closed(true);
    second.endpoint.abort();
    await guest.settle(10);
    expect(first.end).toBe("reset");
    expect(streams[1].events).toEqual(["reset"]);
    expect(guest.network.toString()).toContain("tcp 0 with 0 bytes");
  });

  it("answers a segment of no connection with a reset", async () => {
    const guest = new TestGuest();
    const user = guest.newConnection(at(web), 40_000);
    user.endpoint.accept({ sourcePort: 80, destinationPort: 40_000, seq: 7, ack: 0, flags: 2, window: 9, options: {} });
    await guest.settle();
    expect(guest.segments.at(-1)).toContain("RST");
  });

  it("resets connections of which only the guest knows, once they are asked about", async () => {
    const guest = guestWithServer(() => {});
    const user = guest.connect(web);
    await guest.settle(10);
    // As if it were another network: nothing is known here, and the guest has heard nothing.
    const inbox = guest.inbox.splice(0);
    guest.network.reset();
    guest.inbox.length = 0;
    expect([inbox.length, user.end]).toEqual([0, undefined]);
    const { address, port } = at(web);
    const seen = { guestPort: 40_000, remotePort: port, remote: address };
    const [synAck] = guest.segments
      .map((line) => /SYN,ACK seq (\d+) ack (\d+)/.exec(line))
      .filter((each) => each !== null);
    guest.network.ask([{ ...seen, sequence: Number(synAck[2]), acknowledgement: (Number(synAck[1]) + 1) >>> 0 }]);
    await guest.settle(10);
    expect(user.end).toBe("reset");
  });

  it("resets the host's ends when the card is reset", async () => {
    const streams: FakeStream[] = [];
    const guest = guestWithServer((stream) => streams.push(stream));
    guest.connect(web);
    await guest.settle(10);
    guest.network.reset();
    expect(streams[0].events).toEqual(["reset"]);
    expect(guest.network.toString()).toContain("tcp 0 with 0 bytes");
  });

  it("still hands the host what the guest had sent to its end, when the card is reset", async () => {
    const streams: FakeStream[] = [];
    const guest = guestWithServer((stream) => {
      stream.taking = false;
      streams.push(stream);
    });
    guest.connect(web, pattern(1000), true);
    await guest.settle(10);
    guest.network.reset();
    expect([streams[0].events, streams[0].buffered, streams[0].over]).toEqual([["end"], 1000, false]);
    streams[0].take();
    streams[0].finish();
    expect(guest.network.toString()).toContain("tcp 0 with 0 bytes");
  });

  it("keeps a bounded number of connections, a thousand of them at work at once", async () => {
    const guest = guestWithServer((stream) => {
      stream.echo = true;
    });
    const users = Array.from({ length: 1000 }, (_, i) => guest.connect(web, pattern(2000, i)));
    await guest.settle(100);
    users.forEach((user, i) => expect(equal(user.bytes, pattern(2000, i))).toBe(true));
    for (let i = 0; i < 5000; i++) {
      guest.connect(web);
      if (i % 200 === 0) await guest.settle();
    }
    await guest.settle();
    expect(Number(/tcp (\d+)/.exec(guest.network.toString())?.[1])).toBeLessThanOrEqual(4096);
  });
});

describe("published ports", () => {
  it("lead to the guest, from the gateway's address", async () => {
    const guest = new TestGuest();
    await guest.network.start({ publish: [parsePublish("8080:80")] });
    guest.services.set(80, (user) => {
      user.toWrite = text("hello from the guest");
      user.endAfter = true;
    });
    const stream = guest.sockets.dial("127.0.0.1:8080");
    await guest.settle(10);
    stream?.user.received(text("hello"));
    await guest.settle(10);
    expect(Buffer.from(stream?.bytes ?? []).toString()).toBe("hello from the guest");
    const [key] = guest.connections.keys();
    expect(key?.startsWith(`80 ${userNetwork.gateway} `)).toBe(true);
    guest.network.close();
    expect(guest.sockets.listeners.size).toBe(0);
  });

  it("end a connection that the guest refuses", async () => {
    const guest = new TestGuest();
    await guest.network.start({ publish: [parsePublish("8080:80")] });
    guest.services.set(80, (user) => queueMicrotask(() => user.endpoint.abort()));
    const stream = guest.sockets.dial("127.0.0.1:8080");
    await guest.settle(10);
    expect(stream?.events).toEqual(["reset"]);
  });

  it("carry datagrams there and back", async () => {
    const guest = new TestGuest();
    await guest.network.start({ publish: [parsePublish("5353:53/udp")] });
    guest.sockets.bound.get("127.0.0.1:5353")?.(text("question"), at("127.0.0.1:9999"));
    await guest.settle();
    const [packet] = guest.packets.splice(0);
    const { sourcePort, destinationPort, payload } = guest.datagram(packet);
    expect([packet.source, destinationPort, Buffer.from(payload).toString()]).toEqual([
      userNetwork.gateway,
      53,
      "question",
    ]);
    guest.udp(53, `10.0.2.2:${sourcePort}`, text("answer"));
    const [sent] = guest.sockets.datagrams;
    expect([sent.to, Buffer.from(sent.bytes).toString()]).toEqual(["127.0.0.1:9999", "answer"]);
  });

  it("come and go while the network runs", async () => {
    const guest = new TestGuest();
    await guest.network.start({ publish: [parsePublish("8080:80")] });
    await guest.network.publish(parsePublish("8081:81"));
    await expect(guest.network.publish(parsePublish("8080:81"))).rejects.toThrow("port 8080 is in use");
    expect([...guest.sockets.listeners.keys()]).toEqual(["127.0.0.1:8080", "127.0.0.1:8081"]);
    guest.network.unpublish(parsePublish("8081:81"));
    expect([...guest.sockets.listeners.keys()]).toEqual(["127.0.0.1:8080"]);
  });

  it("that are taken say so", async () => {
    const guest = new TestGuest();
    const publish = [parsePublish("8080:80"), parsePublish("8080:81")];
    await expect(guest.network.start({ publish })).rejects.toThrow("port 8080 is in use");
    expect(guest.sockets.listeners.size).toBe(0);
  });
});

describe("UDP", () => {
  it("comes back from where the guest has sent to, and from nowhere else", async () => {
    const guest = new TestGuest();
    guest.udp(5000, "198.51.100.1:7", text("ping"));
    const [{ to, answer }] = guest.sockets.datagrams;
    expect(to).toBe("198.51.100.1:7");
    answer(text("pong"), at("198.51.100.1:7"));
    answer(text("evil"), at("198.51.100.2:7"));
    await guest.settle();
    expect(guest.read()).toEqual(["7>5000 pong"]);
  });

  it("is forgotten after two quiet minutes, and its tables are bounded", async () => {
    const guest = new TestGuest();
    for (let port = 1; port <= 3000; port++) guest.udp(port, `198.51.100.${port % 250}:9`, text("x"));
    expect(guest.sockets.openSockets).toBe(512);
    guest.clock.pass(3 * 60_000);
    expect(guest.sockets.openSockets).toBe(0);
  });

  it("goes in fragments where it is long, both ways", async () => {
    const guest = new TestGuest();
    const long = pattern(9000);
    guest.udp(5000, "198.51.100.1:7", long);
    expect(equal(guest.sockets.datagrams[0].bytes, long)).toBe(true);
    guest.sockets.datagrams[0].answer(long, at("198.51.100.1:7"));
    await guest.settle();
    expect(guest.packets.map((packet) => packet.payload.length)).toEqual([1480, 1480, 1480, 1480, 1480, 1480, 128]);
    expect(guest.packets.map((packet) => packet.fragmentOffset)).toEqual([0, 1, 2, 3, 4, 5, 6].map((n) => n * 1480));
  });
});

describe("names", () => {
  const question = Uint8Array.of(0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1);

  it("are asked of the host's resolver, the next one too when it is slow", async () => {
    const guest = new TestGuest();
    guest.sockets.resolvers = [at("192.0.2.53:53"), at("192.0.2.54:53")];
    guest.udp(5000, "10.0.2.3:53", question);
    guest.clock.pass(2000);
    expect(guest.sockets.datagrams.map(({ to }) => to)).toEqual(["192.0.2.53:53", "192.0.2.54:53"]);
    const { answer } = guest.sockets.datagrams[1];
    answer(question, at("203.0.113.1:53"));
    answer(
      Uint8Array.from(question, (byte, i) => (i === 0 ? 9 : byte)),
      at("192.0.2.54:53"),
    );
    await guest.settle();
    expect(guest.packets.length).toBe(0);
    answer(question, at("192.0.2.54:53"));
    await guest.settle();
    expect(guest.packets.length).toBe(1);
    expect(guest.sockets.openSockets).toBe(0);
  });

  it("fail at once where the host has no resolver, and are given up after ten seconds", async () => {
    const guest = new TestGuest();
    guest.udp(5000, "10.0.2.3:53", question);
    guest.clock.pass(11_000);
    expect(guest.sockets.openSockets).toBe(0);
    guest.sockets.resolvers = [];
    guest.udp(5000, "10.0.2.3:53", question);
    await guest.settle();
    expect(guest.datagram(guest.packets[0]).payload[3] & 15).toBe(2);
  });

  it("go by TCP too", async () => {
    const guest = new TestGuest();
    guest.connect("10.0.2.3:53");
    await guest.settle();
    expect(guest.sockets.connected).toEqual(["192.0.2.53:53"]);
  });
});

describe("the allow list", () => {
  it("opens exactly what it names", async () => {
    const guest = new TestGuest();
    guest.sockets.own = [parseIpv4("192.168.1.5") as number as never];
    guest.sockets.names.set("metadata.test", [parseIpv4("169.254.169.254") as number as never]);
    const allow = ["localhost:5432", "192.168.1.5:80", "metadata.test:*"].map(parseAllow);
    await guest.network.start({ allow });
    const wanted = [
      "10.0.2.2:5432",
      "10.0.2.2:5433",
      "192.168.1.5:80",
      "192.168.1.5:81",
      "169.254.169.254:80",
      "169.254.1.1:80",
      "0.0.0.0:5432",
      "10.0.2.99:5432",
      "224.0.0.1:5432",
      "8.8.8.8:5432",
    ];
    for (const each of wanted) guest.connect(each);
    for (const each of wanted) guest.udp(5000, each, text("x"));
    await guest.settle();
    const reached = ["127.0.0.1:5432", "192.168.1.5:80", "169.254.169.254:80", "8.8.8.8:5432"];
    expect(guest.sockets.connected).toEqual(reached);
    expect(guest.sockets.datagrams.map(({ to }) => to)).toEqual(reached);
  });

  it("says what is wrong with a rule", async () => {
    expect(() => parsePublish("80")).toThrow('"80" publishes no port: write it as 8080:80');
    expect(() => parsePublish("99999:80")).toThrow("publishes no port");
    expect(() => parsePublish("example.org:80:80")).toThrow("no IPv4 address of this host");
    expect(() => parseAllow("localhost")).toThrow('"localhost" allows nothing: write it as localhost:5432');
    expect(() => parseAllow("10.1.2.300:5")).toThrow("allows nothing");
    expect(() => parseAllow("10.0.0.0/40:5")).toThrow("allows nothing");
    expect(() => parseAllow("a:0")).toThrow("allows nothing");
    await expect(new TestGuest().network.start({ allow: [parseAllow("no.such:1")] })).rejects.toThrow(
      "no IPv4 address",
    );
    expect(parsePublish("0.0.0.0:8080:80/udp")).toEqual({
      protocol: "udp",
      hostAddress: "0.0.0.0",
      hostPort: 8080,
      guestPort: 80,
    });
  });
});

describe("DHCP", () => {
  const discover = (type: number, requested?: readonly number[], xid = 0x1234_5678): Uint8Array => {
    const message = new Uint8Array(300);
    const view = new DataView(message.buffer);
    message.set([1, 1, 6, 0], 0);
    view.setUint32(4, xid);
    message.set([0x52, 0x54, 0, 0x12, 0x34, 0x56], 28);
    view.setUint32(236, 0x63825363);
    message.set([53, 1, type, ...(requested ? [50, 4, ...requested] : []), 255], 240);
    return message;
  };
  const answers = async (guest: TestGuest, message: Uint8Array): Promise<string[]> => {
    guest.udp(68, "255.255.255.255:67", message, parseIpv4("0.0.0.0"));
    await guest.settle();
    return guest.packets.splice(0).map((packet) => {
      const { payload } = guest.datagram(packet);
      const yours = [...payload.subarray(16, 20)].join(".");
      return `${payload[242]} ${yours} xid ${Buffer.from(payload.subarray(4, 8)).toString("hex")}`;
    });
  };

  it("offers and gives the guest's address, and refuses another", async () => {
    const guest = new TestGuest();
    expect(await answers(guest, discover(1))).toEqual(["2 10.0.2.15 xid 12345678"]);
    expect(await answers(guest, discover(3, [10, 0, 2, 15]))).toEqual(["5 10.0.2.15 xid 12345678"]);
    expect(await answers(guest, discover(3, [10, 0, 2, 16]))).toEqual(["6 0.0.0.0 xid 12345678"]);
  });
});

describe("any bytes at all", () => {
  it("as frames are taken, and memory stays bounded", { timeout: 60_000 }, async () => {
    const guest = guestWithServer((stream) => {
      stream.echo = true;
    });
    const seeds: Uint8Array[] = [];
    const real = guest.network.receive.bind(guest.network);
    guest.network.receive = (frame, offload) => {
      if (seeds.length < 200) seeds.push(frame.slice());
      real(frame, offload);
    };
    // One of each kind to begin with.
    guest.arp("10.0.2.2");
    guest.ping("10.0.2.2");
    guest.udp(5000, "198.51.100.1:7", pattern(100));
    guest.udp(5000, "10.0.2.3:53", pattern(40));
    guest.udp(68, "255.255.255.255:67", pattern(300), parseIpv4("0.0.0.0"));
    guest.connect(web, pattern(5000), true);
    await guest.settle(5000);
    const random = seeded(42);
    const below = (n: number): number => Math.floor(random() * n);
    for (let i = 0; i < 100_000; i++) {
      const frame = mutated(seeds[below(seeds.length)], below);
      real(frame, { partialChecksum: below(2) === 0, segmentBytes: below(3) === 0 ? below(65536) : 0 });
      if (i % 64 === 0) guest.network.flush();
      if (i % 1000 === 0) {
        await Promise.resolve();
        guest.inbox.length = 0;
        guest.sockets.datagrams.length = 0;
        guest.clock.pass(100);
        guest.network.linkReady();
      }
    }
    const state = guest.network.toString();
    expect(Number(/with (\d+) bytes/.exec(state)?.[1])).toBeLessThanOrEqual(80 * 2 ** 20);
    expect(Number(/fragments (\d+)/.exec(state)?.[1])).toBeLessThanOrEqual(16);
    expect(guest.sockets.openSockets).toBeLessThanOrEqual(512 + 256);
    // It still works.
    const user = guest.connect(web, text("still here"), true);
    await guest.settle(5000);
    expect(Buffer.from(user.bytes).toString()).toBe("still here");
    guest.network.close();
    expect(guest.network.toString()).toContain("tcp 0 with 0 bytes, udp 0, dns 0, fragments 0");
  });
});

/** Some bytes changed, cut or added; the IP header's checksum made good again, or nothing but noise gets further. */
function mutated(seed: Uint8Array, below: (n: number) => number): Uint8Array {
  if (below(50) === 0) return Uint8Array.from({ length: below(200) }, () => below(256));
  const length = Math.max(0, seed.length + (below(4) === 0 ? below(40) - 20 : 0));
  const frame = new Uint8Array(length);
  frame.set(seed.subarray(0, length));
  for (let n = below(4); n > 0; n--) frame[below(Math.min(length, below(2) === 0 ? 64 : length) || 1)] = below(256);
  if (length < 34 || below(10) === 0) return frame;
  if (below(3) > 0) frame.set([0x45, 0, (length - 14) >> 8, (length - 14) & 0xff], 14);
  frame[24] = frame[25] = 0;
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += (frame[i] << 8) | frame[i + 1];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  frame[24] = (~sum >> 8) & 0xff;
  frame[25] = ~sum & 0xff;
  return frame;
}
