/**
 * Files of a shared directory: memvisor, and QEMU's translator with Debian's virtiofsd, on the same kernel, initramfs and host folder.
 *
 *   npm run bench:shares -- --rounds 5
 *
 * Both are virtio-fs with names and attributes good for a second, without a write-back cache. Rounds are interleaved. The processor
 * time beside QEMU's is without its virtiofsd's; memvisor's is of all its threads.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { memvisor, qemu } from "./contenders.ts";
import {
  buildProgram,
  chosenRows,
  deviceOptions,
  deviceUsage,
  inFolder,
  interleaved,
  programMachine,
  report,
} from "./device-bench.ts";
import { fail } from "./programs.ts";

const usage = `npm run bench:shares -- [options]
  --rows NAMES    some of the rows (default all)
${deviceUsage}`;

const { values } = parseArgs({ options: { ...deviceOptions, rows: { type: "string" } } });

/** Where Debian 12 has it, with qemu-system-common. */
const daemon = "/usr/lib/qemu/virtiofsd";

if (values.help) console.log(usage);
else await inFolder("shares", main);

async function main(folder: string): Promise<number> {
  const program = buildProgram(folder, "io-guest/files.c");
  const names = chosenRows(program.names, values.rows);
  const shared = join(folder, "shared");
  const script = `modprobe virtiofs
mkdir -p /mnt
mount -t virtiofs share0 /mnt && /bench/program /mnt ${names.join(" ")}`;
  const machine = programMachine(folder, values.image, program.path, script);
  const socket = join(folder, "socket");
  const device = [
    ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=share0"],
    ...["-object", `memory-backend-memfd,id=mem,size=${machine.memoryMib}M,share=on`, "-numa", "node,memdev=mem"],
  ];
  const contenders = [
    memvisor(machine, { words: `--share ${shared}:/mnt` }),
    { ...qemu("pc", "qemu64", machine, device), name: "tcg" },
  ];
  const outcomes = await interleaved(contenders, names, values, async ({ name }) => {
    rmSync(shared, { recursive: true, force: true });
    mkdirSync(shared);
    return name === "tcg" ? startDaemon(shared, socket) : undefined;
  });
  return report("microseconds each", names, outcomes, values, names, ["hostSeconds"]);
}

/** QEMU's server of the folder, for one machine. */
async function startDaemon(shared: string, socket: string): Promise<Disposable> {
  if (!existsSync(daemon)) fail(`${daemon} is not there: apt-get install qemu-system-common, or --only memvisor`);
  rmSync(socket, { force: true });
  const server = spawn(daemon, [`--socket-path=${socket}`, "-o", `source=${shared},cache=auto`], { stdio: "ignore" });
  for (let n = 0; n < 100 && !existsSync(socket); n++) await setTimeout(50);
  return { [Symbol.dispose]: () => void server.kill() };
}
