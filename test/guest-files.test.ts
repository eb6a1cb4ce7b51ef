/** A directory of the host in a stock guest: what each side does is what the other sees. Skipped without the image. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openImage } from "../src/host/images/index.ts";
import { VirtualMachine } from "../src/index.ts";
import { patienceMs } from "./patience.ts";

const image = await openImage("debian-12-cloud").catch(() => undefined);

/** A tree as lines: path, mode, time, size and a sum of the contents. */
function describeTree(folder: string, path = ""): string[] {
  return readdirSync(join(folder, path))
    .sort()
    .flatMap((name) => {
      const at = join(path, name);
      const stats = lstatSync(join(folder, at));
      const mode = (stats.mode & 0o7777).toString(8);
      if (stats.isDirectory()) return [`${at}/ ${mode}`, ...describeTree(folder, at)];
      if (stats.isSymbolicLink()) return [`${at} -> ${readlinkSync(join(folder, at))}`];
      const seconds = Math.floor(stats.mtimeMs / 1000);
      return [`${at} ${mode} ${seconds} ${stats.size} ${checksum(readFileSync(join(folder, at)))}`];
    });
}

function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (Math.imul(sum, 31) + byte) >>> 0;
  return sum;
}

/** Commands that any shell runs alike, on four names: directories, files, links, moves. */
function randomCommands(seed: number, count: number): string {
  let state = seed;
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 10) % below;
  };
  const path = (): string => Array.from({ length: 1 + random(3) }, () => "abcd"[random(4)]).join("/");
  const lines = Array.from({ length: count }, (_, n) => {
    const [one, two] = [path(), path()];
    return [
      `mkdir -p ${one}`,
      `[ -L ${one} ] || [ -d ${one} ] || printf 'line %s\\n' ${n} >>${one}`,
      `[ -L ${one} ] || [ -d ${one} ] || printf 'new %s\\n' ${n} >${one}`,
      `[ -e ${two} ] || [ -L ${two} ] || mv ${one} ${two}`,
      `[ -d ${one} ] || [ -e ${two} ] || ln ${one} ${two}`,
      `[ -e ${two} ] || [ -L ${two} ] || ln -s target-${n} ${two}`,
      `[ -d ${one} ] && [ ! -L ${one} ] || rm -f ${one}`,
      `rmdir ${one}`,
      `[ -L ${one} ] || chmod ${["600", "755", "640"][n % 3]} ${one}`,
      `[ -L ${one} ] || touch -d '2020-01-0${1 + (n % 9)} 00:00:00' ${one}`,
      `[ -L ${one} ] || [ -d ${one} ] || dd if=/dev/zero of=${one} bs=100 count=1 seek=${n % 20} conv=notrunc`,
    ][random(11)];
  });
  return `export TZ=UTC; umask 022; ${lines.map((line) => `{ ${line}; } 2>/dev/null`).join("\n")}`;
}

describe.skipIf(image === undefined)("debian-12-cloud", () => {
  let vm: VirtualMachine;
  let folder = "";

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "memvisor-guest-files-"));
    for (const name of ["rw", "ro"]) mkdirSync(join(folder, name));
    writeFileSync(join(folder, "ro", "file"), "read me");
    vm = await VirtualMachine.start({
      kernel: image?.unpacked?.vmlinuxPath ?? image?.kernelPath ?? "",
      ...(image?.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
      initrd: image?.initrdPath ?? "",
      commandLine: "console=ttyS0 quiet panic=-1 memvisor.exec=1",
      memoryBytes: 256 << 20,
      shares: [
        { hostPath: join(folder, "rw"), guestPath: "/mnt" },
        { hostPath: join(folder, "ro"), guestPath: "/srv/ro", readOnly: true },
      ],
      timeoutMs: 3 * patienceMs,
    });
    await shell("true");
  }, patienceMs);
  afterAll(async () => {
    await vm?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function shell(command: string): Promise<string> {
    let output = "";
    const take = (bytes: Uint8Array): void => void (output += new TextDecoder().decode(bytes));
    const { status } = await vm.exec(command, { onStdout: take, onStderr: take });
    return `${output}status ${status}`;
  }

  test("the guest's init has mounted both, one of them for reading only", async () => {
    const text = await shell("grep virtiofs /proc/mounts | cut -d' ' -f1-3; cat /srv/ro/file; echo x >/srv/ro/new");
    expect(text).toContain("share0 /mnt virtiofs\nshare1 /srv/ro virtiofs\nread me");
    expect(text).toContain("Read-only file system");
    await shell("mount -o remount,rw /srv/ro");
    expect(await shell("echo x >/srv/ro/file")).toContain("Read-only file system");
    expect(readFileSync(join(folder, "ro", "file"), "utf8")).toBe("read me");
  });

  test(
    "a tree goes in and out through tar with its bytes, modes and times",
    async () => {
      const from = join(folder, "rw", "from");
      for (let n = 0; n < 40; n++) {
        const at = join(from, `d${n % 7}`, `e${n % 3}`);
        mkdirSync(at, { recursive: true });
        writeFileSync(join(at, `file ${n}`), Buffer.alloc(n * 977, `${n} bytes `), { mode: n % 2 ? 0o640 : 0o755 });
        symlinkSync(`file ${n}`, join(at, `link-${n}`));
      }
      writeFileSync(join(from, "big"), Buffer.alloc(5_000_001, "0123456789abcdef!"));
      const command =
        "cd /mnt && mkdir to /tmp/here && tar -C from -c . | tar -C /tmp/here -x && tar -C /tmp/here -c . | tar -C to -x";
      expect(await shell(command)).toBe("status 0");
      expect(describeTree(join(folder, "rw", "to"))).toEqual(describeTree(from));
      expect(await shell("rm -r /mnt/from /mnt/to /tmp/here; ls /mnt")).toBe("status 0");
    },
    patienceMs,
  );

  test(
    "random commands leave the tree that they leave on the host",
    async () => {
      const beside = join(folder, "beside");
      const commands = randomCommands(7, 250);
      mkdirSync(beside);
      execFileSync("sh", ["-c", `${commands}\ntrue`], { cwd: beside });
      expect(await shell(`mkdir /mnt/random && cd /mnt/random && { ${commands}\n}; true`)).toBe("status 0");
      const undated = (lines: string[]): string[] =>
        lines.map((line) =>
          line.replace(/ (1[67]\d{8}|[2-9]\d{9}) /, (time) => (time < " 1600000000" ? time : " now ")),
        );
      const expected = undated(describeTree(beside));
      expect(undated(describeTree(join(folder, "rw", "random")))).toEqual(expected);
      expect(expected.length).toBeGreaterThan(5);
    },
    patienceMs,
  );

  test("a file that is removed or renamed while it is open goes on", async () => {
    const text = await shell(
      "cd /mnt; exec 5>open 6<open; echo one >&5; rm open; echo two >&5; cat <&6; ls; echo x >old; exec 7<old; mv old new; cat <&7",
    );
    expect(text).toBe("one\ntwo\nrandom\nx\nstatus 0");
    expect([existsSync(join(folder, "rw", "open")), existsSync(join(folder, "rw", "new"))]).toEqual([false, true]);
  });

  test("what the host changes is seen by the guest a second later, or when it opens the file", async () => {
    const path = join(folder, "rw", "changing");
    writeFileSync(path, "first");
    expect(await shell("cat /mnt/changing")).toBe("firststatus 0");
    writeFileSync(path, "second one");
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await shell("cat /mnt/changing; wc -c </mnt/changing")).toBe("second one10\nstatus 0");
    rmSync(path);
    expect(await shell("sleep 1.1; cat /mnt/changing")).toContain("No such file");
  });

  test(
    "a machine that goes on from a snapshot has its share, and what is open in it",
    async () => {
      // A program writes on to a file that it has open.
      const ticking = "mkdir /mnt/on; cd /mnt/on; (while sleep 0.1; do echo tick >&5; done) 5>log >/dev/null 2>&1 &";
      await shell(`${ticking} until [ -s log ]; do sleep 0.1; done`);
      const path = join(folder, "machine.snapshot");
      await vm.snapshot(path);
      await vm.stop();
      vm = await VirtualMachine.restore(path, { timeoutMs: patienceMs });
      const ticks = (): number => readFileSync(join(folder, "rw", "on", "log"), "utf8").length;
      const before = ticks();
      const text = await shell("ls /mnt/on; cat /srv/ro/file; sleep 1; echo after >/mnt/on/after");
      expect(text).toBe("log\nread mestatus 0");
      expect(ticks()).toBeGreaterThan(before);
      expect(readFileSync(join(folder, "rw", "on", "after"), "utf8")).toBe("after\n");
      await shell("rm -r /mnt/on");
    },
    2 * patienceMs,
  );

  test(
    "five hundred files are made, listed and removed",
    async () => {
      const make = "mkdir /mnt/many; cd /mnt/many; for n in $(seq 500); do echo $n >f$n; done; ls | wc -l";
      expect(await shell(make)).toBe("500\nstatus 0");
      expect(readFileSync(join(folder, "rw", "many", "f123"), "utf8")).toBe("123\n");
      expect(await shell("cat /mnt/many/* | wc -l; rm -r /mnt/many; [ -e /mnt/many ]; echo $?")).toBe(
        "500\n1\nstatus 0",
      );
    },
    patienceMs,
  );
});

test("a directory that is not there refuses the machine by name", async () => {
  if (image === undefined) return;
  const options = {
    kernel: image.unpacked?.vmlinuxPath ?? image.kernelPath,
    ...(image.unpacked && { setupHeader: image.unpacked.setupHeaderPath }),
    shares: [{ hostPath: "/no/such/place", guestPath: "/mnt" }],
  };
  await expect(VirtualMachine.start(options)).rejects.toThrow("share /no/such/place: there is no such directory");
  const wrong = { ...options, shares: [{ hostPath: "/tmp", guestPath: "mnt" }] };
  await expect(VirtualMachine.start(wrong)).rejects.toThrow('"mnt" is no place in the guest');
});
