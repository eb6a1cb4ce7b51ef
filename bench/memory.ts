/**
 * Moving a machine's memory: saving, restoring, forking and starting from a template, beside QEMU's migration to a file where it
 * has the like. The guest is the same: a stock kernel and its initramfs, booted and idle.
 *
 *   npm run bench:memory -- --rounds 5
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat, truncate, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { bundledLibrary } from "../tools/build-bundle.ts";
import { machineFiles } from "../tools/machine-setup.ts";
import { qemu } from "./contenders.ts";
import { measureForks } from "./forks.ts";
import { measureBackings } from "./memory-backings.ts";
import { MemoryGoals } from "./memory-goals.ts";
import { costOf, costText, givenBack } from "./memory-watch.ts";
import { allFiles, type Overcommitted, overcommitted, reclaimed } from "./overcommit.ts";
import { overcommitDigests } from "./overcommit-digests.ts";
import { pairsText } from "./paired.ts";
import { median, table } from "./table.ts";

/** What is measured by itself. */
const rowGroups = ["moving", "starts", "logs", "back", "reclaim", "overcommit"] as const;

const usage = `npm run bench:memory -- [options]
  --image NAME    a prepared image (default debian-12-cloud)
  --memory MIB    guest memory (default 512)
  --rounds N      of each figure (default 5)
  --seconds N     of pairs of CPU kernels, with something and without (default 150)
  --forks N       forks that are alive at the same time (default 200)
  --cpu NAME      the model that QEMU shows its guest (default qemu64)
  --rows LIST     some of ${rowGroups.join(", ")} (default all)`;

const { values } = parseArgs({
  options: {
    image: { type: "string", default: "debian-12-cloud" },
    memory: { type: "string", default: "512" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "150" },
    forks: { type: "string", default: "200" },
    cpu: { type: "string", default: "qemu64" },
    rows: { type: "string", default: rowGroups.join(",") },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit(0);
}

const { VirtualMachine } = await bundledLibrary();
type VirtualMachine = Awaited<ReturnType<(typeof VirtualMachine)["start"]>>;

interface Figures {
  /** Milliseconds. */
  readonly save: number[];
  readonly restore: number[];
  readonly sizeBytes: number[];
}

type OurFigure =
  | keyof Figures
  | "ready"
  | "exec"
  | "warm"
  | "differs"
  | "compared"
  | "live"
  | "pause"
  | "execs"
  | "forkWithDisk";

const prompt = "~ # ";
const rounds = Number(values.rounds);
const memoryMib = Number(values.memory);
const seconds = Number(values.seconds);
const goals = new MemoryGoals();
const say = (text: string): void => void process.stderr.write(`${text}\n`);
const folder = await mkdtemp(join(tmpdir(), "memvisor-bench-memory-"));
try {
  await main();
} finally {
  await rm(folder, { recursive: true });
}

async function main(): Promise<void> {
  const { kernel, initrd } = machineFiles({ image: values.image });
  const files = { kernel, initrd: initrd as string };
  const wanted = values.rows.split(",");
  const unknown = wanted.find((row) => !rowGroups.some((each) => each === row));
  if (unknown !== undefined) throw new Error(`--rows: ${unknown} is none of ${rowGroups.join(", ")}`);
  if (wanted.includes("logs")) await measureWatching();
  if (wanted.includes("back")) await measureGivenBack(files);
  if (wanted.includes("reclaim")) await measureReclaim(files);
  if (wanted.includes("overcommit")) await measureOvercommit(files);
  if (wanted.includes("moving")) await measureMoving(files);
  if (wanted.includes("starts")) measureStarts();
  console.log(String(goals));
}

async function measureMoving(files: { kernel: string; initrd: string }): Promise<void> {
  const ours = await measureOurs(files);
  const forks = ours.forks;
  const theirs = await measureQemu(files);
  const size = (bytes: readonly number[]): string => `${(median(bytes) / 2 ** 20).toFixed(1)} MiB`;
  const ms = (times: readonly number[]): string => `${median(times).toFixed(0)} ms`;
  const ratio = (a: readonly number[], b: readonly number[]): string => (median(a) / median(b)).toFixed(2);
  console.log(
    table([
      ["", "memvisor", "qemu tcg", "ratio", "goal"],
      ["save, on the disk", ms(ours.save), ms(theirs.save), ratio(ours.save, theirs.save), "0.50"],
      [
        "size of the file",
        size(ours.sizeBytes),
        size(theirs.sizeBytes),
        ratio(ours.sizeBytes, theirs.sizeBytes),
        "1.00",
      ],
      [
        "restore, to an answer at the console",
        ms(ours.restore),
        ms(theirs.restore),
        ratio(ours.restore, theirs.restore),
        "",
      ],
      ["the same, by a thread that waited for it, learnt", ms(ours.ready), "", "", "100 ms"],
      ["restore, to the first exec", ms(ours.exec), "", "", ""],
      ["the same, the second that learns", ms(ours.warm), "", "", ""],
      ["save what differs, from a base that it was", ms(ours.differs), "", "", ""],
      ["save what differs, by all checksums", ms(ours.compared), "", "", ""],
      ["save live, until it is on the disk", ms(ours.live), "", "", ""],
      ["save live, the guest still", ms(ours.pause), "", "", ""],
      ["an exec of true, of a thousand", `${median(ours.execs).toFixed(1)} ms`, "", "", ""],
      ["fork", `${median(forks.forkMs).toFixed(1)} ms`, "", "", "10 ms"],
      ["fork, with a disk and a network", ms(ours.forkWithDisk), "", "", ""],
      ["memory of an idle fork", size([forks.idleBytes]), "", "", "5 MiB"],
      ["forks that answered an exec", `${forks.answered} of ${forks.count}`, "", "", "200"],
      ["all of these execs at once, each", `${(forks.allMs / forks.count).toFixed(0)} ms`, "", "", ""],
      ["and of processor time", `${(forks.allCpuMs / forks.count).toFixed(0)} ms`, "", "", ""],
      ["idle forks together, of a processor", `${(100 * forks.idleLoad).toFixed(0)} %`, "", "", ""],
    ]),
  );
  const backings = measureBackings(join(folder, "ours"), join(folder, "pages"));
  console.log(
    table([["evicted pages of that guest", "out, a page", "in, a page", "kept of its size"], ...backings.rows]),
  );
  goals.atMost("saving: time over QEMU's", median(ours.save) / median(theirs.save), 0.5);
  goals.atMost("size of the file, over QEMU's", median(ours.sizeBytes) / median(theirs.sizeBytes), 1);
  goals.atMost("restore to an answer at the console, by a thread that waited, learnt", median(ours.ready), 100, " ms");
  goals.atMost("fork", median(forks.forkMs), 10, " ms");
  goals.atMost("memory of an idle fork", forks.idleBytes / 2 ** 20, 5, " MiB");
  goals.atLeast("forks alive that answered an exec", forks.answered, 200);
  goals.atMost("bringing in a compressed page", backings.compressedUs, 20, " us");
}

function measureStarts(): void {
  const { template, cold } = coldStarts();
  console.log(
    table([
      ["a command to its end", ""],
      ["run --exec true, from a template", `${median(template).toFixed(0)} ms`],
      ["run --cold --exec true", `${median(cold).toFixed(0)} ms`],
    ]),
  );
  goals.atMost("run --exec true, from a template", median(template), 300, " ms");
}

/** The memory of one guest, looked at. */
async function measureWatching(): Promise<void> {
  say("logs: the dirty log");
  const dirty = await costOf(values.image, seconds, (vm) => vm.memory.dirty());
  say("logs: ages");
  const ages = await costOf(values.image, seconds / 4, (vm) => vm.memory.stats());
  console.log(`dirty log harvested each 100 ms, CPU kernels: ${costText(dirty)}`);
  console.log(`ages scanned each second, and asked for each 100 ms, CPU kernels: ${costText(ages)}`);
  goals.costsAtMost("dirty log harvested each 100 ms, CPU kernels", dirty, 3);
}

async function measureGivenBack(files: { kernel: string; initrd: string }): Promise<void> {
  say("400 MiB");
  const back = 100 * (await givenBack(files));
  goals.atLeast("of 400 MiB that the guest gave up, back at the host after 5 s", back, 90, " %");
}

async function measureReclaim(files: { kernel: string; initrd: string }): Promise<void> {
  say("reclaim: two minutes of a guest that does little, then CPU kernels");
  const { frames, memory, promotions, cost } = await reclaimed(files, values.image, seconds);
  console.log(
    `a booted, half-idle guest: with what is kept of its pages --reclaim saves ${(100 * memory).toFixed(0)} % of its memory`,
  );
  console.log(`CPU kernels while cold pages are looked for and taken: ${pairsText(cost)}`);
  goals.atLeast("frames of a booted, half-idle guest that --reclaim saves", 100 * frames, 30, " %");
  goals.atMost("pages that came back in a minute, of those in use", 100 * promotions, 0.2, " %");
  goals.costsAtMost("CPU kernels while cold pages are looked for and taken", cost, 1);
}

async function measureOvercommit(files: { kernel: string; initrd: string }): Promise<void> {
  say("overcommit: digests");
  const digests = overcommitDigests(values.image, { idle: 2, busy: 1.5 });
  console.log(
    `four guests in virtual time: ${digests.idle.toFixed(2)} x idle, ${digests.busy.toFixed(2)} x busy, ${digests.out} pages went and \
${digests.back} came back; ${digests.equal} digests of memory, CPU and devices are those of guests with all their frames, ${digests.unequal} are not`,
  );
  goals.atLeast("overcommit of four idle guests in virtual time", digests.idle, 2, " x");
  goals.atLeast("overcommit of four busy guests in virtual time", digests.busy, 1.5, " x");
  goals.atMost("their digests that are wrong", digests.unequal, 0);
  for (const [name, factor, busy] of [
    ["idle", 2, false],
    ["busy", 1.5, true],
  ] as const) {
    say(`overcommit: four ${name} guests`);
    const result = await overcommitted(files, factor, busy);
    console.log(`four ${name} guests: ${overcommitText(result)}`);
    goals.atLeast(`overcommit of four ${name} guests`, result.factor, factor, " x");
    goals.atMost(`files of four ${name} guests that are not right`, allFiles - result.right, 0);
  }
}

function overcommitText({ factor, right, wrong, back }: Overcommitted): string {
  return `${factor.toFixed(2)} x, ${right} files right, ${wrong} wrong, ${back} pages came back`;
}

async function measureOurs(files: { kernel: string; initrd: string }) {
  const result = {
    save: [],
    restore: [],
    sizeBytes: [],
    ready: [],
    exec: [],
    warm: [],
    differs: [],
    compared: [],
    live: [],
    pause: [],
    execs: [],
    forkWithDisk: [],
  } as Record<OurFigure, number[]>;
  await using vm = await VirtualMachine.start({ ...files, memoryBytes: memoryMib << 20 });
  await vm.exec("true");
  const path = join(folder, "ours");
  // It was none of the snapshots that it is saved against.
  const [stranger] = await vm.fork();
  for (let round = 1; round <= rounds; round++) {
    say(`memvisor, round ${round}`);
    const saved = await timed(result.save, () => vm.snapshot(path));
    result.sizeBytes.push(saved.sizeBytes);
    result.differs.push((await vm.snapshot(join(folder, "differs"), { base: path })).pauseMs);
    result.compared.push((await stranger.snapshot(join(folder, "differs"), { base: path })).pauseMs);
    const toAnswer = async (learn: boolean): Promise<VirtualMachine> => {
      const copy = await VirtualMachine.restore(path, { learn });
      const answered = new Promise<void>((resolve) => void copy.console.onOutput(() => resolve()));
      await copy.console.write(Uint8Array.of(0x0d));
      await answered;
      return copy;
    };
    await timed(result.restore, () => toAnswer(false)).then((copy) => copy.stop());
    await timed(result.exec, async () => {
      const copy = await VirtualMachine.restore(path);
      await copy.exec("true");
      return copy;
    }).then((copy) => copy.stop());
    // The first one learns.
    for (const times of [[], result.warm]) {
      await timed(times, async () => {
        const copy = await VirtualMachine.restore(path, { learn: true });
        await copy.exec("true");
        return copy;
      }).then((copy) => copy.stop());
    }
    VirtualMachine.prepare();
    await sleep(1000);
    await timed(result.ready, () => toAnswer(true)).then((copy) => copy.stop());
    result.pause.push((await timed(result.live, () => vm.snapshot(join(folder, "live"), { live: true }))).pauseMs);
  }
  await stranger.stop();
  for (let n = 0; n < 1000; n++) await timed(result.execs, () => vm.exec("/bin/true", []));
  await measureForkWithDisk(files, result.forkWithDisk);
  say(`memvisor, ${values.forks} forks`);
  return { ...result, forks: await measureForks(vm, Number(values.forks)) };
}

async function measureForkWithDisk(files: { kernel: string; initrd: string }, times: number[]): Promise<void> {
  const file = join(folder, "disk");
  await writeFile(file, "");
  await truncate(file, 16 << 20);
  await using vm = await VirtualMachine.start({ ...files, disks: [{ file, overlay: true }], network: {} });
  await vm.exec("true");
  for (let round = 0; round < rounds; round++) {
    const [fork] = await timed(times, () => vm.fork());
    await fork.stop();
  }
}

async function timed<T>(times: number[], work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  const result = await work();
  times.push(performance.now() - begun);
  return result;
}

async function measureQemu(files: { kernel: string; initrd: string }): Promise<Figures> {
  const figures: Figures = { save: [], restore: [], sizeBytes: [] };
  const path = join(folder, "theirs");
  for (let round = 1; round <= rounds; round++) {
    say(`qemu, round ${round}`);
    const booted = startQemu(files, `booted${round}`);
    await booted.shows(prompt);
    await timed(figures.save, () => booted.save(path));
    booted.kill();
    figures.sizeBytes.push((await stat(path)).size);
    await timed(figures.restore, async () => {
      const restored = startQemu(files, `restored${round}`, ["-incoming", `exec:cat ${path}`]);
      await restored.answers();
      return restored;
    }).then((restored) => restored.kill());
  }
  return figures;
}

/** A QEMU with its console at our hand, and its monitor (QMP) at a socket. */
function startQemu(files: { kernel: string; initrd: string }, name: string, more: readonly string[] = []) {
  const machine = { ...files, image: values.image, memoryMib, processors: 1, append: "" };
  const socket = join(folder, `${name}.socket`);
  const { command, args } = qemu("pc", values.cpu, machine);
  const child = spawn(command, [...args, "-qmp", `unix:${socket},server=on,wait=off`, ...more], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let shown = "";
  child.stdout.on("data", (bytes: Buffer) => {
    shown = (shown + bytes.toString()).slice(-4096);
  });
  const shows = async (text: string): Promise<void> => {
    while (!shown.includes(text)) await once(child.stdout, "data");
  };
  return {
    shows,
    /** Types Enter until something comes back: while the machine comes in, nobody listens. */
    async answers(): Promise<void> {
      while (shown === "") {
        child.stdin.write("\r");
        await sleep(5);
      }
    },
    save: (path: string) => migrate(socket, path),
    kill: () => void child.kill("SIGKILL"),
  };
}

/** Writes the machine to a file, by QMP; the file is on the disk then, as ours is. The guest, which idles, runs till the end. */
async function migrate(socket: string, path: string): Promise<void> {
  const connection = createConnection(socket);
  const replies = createInterface(connection)[Symbol.asyncIterator]();
  const ask = async (execute: string, argument: object = {}): Promise<{ status?: string }> => {
    connection.write(`${JSON.stringify({ execute, arguments: argument })}\n`);
    for (;;) {
      const { value } = await replies.next();
      const reply = JSON.parse(value as string) as { return?: { status?: string }; error?: { desc: string } };
      if (reply.error) throw new Error(`qemu: ${execute}: ${reply.error.desc}`);
      if (reply.return) return reply.return;
    }
  };
  await ask("qmp_capabilities");
  await ask("migrate-set-parameters", { "max-bandwidth": 2 ** 40 });
  await ask("migrate", { uri: `exec:cat >${path} && sync ${path}` });
  for (;;) {
    const { status } = await ask("query-migrate");
    if (status === "completed") break;
    if (status === "failed") throw new Error("qemu: the migration failed");
    await sleep(1);
  }
  connection.destroy();
}

/** The command as a user calls it, from its start to its end; the first of the first kind makes the template. */
function coldStarts(): { template: number[]; cold: number[] } {
  const launcher = fileURLToPath(new URL("../bin/memvisor.js", import.meta.url));
  const time = (...words: string[]): number => {
    const begun = performance.now();
    const args = [launcher, "run", values.image, "--memory", `${memoryMib}M`, "--exec", "true", ...words];
    const { status } = spawnSync(process.execPath, args, { stdio: "ignore" });
    if (status !== 0) throw new Error(`memvisor run ended with ${status}`);
    return performance.now() - begun;
  };
  time();
  const template: number[] = [];
  const cold: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    say(`starts, round ${round}`);
    template.push(time());
    cold.push(time("--cold"));
  }
  return { template, cold };
}
