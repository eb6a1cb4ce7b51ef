import { expect, test } from "vitest";
import { patienceMs } from "../../test/patience.ts";
import { tinyKernel } from "../../test/tiny-machine.ts";
import { type Program, programs, resultOf, twoVcpus } from "../../test/two-vcpus.ts";
import { VirtualMachine } from "./virtual-machine.ts";

async function run(
  program: Program,
  options: { interpreterOnly?: boolean; hotThreshold?: number; chaosSeed?: number },
) {
  await using vm = await VirtualMachine.start({
    kernel: tinyKernel(twoVcpus(program)),
    commandLine: "",
    memoryBytes: 64 << 20,
    cpus: 2,
    reboot: false,
    timeoutMs: patienceMs,
    ...options,
  });
  let serial = "";
  vm.console.onOutput((bytes) => void (serial += String.fromCharCode(...bytes)));
  const end = await vm.exited;
  return { reason: end.reason, detail: end.detail, result: resultOf(serial) };
}

for (const program of programs) {
  test(`two vCPUs on threads, ${program.name}`, async () => {
    for (const options of [{ interpreterOnly: true }, { hotThreshold: 2 }, { chaosSeed: 3, hotThreshold: 50 }]) {
      expect(await run(program, options)).toEqual({ reason: "reset", detail: "", result: program.result });
    }
  }, 60_000);
}
