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
import { compare, deviceOptions, deviceUsage, inFolder, report } from "./device-bench.ts";
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
  const shared = join(folder, "shared");
  const socket = join(folder, "socket");
  const { names, outcomes } = await compare(folder, values, {
    program: "files.c",
    script: (rows) => `modprobe virtiofs
mkdir -p /mnt
mount -t virtiofs share0 /mnt && /bench/program /mnt ${rows}`,
    device: ({ memoryMib }) => ({
      memvisor: `--share ${shared}:/mnt`,
      qemu: [
        ...["-chardev", `socket,id=fs,path=${socket}`, "-device", "vhost-user-fs-pci,chardev=fs,tag=share0"],
        ...["-object", `memory-backend-memfd,id=mem,size=${memoryMib}M,share=on`, "-numa", "node,memdev=mem"],
      ],
    }),
    before: async (name) => {
      rmSync(shared, { recursive: true, force: true });
      mkdirSync(shared);
      return name === "tcg" ? startDaemon(shared, socket) : undefined;
    },
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
