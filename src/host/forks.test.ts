import { expect, test } from "vitest";
import { hex } from "../../test/guest-code.ts";
import { patienceMs } from "../../test/patience.ts";
import { tinyKernel } from "../../test/tiny-machine.ts";
import { VirtualMachine } from "./virtual-machine.ts";

/** Answers each byte typed with the one before it, which it keeps in memory, and never rests. "X" is its end. */
const remembering = hex(`
  bf 00000002     ; mov $0x2000000,%edi
  66 ba fc03      ; mov $0x3fc,%dx
  b0 02           ; mov $2,%al               RTS
  ee              ; out %al,(%dx)
  66 ba fd03      ; mov $0x3fd,%dx
  ec              ; in (%dx),%al
  a8 01           ; test $1,%al
  74 f7           ; je -9
  66 ba f803      ; mov $0x3f8,%dx
  ec              ; in (%dx),%al
  3c 58           ; cmp $'X',%al
  74 05           ; je +5
  86 07           ; xchg %al,(%rdi)
  ee              ; out %al,(%dx)
  eb e9           ; jmp -23
  0f 0b           ; ud2
`);

const start = (options: { cpus?: number } = {}): Promise<VirtualMachine> =>
  VirtualMachine.start({
    kernel: tinyKernel(remembering),
    commandLine: "",
    memoryBytes: 64 << 20,
    reboot: false,
    ...options,
  });

/** Types a letter; what is answered. */
async function type(vm: VirtualMachine, letter: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    const end = vm.console.onOutput((bytes) => {
      end();
      resolve(String.fromCharCode(...bytes));
    });
  });
  await vm.console.write(new TextEncoder().encode(letter));
  return answer;
}

test("forks that never rest remember what was typed before, and each its own from then on", {
  timeout: patienceMs,
}, async () => {
  await using vm = await start();
  expect(await type(vm, "a")).toBe("\0");
  const forks = await vm.fork(3);
  expect(await Promise.all(forks.map((fork, n) => type(fork, `${n}`)))).toEqual(["a", "a", "a"]);
  expect(await type(vm, "b")).toBe("a");
  expect(await Promise.all(forks.map((fork) => type(fork, "x")))).toEqual(["0", "1", "2"]);
  const [grandchild] = await forks[1].fork();
  // In any order, and whoever ends first.
  await vm.stop();
  await forks[1].stop();
  expect(await type(grandchild, "y")).toBe("x");
  expect([await type(forks[0], "z"), await type(forks[2], "z")]).toEqual(["x", "x"]);
  for (const one of [grandchild, forks[0], forks[2]]) expect((await one.stop()).reason).toBe("stopped");
});

test("machines that are forked at the same time have each its own forks", { timeout: patienceMs }, async () => {
  await using vm = await start();
  await type(vm, "a");
  const [other] = await vm.fork();
  await type(other, "b");
  const [ofVm, ofOther] = await Promise.all([vm.fork(3), other.fork(3)]);
  expect(await Promise.all(ofVm.map((fork) => type(fork, "c")))).toEqual(["a", "a", "a"]);
  expect(await Promise.all(ofOther.map((fork) => type(fork, "c")))).toEqual(["b", "b", "b"]);
  await Promise.all([other, ...ofVm, ...ofOther].map((each) => each.stop()));
});

test("a fork that fails ends alone, and so does one that is stopped", { timeout: patienceMs }, async () => {
  await using vm = await start();
  await type(vm, "a");
  const [first, second] = await vm.fork(2);
  await first.console.write(Uint8Array.of("X".charCodeAt(0)));
  expect(await first.exited).toEqual({ reason: "reset", detail: "the guest caused a triple fault" });
  expect([await type(second, "b"), await type(vm, "c")]).toEqual(["a", "a"]);
  const { framesTouched } = await second.stats();
  expect(framesTouched).toBeGreaterThan(0);
  expect(await second.stop()).toEqual({ reason: "stopped", detail: "" });
  expect(await type(vm, "d")).toBe("c");
});

test("what cannot share a thread is forked all the same", { timeout: patienceMs }, async () => {
  await using vm = await start({ cpus: 2 });
  await type(vm, "a");
  await using fork = (await vm.fork())[0];
  await using other = (await fork.fork(1, { interpreterOnly: true }))[0];
  expect([await type(other, "b"), await type(fork, "c"), await type(vm, "d")]).toEqual(["a", "a", "a"]);
});
