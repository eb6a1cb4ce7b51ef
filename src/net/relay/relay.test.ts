import { describe, expect, it } from "vitest";
import { parseIpv4 } from "../address.ts";
import type { HostStreamUser } from "../host-sockets.ts";
import { parseAllow, resolveAllow } from "../rules.ts";
import { pattern } from "../testing/bytes.ts";
import { seeded } from "../testing/dial.ts";
import { at, FakeSockets, type FakeStream } from "../testing/fake-sockets.ts";
import { RelaySockets } from "./client.ts";
import { relayKind, relayMessage } from "./protocol.ts";
import { relayPolicy } from "./relay-policy.ts";
import { RelayServer } from "./server.ts";
import { parseRelayUrl } from "./web-socket.ts";

/** What a stream's user has heard. */
class Ear implements HostStreamUser {
  readonly heard: string[] = [];
  bytes = Buffer.alloc(0);
  connected(): void {
    this.heard.push("connected");
  }
  failed(why: string): void {
    this.heard.push(`failed: ${why}`);
  }
  received(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }
  ended(): void {
    this.heard.push("ended");
  }
  drained(): void {}
  closed(broken: boolean): void {
    this.heard.push(broken ? "broken" : "closed");
  }
}

/** A client and a relay, with a microtask between them. */
function relayed({ token = "secret", allow = [] as string[] } = {}) {
  const host = new FakeSockets();
  const servers: RelayServer[] = [];
  const hangUps: (() => void)[] = [];
  const rules = resolveAllow(allow.map(parseAllow), async () => []);
  const client = new RelaySockets(async (onMessage, onClose) => {
    const allowed = await rules;
    let open = true;
    const later = (then: () => void): void => void Promise.resolve().then(() => open && then());
    const hangUp = (): void => {
      if (!open) return;
      open = false;
      server.close();
      onClose("gone");
    };
    hangUps.push(hangUp);
    const server = new RelayServer({
      sockets: host,
      authorize: (shown) => shown === "secret",
      destination: relayPolicy(allowed, undefined, () => host.ownAddresses()),
      channel: { send: (message) => later(() => onMessage(message)), bufferedBytes: 0, close: hangUp },
    });
    servers.push(server);
    return { send: (message) => later(() => server.receive(message)), bufferedBytes: 0, close: hangUp };
  }, token);
  return { host, client, servers, hangUps };
}

const settle = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

describe("a relay", () => {
  it("connects, carries bytes both ways, and ends in order", async () => {
    const { host, client } = relayed();
    let far: FakeStream | undefined;
    host.servers.set("198.51.100.7:80", (stream) => {
      far = stream;
    });
    const ear = new Ear();
    const stream = client.connect(at("198.51.100.7:80"), ear);
    await settle();
    stream.write(pattern(1000));
    stream.end();
    await settle();
    expect(Buffer.from(far?.bytes ?? []).equals(pattern(1000))).toBe(true);
    expect([far?.events, stream.buffered]).toEqual([["end"], 0]);
    far?.user.received(pattern(500, 3));
    far?.finish();
    await settle();
    expect(ear.bytes.equals(pattern(500, 3))).toBe(true);
    expect(ear.heard).toEqual(["connected", "ended", "closed"]);
  });

  it("tells its resolvers, resolves names, and carries datagrams", async () => {
    const { host, client } = relayed();
    host.names.set("name.test", [parseIpv4("192.0.2.7") as never]);
    await client.start();
    expect(client.resolvers).toEqual([at("192.0.2.53:53")]);
    expect(await client.resolve("name.test")).toEqual([parseIpv4("192.0.2.7")]);
    const got: string[] = [];
    const socket = client.openDatagrams((bytes, from) => got.push(`${Buffer.from(bytes)} ${from.port}`));
    socket.send(Buffer.from("ping"), at("198.51.100.1:7"));
    await settle();
    expect(host.datagrams.map(({ to }) => to)).toEqual(["198.51.100.1:7"]);
    host.datagrams[0].answer(Buffer.from("pong"), at("198.51.100.1:7"));
    await settle();
    expect(got).toEqual(["pong 7"]);
    socket.close();
    await settle();
    expect(host.openSockets).toBe(0);
  });

  it("reaches the host itself only where it is allowed to", async () => {
    const { host, client } = relayed({ allow: ["localhost:5432"] });
    const places = ["127.0.0.1:22", "127.0.0.1:5432", "169.254.169.254:80", "0.0.0.0:22", "192.0.2.53:53"];
    const ears = places.map((place) => {
      const ear = new Ear();
      client.connect(at(place), ear);
      return ear;
    });
    await settle();
    expect(host.connected).toEqual(["127.0.0.1:5432", "192.0.2.53:53"]);
    expect(ears.map(({ heard }) => heard[0])).toEqual([
      "failed: prohibited",
      "failed: refused",
      "failed: prohibited",
      "failed: prohibited",
      "failed: refused",
    ]);
  });

  it("with a list of all that may be reached, reaches nothing else", async () => {
    const only = await resolveAllow([parseAllow("198.51.100.0/24:443")], async () => []);
    const destination = relayPolicy([], only, () => []);
    const reached = ["198.51.100.7:443", "198.51.100.7:80", "8.8.8.8:443"].map((place) => {
      const { address, port } = at(place);
      return destination(address, port) !== undefined;
    });
    expect(reached).toEqual([true, false, false]);
  });

  it("does not let in who has not its token", async () => {
    const { client, host } = relayed({ token: "guess" });
    await expect(client.start()).rejects.toThrow("the relay hung up");
    const ear = new Ear();
    client.connect(at("198.51.100.7:80"), ear);
    await settle();
    expect([ear.heard, host.connected]).toEqual([["failed: unreachable"], []]);
  });

  it("holds a bounded part of what a far end sends to a client that does not read", async () => {
    const { host, client } = relayed();
    let far: FakeStream | undefined;
    host.servers.set("198.51.100.7:80", (stream) => {
      far = stream;
    });
    const ear = new Ear();
    const stream = client.connect(at("198.51.100.7:80"), ear);
    await settle();
    stream.pause();
    let sent = 0;
    while (!far?.paused && sent < 10_000_000) {
      far?.user.received(pattern(50_000));
      sent += 50_000;
      await settle();
    }
    expect(sent).toBeLessThanOrEqual(256 * 1024 + 50_000);
    expect(ear.bytes.length).toBe(0);
    stream.resume();
    await settle();
    expect([ear.bytes.length, far?.paused]).toEqual([sent, false]);
  });

  it("counts what the far end has not taken, so that the client's side waits", async () => {
    const { host, client } = relayed();
    let far: FakeStream | undefined;
    host.servers.set("198.51.100.7:80", (stream) => {
      far = stream;
      stream.taking = false;
    });
    const stream = client.connect(at("198.51.100.7:80"), new Ear());
    await settle();
    stream.write(pattern(200_000));
    await settle();
    expect(stream.buffered).toBe(200_000);
    far?.take();
    await settle();
    expect(stream.buffered).toBe(0);
  });

  it("that breaks away resets what went over it, and is found again", async () => {
    const { host, client, hangUps } = relayed();
    host.servers.set("198.51.100.7:80", () => {});
    const first = new Ear();
    client.connect(at("198.51.100.7:80"), first);
    await settle();
    hangUps[0]();
    expect(first.heard).toEqual(["connected", "broken"]);
    const second = new Ear();
    client.connect(at("198.51.100.7:80"), second);
    await settle();
    expect(second.heard).toEqual(["connected"]);
  });

  it("hangs up on a client that breaks the form, and takes any bytes at all", async () => {
    const random = seeded(5);
    const below = (n: number): number => Math.floor(random() * n);
    for (let run = 0; run < 300; run++) {
      const host = new FakeSockets();
      host.servers.set("198.51.100.7:80", (stream) => {
        stream.echo = true;
      });
      let closed = 0;
      const server = new RelayServer({
        sockets: host,
        authorize: () => true,
        destination: relayPolicy([], undefined, () => []),
        channel: { send: () => {}, bufferedBytes: 0, close: () => void closed++ },
      });
      server.receive(relayMessage(relayKind.hello, 1, Buffer.from("any")));
      for (let n = 0; n < 100; n++) {
        const body = Uint8Array.from({ length: below(40) }, () => below(256));
        if (below(3) === 0) body.set(Uint8Array.of(7, 100, 51, 198, 80, 0).subarray(0, body.length));
        const kind = below(12) as 1;
        server.receive(below(40) === 0 ? body : relayMessage(kind, below(4), body));
        if (n % 10 === 0) await Promise.resolve();
      }
      server.close();
      expect(closed).toBe(1);
      expect([server.streamCount, host.openSockets]).toEqual([0, 0]);
    }
  });

  it("has an address with its token", () => {
    expect(parseRelayUrl("ws://127.0.0.1:8765/#abc")).toEqual({ url: "ws://127.0.0.1:8765/", token: "abc" });
    for (const wrong of ["http://a/#b", "ws://a/", "abc"]) expect(() => parseRelayUrl(wrong)).toThrow("is no relay");
  });
});
