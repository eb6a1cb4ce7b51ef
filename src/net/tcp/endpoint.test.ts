import { describe, expect, it } from "vitest";
import { pattern } from "../testing/bytes.ts";
import { TcpPair, type Weather } from "../testing/tcp-pair.ts";
import { tcpFlag } from "./segment.ts";

/** Sends both ways, ends both ways, and gives what was lost or wrong: nothing. */
function exchange(weather: Weather, clientBytes: number, serverBytes: number): TcpPair {
  const pair = new TcpPair(weather);
  const { client, server } = pair;
  client.toWrite = pattern(clientBytes, 1);
  server.toWrite = pattern(serverBytes, 2);
  client.endAfter = server.endAfter = true;
  client.endpoint.connect();
  pair.settle();
  expect(equal(server.bytes, pattern(clientBytes, 1)), "what the client sent").toBe(true);
  expect(equal(client.bytes, pattern(serverBytes, 2)), "what the server sent").toBe(true);
  // Whose last acknowledgement was lost asks again, and hears that the connection is no more.
  const ends = weather.loss ? ["done", "reset"] : ["done"];
  expect(ends).toContain(client.end);
  expect(ends).toContain(server.end);
  expect(pair.clock.pending).toBe(0);
  return pair;
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

describe("a connection", () => {
  it("opens with three segments and closes with both sides' FIN", () => {
    const pair = exchange({ seed: 1 }, 5, 0);
    expect(pair.log.slice(0, 3)).toEqual([
      "0 client SYN seq 4294901760 win 65535 [mss 1460, scale 5, sack ok]",
      "1 server SYN,ACK seq 4294963200 ack 4294901761 win 65535 [mss 1460, scale 5, sack ok]",
      "2 client PSH,ACK seq 4294901761 ack 4294963201 win 8192 5 bytes",
    ]);
  });

  it("carries megabytes both ways across the wrap of sequence numbers", () => {
    exchange({ seed: 1 }, 3_000_000, 2_000_000);
  });

  it("sends segments longer than the MSS where the link cuts them", () => {
    const small = exchange({ seed: 1 }, 1_000_000, 0);
    const large = exchange({ seed: 1, large: true }, 1_000_000, 0);
    expect(large.segments).toBeLessThan(small.segments / 10);
  });

  it("gives exactly the bytes that were sent, whatever the cable loses, repeats and reorders", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const loss = (seed % 6) * 0.04;
      const repeat = (seed % 4) * 0.05;
      const reorder = (seed % 5) * 0.1;
      exchange({ seed, loss, repeat, reorder, large: seed % 2 === 0 }, 200_000, 100_000);
    }
  });

  it("loses a twentieth of its segments and is not slowed to a crawl", () => {
    const pair = exchange({ seed: 7, loss: 0.05, delayMs: 5 }, 2_000_000, 0);
    // One timeout for each hundred segments would take longer.
    expect(pair.clock.now()).toBeLessThan(20_000);
  });

  it("fills one hole after three duplicates, before any timeout", () => {
    const pair = new TcpPair({ seed: 1 });
    const { client, server } = pair;
    client.toWrite = pattern(40_000);
    let dropped = 0;
    pair.filter = (from, segment) => {
      const hole =
        from === "client" && dropped === 0 && segment.payload.length > 0 && segment.seq === 0xffff_0001 + 2920;
      if (hole) dropped++;
      return !hole;
    };
    client.endpoint.connect();
    pair.clock.pass(500);
    expect(dropped).toBe(1);
    expect(equal(server.bytes, pattern(40_000))).toBe(true);
    expect(pair.log.filter((line) => line.includes(`seq ${0xffff_0001 + 2920} `)).length).toBe(2);
    expect(pair.log.some((line) => line.includes("sack"))).toBe(true);
  });

  it("waits at a closed window, asks, and goes on when it opens", () => {
    const pair = new TcpPair({ seed: 1 });
    const { client, server } = pair;
    server.space = 10_000;
    client.toWrite = pattern(50_000);
    client.endAfter = true;
    client.endpoint.connect();
    pair.clock.pass(30_000);
    expect(server.bytes.length).toBeGreaterThan(8_000);
    expect(server.bytes.length).toBeLessThanOrEqual(10_000);
    // The word that the window has opened is lost: only asking helps.
    pair.filter = () => false;
    server.space = 1_000_000;
    server.endpoint.spaceGrew();
    pair.filter = () => true;
    pair.clock.pass(120_000);
    expect(equal(server.bytes, pattern(50_000))).toBe(true);
  });

  it("keeps no more than its limits when nobody reads", () => {
    const pair = new TcpPair({ seed: 1, sendLimit: 2 ** 16, receiveLimit: 2 ** 16 });
    pair.server.space = 2 ** 14;
    pair.client.endpoint.connect();
    pair.clock.pass(100);
    expect(pair.client.endpoint.write(pattern(10_000_000))).toBe(2 ** 16);
    pair.clock.pass(5000);
    expect(pair.client.endpoint.sendSpace).toBe(pair.server.bytes.length);
    expect(pair.client.endpoint.write(pattern(10_000_000))).toBe(pair.server.bytes.length);
  });

  it("half closed, still receives", () => {
    const pair = new TcpPair({ seed: 1 });
    const { client, server } = pair;
    client.endAfter = true;
    client.endpoint.connect();
    pair.clock.pass(3000);
    expect(server.events).toContain("peer ended");
    server.toWrite = pattern(300_000);
    server.endAfter = true;
    server.pump();
    pair.settle();
    expect(equal(client.bytes, pattern(300_000))).toBe(true);
    expect([client.end, server.end]).toEqual(["done", "done"]);
  });

  it("ends both sides at an abort", () => {
    const pair = new TcpPair({ seed: 1 });
    pair.client.endpoint.connect();
    pair.clock.pass(100);
    pair.server.endpoint.abort();
    pair.clock.pass(100);
    expect([pair.client.end, pair.server.end]).toEqual(["reset", "reset"]);
    expect(pair.clock.pending).toBe(0);
  });

  it("gives up on a peer that does not answer, and says so", () => {
    const pair = new TcpPair({ seed: 1 });
    pair.filter = () => false;
    pair.client.endpoint.connect();
    pair.settle();
    expect(pair.client.end).toBe("timeout");
    expect(pair.clock.now()).toBeGreaterThan(100_000);
    expect(pair.clock.now()).toBeLessThan(1_000_000);
  });

  it("believes a reset at the expected position only", () => {
    const pair = new TcpPair({ seed: 1 });
    const { client } = pair;
    client.endpoint.connect();
    pair.clock.pass(100);
    const reset = (seq: number) =>
      client.endpoint.receive({
        sourcePort: 2,
        destinationPort: 1,
        seq: seq >>> 0,
        ack: 0,
        flags: tcpFlag.rst,
        window: 0,
        options: {},
        payload: new Uint8Array(0),
      });
    reset(0xffff_f001 + 100);
    expect(client.end).toBeUndefined();
    reset(0xffff_f001);
    expect(client.end).toBe("reset");
  });

  it("opens when both sides send a SYN at once", () => {
    const pair = new TcpPair({ seed: 1 });
    pair.client.toWrite = pattern(1000);
    pair.client.endpoint.connect();
    pair.server.endpoint.connect();
    pair.clock.pass(5000);
    expect(pair.client.endpoint.state).toBe("established");
    expect(equal(pair.server.bytes, pattern(1000))).toBe(true);
  });

  it("survives any segment at all", () => {
    for (let seed = 1; seed <= 20; seed++) {
      const pair = new TcpPair({ seed });
      pair.client.toWrite = pattern(100_000);
      pair.server.toWrite = pattern(100_000);
      pair.client.endpoint.connect();
      pair.clock.pass(2 + (seed % 5));
      let state = seed;
      const next = (below: number): number => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return (state >>> 8) % below;
      };
      for (let i = 0; i < 500; i++) {
        pair.client.endpoint.receive({
          sourcePort: 2,
          destinationPort: 1,
          seq: (0xffff_f001 + next(300_000) - 150_000) >>> 0,
          ack: (0xffff_0001 + next(300_000) - 150_000) >>> 0,
          flags: next(64) & ~(next(20) === 0 ? 0 : tcpFlag.rst),
          window: next(65536),
          options: { sack: [[next(2 ** 24) * 256, next(2 ** 24) * 256]], mss: next(65536), windowScale: next(15) },
          payload: pattern(next(3000), i),
        });
        pair.client.endpoint.flush();
        if (pair.client.end !== undefined) break;
        pair.clock.pass(next(50));
      }
      expect(pair.client.endpoint.unacknowledged).toBeLessThanOrEqual(2 ** 18);
    }
  });
});
