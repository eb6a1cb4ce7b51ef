import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { allocateMessageRing, MessageReceiver, MessageSender } from "#base";
import { codeBase, guest, hex } from "../../../test/guest-code.ts";
import { passesWithout } from "../passes.ts";
import { recordOf } from "./kept-regions.ts";
import { emitRegions, type RegionCode } from "./region.ts";
import { decodeReply, decodeRequest, encodeFailure, encodeReply, encodeRequest } from "./region-messages.ts";

/** Calls, an indirect jump with places it was seen to go to, and a loop. */
const program = hex(`
  b9 e8030000       ; mov ecx, 1000
  48 8d 15 0d000000 ; lea rdx, [rip+13]: the add
  e8 0b000000       ; call the function
  ff c9             ; dec ecx
  75 f0             ; jnz to the lea
  0f 0b             ; ud2
  90 90             ; nop
  01 c3             ; add ebx, eax
  c3                ; ret
  89 c8             ; mov eax, ecx
  ff e2             ; jmp rdx
`);
const options = { exact: false, passes: passesWithout() };
const total = BigInt((1000 * 1001) / 2);

/** A ring as its two threads see it. */
function sent(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const ring = allocateMessageRing(1 << 20);
  new MessageSender(ring, () => {}).send(...parts);
  const message = new MessageReceiver(ring, () => {}).receive();
  if (message === undefined) throw new Error("nothing came");
  return message;
}

test("a region that was sent is emitted as the same module, and comes back with its entries", () => {
  const g = guest(program);
  expect(g.run(2000n)).toEqual({ reason: "budget" });
  g.vcpu.setU64("RIP", BigInt(codeBase + 5));
  const block = g.engine.runtime.lookup(g.vcpu.vp) >>> 0;
  const codes = (["small", "large"] as const).map((size, n): RegionCode => {
    const region = g.engine.regions.grow(g.vcpu, block, g.vcpu.u64("RIP"), 0, size);
    return { region, record: 4096 * n, vp: n * g.vcpu.vp };
  });
  expect(codes[1].region.blocks.length).toBeGreaterThan(3);
  const words = g.vcpu.arena.i32;
  const here = emitRegions(words, codes, options);
  const request = decodeRequest(sent(encodeRequest(7, words, codes)));
  expect(request.number).toBe(7);
  const reply = decodeReply(sent(...encodeReply(7, emitRegions(request.words, request.codes, options))));
  expect(reply).toEqual({ number: 7, batch: here });
  expect(here.entries.map((each) => each.length > 0)).toEqual([true, true]);

  // The first one as it is kept, before the second one as it is.
  const records: Int32Array[] = [];
  emitRegions(words, codes, options, words, (code, object) => records.push(recordOf(words, code, object, false)));
  const at = g.arena.lend(4 * records[0].length);
  g.arena.i32.set(records[0], at >> 2);
  const known = { ...codes[0], region: { ...codes[0].region, kept: at } };
  const again = decodeRequest(sent(encodeRequest(8, words, [known, codes[1]])));
  expect(emitRegions(again.words, again.codes, options, g.arena.i32)).toEqual(here);
});

test("what goes wrong on the other thread is said on this one", () => {
  expect(decodeReply(sent(...encodeFailure(3, "no such operation")))).toEqual({
    number: 3,
    batch: "no such operation",
  });
});

test("code that the other thread cannot compile is interpreted, and it is told why", () => {
  const said: string[] = [];
  const rings: { readonly requests: MessageReceiver; readonly replies: MessageSender }[] = [];
  const g = guest(program, {
    hotThreshold: 10,
    exact: false,
    startEmitter: ({ requests, replies }) => {
      rings.push({ requests: new MessageReceiver(requests, () => {}), replies: new MessageSender(replies, () => {}) });
    },
    host: { notCompiled: (why) => said.push(why) },
  });
  for (let rounds = 0; rounds < 20; rounds++) {
    g.vcpu.setU64("RIP", BigInt(codeBase));
    g.vcpu.setRegister(3, 0n);
    while (g.run(g.vcpu.u64("ICOUNT") + 300n).reason === "budget") {
      for (const { requests, replies } of rings)
        for (let sent = requests.receive(); sent !== undefined; sent = requests.receive())
          replies.send(...encodeFailure(decodeRequest(sent).number, "no such operation"));
    }
    expect(g.vcpu.register(3)).toBe(total);
  }
  expect([said.length > 0, new Set(said), g.vcpu.u64("COMPILED")]).toEqual([true, new Set(["no such operation"]), 0n]);
});

test("code is compiled beside the guest by a thread, which ends when it is told to", async () => {
  let worker: Worker | undefined;
  const ended = Promise.withResolvers<number>();
  const g = guest(program, {
    hotThreshold: 10,
    exact: false,
    startEmitter: (setup) => {
      worker = new Worker(new URL("../../host/emitter-worker.ts", import.meta.url), { workerData: setup });
      worker.on("exit", ended.resolve);
    },
  });
  const deadline = Date.now() + 60_000;
  for (let compiled = 0n; compiled < 3000n; compiled = g.vcpu.u64("COMPILED")) {
    expect(Date.now()).toBeLessThan(deadline);
    g.vcpu.setU64("RIP", BigInt(codeBase));
    g.vcpu.setRegister(3, 0n);
    while (g.run(g.vcpu.u64("ICOUNT") + 300n).reason === "budget") {}
    expect(g.vcpu.register(3)).toBe(total);
    await new Promise((resolve) => setImmediate(resolve));
  }
  g.engine.close();
  expect(await ended.promise).toBe(0);
});
