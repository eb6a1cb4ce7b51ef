/** A machine as people use it: commands, files and programs of a real Debian. Skipped where the images are not prepared. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openImage, VirtualMachine } from "../src/index.ts";

const inMemory = await openImage("debian-12-cloud").catch(() => undefined);
const root = await openImage("debian-12").catch(() => undefined);
const hasPython = root?.diskPath !== undefined && root.extras.includes("python3");

test.skipIf(!inMemory)("commands and files of a guest by the library", { timeout: 180_000 }, async () => {
  await using vm = await VirtualMachine.start({ image: "debian-12-cloud" });
  const [apart, shell, missing] = await Promise.all([
    vm.exec("sh", ["-c", 'cat; echo "$1 $A" >&2; exit 7', "x", "a  b"], { stdin: "in", env: { A: "1" } }),
    vm.exec("echo $((6 * 7)) | tr 2 3"),
    vm.exec("nothing", []).catch((error) => error.code),
  ]);
  expect([apart.status, `${apart.stdout}`, `${apart.stderr}`]).toEqual([7, "in", "a  b 1\n"]);
  expect([`${shell.stdout}`, missing]).toEqual(["43\n", "not-found"]);

  const bytes = randomBytes(300_000);
  await vm.writeFile("/tmp/file", bytes, { mode: 0o600 });
  expect(Buffer.compare(await vm.readFile("/tmp/file"), bytes)).toBe(0);
  await expect(vm.readFile("/nowhere")).rejects.toMatchObject({ code: "file" });
  const folder = mkdtempSync(join(tmpdir(), "memvisor-sandbox-"));
  writeFileSync(join(folder, "one"), "1");
  await vm.copyIn(folder, "/tmp/copied");
  await vm.exec("mv /tmp/copied/one /tmp/copied/two");
  await vm.copyOut("/tmp/copied", join(folder, "back"));
  expect(readFileSync(join(folder, "back/two"), "utf8")).toBe("1");
  rmSync(folder, { recursive: true });

  const slow = vm.exec("sleep", ["100"], { timeoutMs: 200 });
  await expect(slow).rejects.toMatchObject({ code: "timeout" });
  vm.powerOff();
  expect((await vm.exited).reason).toBe("poweroff");
});

const python = `
import hashlib, json, sqlite3, sys
db = sqlite3.connect(":memory:")
db.execute("create table t (n integer, square integer)")
db.executemany("insert into t values (?, ?)", [(n, n * n) for n in range(1000)])
total = db.execute("select sum(square) from t where n % 7 = 0").fetchone()[0]
print(json.dumps({"total": total, "input": hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:8]}))
`;

const openssl = `set -e
cd $(mktemp -d)
head -c 100000 /dev/urandom >plain
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in plain -out secret
openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -in secret | cmp - plain
openssl genpkey -algorithm ed25519 -out key
openssl pkey -in key -pubout -out public
openssl pkeyutl -sign -inkey key -rawin -in plain -out signature
openssl pkeyutl -verify -pubin -inkey public -rawin -in plain -sigfile signature`;

test.skipIf(!hasPython)("programs of a Debian on a root disk", { timeout: 240_000 }, async () => {
  await using vm = await VirtualMachine.start({ image: "debian-12" });
  const result = await vm.exec("python3", ["-c", python], { stdin: "abc" });
  expect([result.stderr.text(), JSON.parse(result.stdout.text())]).toEqual([
    "",
    { total: 47_262_215, input: "ba7816bf" },
  ]);
  const { stdout } = await vm.exec("sqlite3", [
    ":memory:",
    "select count(*), sum(value) from generate_series(1, 1000)",
  ]);
  expect(stdout.text()).toBe("1000|500500\n");
  const signed = await vm.exec(openssl);
  expect([signed.status, signed.stdout.text()]).toEqual([0, "Signature Verified Successfully\n"]);
  // What one machine writes to its root is gone with it.
  await vm.writeFile("/etc/mark", "x");
  vm.powerOff();
  await vm.exited;
  await using again = await VirtualMachine.start({ image: "debian-12" });
  expect((await again.exec("test", ["-e", "/etc/mark"])).status).toBe(1);
});
