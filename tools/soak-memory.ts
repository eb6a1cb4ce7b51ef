/**
 * Looks for what moving a machine's memory could break: snapshots taken at random instants of a guest that writes checksummed
 * files, to its memory (a tmpfs) and to its disk; each is restored and verified. One in three is of a machine that runs on meanwhile, one in
 * three of what differs from the one before. From time to time whoever writes one is killed.
 *
 *   npm run soak:memory -- --times 1000
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { median } from "../bench/table.ts";
import { CanaryFamily } from "../test/canaries.ts";
import { tamper } from "../test/tampering.ts";
import { bundledLibrary } from "./build-bundle.ts";
import { virtualMachine } from "./machine-setup.ts";
import { soakBackings } from "./soak/backings.ts";
import { soakCanaries } from "./soak/canaries.ts";
import { judgeByCopy, judgeKnownStores } from "./soak/dirty-log.ts";

const { VirtualMachine, openImage } = await bundledLibrary();
type VirtualMachine = Awaited<ReturnType<(typeof VirtualMachine)["start"]>>;

const usage = `npm run soak:memory -- [options]
  --times N       how many snapshots are taken, restored and verified (default 100)
  --kills N       savers that are killed on the way; the snapshot of before must be whole (default 10)
  --image NAME    default debian-12-cloud
  --cpus N        vCPUs (default 1)
  --stores N      of a guest whose stores are known, against the dirty log (default 100000000)
  --boots N       boots, with one vCPU and with two on threads, of which a copy is kept by the dirty log (default 1)
  --recyclings N  times that frames go from one machine to another, each of which looks for the others' bytes (default 500)
  --seed N        of the instants (default 1)
  --canaries N    look for N canaries of a guest in all that leaves its process instead, encrypted and not; and change and
                  replay N pages of what is encrypted
  --backings      run stress-ng in a guest on each memory backing instead, its pages evicted at random
  --seconds N     how long on each (default 20)`;

const { values } = parseArgs({
  options: {
    times: { type: "string", default: "100" },
    kills: { type: "string", default: "10" },
    image: { type: "string", default: "debian-12-cloud" },
    cpus: { type: "string", default: "1" },
    stores: { type: "string", default: "100000000" },
    boots: { type: "string", default: "1" },
    recyclings: { type: "string", default: "500" },
    seed: { type: "string", default: "1" },
    backings: { type: "boolean" },
    seconds: { type: "string", default: "20" },
    canaries: { type: "string" },
    /** Of this tool itself: restores the file named and saves it again, until it is killed. */
    saver: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

/** Files whose names are their checksums: renamed when whole, so that what has such a name is right at any instant. */
const writer = `echo $$ >/tmp/writer; mke2fs /dev/vda >/dev/null 2>&1; modprobe ext4; mkdir -p /tmp/w /mnt/w
mount -t ext4 /dev/vda /mnt/w; n=0
while :; do
  n=$((n+1)); [ $((n%2)) = 0 ] && cd /tmp/w || cd /mnt/w
  head -c $((n * 7919 % 100000)) /dev/urandom >.new
  mv .new $n.$(md5sum <.new | cut -c1-32)
  rm -f $((n-12)).*
done`;
/** The writer keeps twelve, and one may be on its way. */
const fewestFiles = 10;
/** Between snapshots the writer waits, so that the processor is the copies'; it does not wait when one is taken. */
const goOn = "kill -CONT $(cat /tmp/writer)";
const wait = "kill -STOP $(cat /tmp/writer)";
/** Says which files are wrong and how many are right; what is read of the disk is read anew. */
const verifier = `kill -KILL $(cat /tmp/writer); echo 1 >/proc/sys/vm/drop_caches
md5sum /tmp/w/*.* /mnt/w/*.* | { good=0; while read -r sum file; do
  [ $sum = \${file##*.} ] && good=$((good+1)) || echo "wrong: $file is $sum"
done; echo good $good; }`;

let random = Number(values.seed);
/** A number from 0 to 1 (xorshift32). */
function next(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) / 2 ** 32;
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const say = (text: string): void => void process.stderr.write(`${text}\n`);

if (values.help) console.log(usage);
else if (values.saver !== undefined) await saveForEver(values.saver);
else process.exitCode = (await chosen()) === 0 ? 0 : 1;

function chosen(): Promise<number> {
  if (values.canaries !== undefined) return inFolder((folder) => ofCanaries(Number(values.canaries), folder));
  return values.backings ? inFolder(onBackings) : soak();
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "memvisor-soak-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function ofCanaries(count: number, folder: string): Promise<number> {
  const { noticed, whole, pages } = tamper(count, (bound) => Math.floor(next() * bound));
  console.log(
    `${count} pages under an encrypted object changed, exchanged, replayed or taken away: ${noticed} noticed (goal: all)`,
  );
  const missed = count - noticed + pages - whole;
  return missed + (await soakCanaries({ image: values.image, count, folder, say }));
}

function onBackings(folder: string): Promise<number> {
  const { image, cpus, seed, seconds } = values;
  return soakBackings({
    ...{ image, folder, say },
    ...{ cpus: Number(cpus), seed: Number(seed), seconds: Number(seconds) },
  });
}

/** How many went wrong. */
async function soak(): Promise<number> {
  const logged = (await knownStores()) + bootCopies() + lookForCanaries();
  if (Number(values.times) === 0 && Number(values.kills) === 0) return logged;
  return inFolder(async (folder) => {
    await using vm = await bootImage(folder);
    await vm.spawn("sh", ["-c", writer]);
    // Until there are some.
    await vm.exec("while [ $(ls /mnt/w /tmp/w | grep -c '\\.') -lt 12 ]; do sleep 0.1; done");
    const wrong = await snapshots(vm, folder);
    const torn = await kills(vm, folder);
    return logged + wrong + torn;
  });
}

async function knownStores(): Promise<number> {
  const wanted = Number(values.stores);
  if (wanted === 0) return 0;
  const { stores, harvests, pages, missed, spurious } = await judgeKnownStores(wanted, next);
  console.log(
    `dirty log, ${stores} known stores: ${harvests} harvests of ${pages} pages, ${missed} missed, ${spurious} spurious`,
  );
  return missed + spurious;
}

/** Of one machine, from inside all others, after every kind of recycling. */
function lookForCanaries(): number {
  const wanted = Number(values.recyclings);
  if (wanted === 0) return 0;
  const family = new CanaryFamily(next);
  for (let n = 0; n < wanted; n++) family.step();
  for (const line of family.foreign) say(line);
  const kinds = Object.entries(family.counts).map(([kind, count]) => `${count} x ${kind}`);
  console.log(`canaries: ${family.foreign.length} found in ${family.looked} pages looked at; ${kinds.join(", ")}`);
  return family.foreign.length + kinds.filter((kind) => kind.startsWith("0 ")).length;
}

function bootCopies(): number {
  let wrong = 0;
  for (let n = 0; n < Number(values.boots); n++) {
    for (const cpus of [1, 2]) {
      const config = virtualMachine({ image: values.image, memory: "256", cpus: String(cpus), seed: String(n + 1) });
      const { harvests, pages, missed } = judgeByCopy(
        { ...config, clock: cpus === 1 ? "virtual" : "wall", engine: {} },
        next,
      );
      console.log(`dirty log, a boot with ${cpus} vCPUs: ${harvests} harvests of ${pages} pages, ${missed} missed`);
      wrong += missed;
    }
  }
  return wrong;
}

async function bootImage(folder: string): Promise<VirtualMachine> {
  const image = await openImage(values.image);
  const disk = join(folder, "disk");
  await writeFile(disk, "");
  await truncate(disk, 32 << 20);
  const vm = await VirtualMachine.start({
    kernel: image.kernelPath,
    initrd: image.initrdPath,
    cpus: Number(values.cpus),
    disks: [{ file: disk, overlay: true }],
  });
  await vm.exec("true");
  return vm;
}

async function snapshots(vm: VirtualMachine, folder: string): Promise<number> {
  const times: { save: number; pause: number; live: number; restore: number }[] = [];
  let wrong = 0;
  for (let n = 1; n <= Number(values.times); n++) {
    await vm.exec(goOn);
    await pause(next() * 100);
    // Three in turn, each kind over a file of its own name.
    const kind = n % 3;
    const path = join(folder, `${kind}.snapshot`);
    const options = kind === 2 ? { live: true } : kind === 0 ? { base: join(folder, "2.snapshot") } : {};
    const begun = performance.now();
    const saved = await vm.snapshot(path, options);
    const savedAt = performance.now();
    await vm.exec(wait);
    const verdict = await verify(path, n % 4 !== 0);
    const isLive = kind === 2;
    times.push({
      save: kind === 1 ? savedAt - begun : Number.NaN,
      pause: isLive ? saved.pauseMs : Number.NaN,
      live: isLive ? savedAt - begun : Number.NaN,
      restore: verdict.restoreMs,
    });
    if (!verdict.good) {
      wrong++;
      say(`snapshot ${n} (${["differential", "full", "live"][kind]}): ${verdict.text}`);
    }
    if (n % 10 === 0) say(`${n} of ${values.times} snapshots, ${wrong} wrong`);
  }
  const of = (each: "save" | "pause" | "live" | "restore"): string =>
    median(times.map((time) => time[each]).filter((ms) => !Number.isNaN(ms))).toFixed(0);
  console.log(`${times.length} snapshots: ${wrong} wrong; medians: full ones saved in ${of("save")} ms, live ones in ${of("live")} ms, \
with the guest still for ${of("pause")} ms; restored and verified in ${of("restore")} ms`);
  return wrong;
}

async function verify(
  path: string,
  interpreterOnly: boolean,
): Promise<{ good: boolean; text: string; restoreMs: number }> {
  const begun = performance.now();
  await using copy = await VirtualMachine.restore(path, { timeoutMs: 120_000, interpreterOnly });
  const text = (await copy.exec(verifier)).stdout.text().trim();
  const restoreMs = performance.now() - begun;
  const good = Number(/^good (\d+)$/.exec(text)?.[1] ?? 0);
  return { good: good >= fewestFiles, text, restoreMs };
}

/** A process that saves over and over to one file is killed at random instants: what lies there is always whole. */
async function kills(vm: VirtualMachine, folder: string): Promise<number> {
  const path = join(folder, "b.snapshot");
  await vm.snapshot(path);
  let torn = 0;
  let midway = 0;
  for (let n = 1; n <= Number(values.kills); n++) {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--saver", path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    await pause(next() * 1000);
    child.kill("SIGKILL");
    await once(child, "exit");
    const parts = (await readdir(folder)).filter((name) => name.endsWith(".partial"));
    if (parts.length > 0) midway++;
    for (const part of parts) await rm(join(folder, part));
    const verdict = await verify(path, true);
    if (n % 10 === 0) say(`${n} of ${values.kills} savers killed, ${midway} while they wrote, ${torn} torn`);
    if (verdict.good) continue;
    torn++;
    say(`saver ${n} killed: ${verdict.text}`);
  }
  console.log(`${values.kills} savers killed, ${midway} of them while they wrote: ${torn} snapshots torn`);
  return torn;
}

async function saveForEver(path: string): Promise<void> {
  const vm = await VirtualMachine.restore(path);
  await vm.exec(goOn);
  console.log("saving");
  for (;;) await vm.snapshot(path);
}
