/** What is asked of a machine's devices. A check gives a figure in words, or throws what was wrong. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { busybox } from "#control";
import type { VirtualMachine } from "#host";
import { askAllAtOnce, echoServer } from "../../src/host/testing/guest-server.ts";
import { run } from "../soak/run-in-guest.ts";

export interface Amounts {
  readonly megabytes: number;
  readonly connections: number;
  readonly seconds: number;
}

/** What a machine was given besides its root disk: /dev/vdb, a share at /mnt, ports of the host that lead to its own. */
export interface Surroundings {
  readonly scratchBytes: number;
  readonly iperfPort: number;
  readonly echoPort: number;
  /** A server of the host, which the guest may reach. */
  readonly download: DownloadServer;
}

export type Check = (vm: VirtualMachine, given: Surroundings, amounts: Amounts) => Promise<string>;

const million = 1e6;

const perSecond = (bytes: number, startedMs: number): string =>
  `${(bytes / million / ((performance.now() - startedMs) / 1000)).toFixed(1)} MB/s`;

/** A file of random bytes on the root disk; its checksum. */
export async function writeFile(vm: VirtualMachine, megabytes: number): Promise<string> {
  const make = `head -c ${megabytes * million} /dev/urandom >/var/soak && sync`;
  return (await run(vm, `${make} && sha256sum </var/soak`)).trim();
}

/** Of what is on the disk, not in the guest's memory. */
export async function checksumOnDisk(vm: VirtualMachine): Promise<string> {
  return (await run(vm, "echo 3 >/proc/sys/vm/drop_caches; sha256sum </var/soak")).trim();
}

/** fio writes blocks at random, each with its checksum, and reads them all again. */
async function fio(vm: VirtualMachine, { scratchBytes }: Surroundings, words: string): Promise<string> {
  const started = performance.now();
  const job = `--name=soak --size=${scratchBytes} --rw=randwrite --bsrange=4k-128k --blockalign=4k`;
  const verify = "--verify=crc32c --verify_fatal=1 --do_verify=1";
  const { jobs } = JSON.parse(await run(vm, `fio ${job} ${verify} --output-format=json ${words}`));
  const [{ error, read, write }] = jobs;
  if (error !== 0) throw new Error(`fio ends with error ${error}`);
  if (read.io_bytes !== write.io_bytes || !(write.io_bytes >= scratchBytes))
    throw new Error(`fio wrote ${write.io_bytes} bytes of ${scratchBytes}, and read ${read.io_bytes}`);
  return perSecond(read.io_bytes + write.io_bytes, started);
}

export const checks: Readonly<Record<string, Check>> = {
  "fio on blk": (vm, given) => fio(vm, given, "--filename=/dev/vdb --direct=1 --ioengine=libaio --iodepth=16"),
  "fio on fs": (vm, given) => fio(vm, given, "--filename=/mnt/soak --ioengine=psync --invalidate=1 --unlink=1"),
  download: async (vm, { download }) => {
    const started = performance.now();
    const sum = await run(vm, `${busybox} wget -qO- http://10.0.2.2:${download.port}/ | sha256sum | cut -d" " -f1`);
    if (sum.trim() !== download.sha256)
      throw new Error(`the checksum is ${sum.trim()}, and should be ${download.sha256}`);
    return perSecond(download.bytes, started);
  },
  "iperf3 to the guest": (vm, given, amounts) => iperf(vm, given, amounts, []),
  "iperf3 from the guest": (vm, given, amounts) => iperf(vm, given, amounts, ["--reverse"]),
  connections: async (vm, { echoPort }, { connections }) => {
    const program = echoServer();
    if (program === undefined) throw new Error("there is no C compiler: apt install gcc libc6-dev");
    await vm.writeFile("/run/echo", program, { mode: 0o755 });
    await run(vm, "/run/echo 7");
    const right = await askAllAtOnce(echoPort, connections);
    if (right !== connections) throw new Error(`${right} of ${connections} answers are right`);
    return `${right} at once`;
  },
};

async function iperf(
  vm: VirtualMachine,
  { iperfPort }: Surroundings,
  { seconds }: Amounts,
  words: readonly string[],
): Promise<string> {
  await run(vm, "iperf3 --server --one-off --daemon --port 5201");
  const args = ["--client", "127.0.0.1", "--port", String(iperfPort), "--time", String(seconds), "--json", ...words];
  const report = JSON.parse(await output("iperf3", args));
  if (report.error) throw new Error(report.error);
  const { bytes, bits_per_second: rate } = report.end.sum_received;
  if (!(bytes > 0)) throw new Error("no byte has come");
  return `${(rate / 8 / million).toFixed(1)} MB/s`;
}

/** Of a program of the host. */
function output(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (bytes) => {
      text += bytes;
    });
    child.on("error", () => reject(new Error(`${program} is not there: apt install ${program}`)));
    child.on("close", () => resolve(text));
  });
}

export interface DownloadServer extends Disposable {
  readonly port: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** A server of the host that gives the same bytes to all who ask. */
export async function downloadServer(bytes: number): Promise<DownloadServer> {
  const body = new Uint8Array(bytes);
  for (let n = 0, x = 1; n < bytes; n++) {
    x = (Math.imul(x, 1103515245) + 12345) | 0;
    body[n] = x >>> 16;
  }
  const server = createServer((_, response) => void response.end(body));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    bytes,
    sha256: createHash("sha256").update(body).digest("hex"),
    [Symbol.dispose]: () => void server.close(),
  };
}
