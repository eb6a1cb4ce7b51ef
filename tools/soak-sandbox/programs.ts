/** Python and SQLite in a guest, on its root disk. */
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { VirtualMachine } from "#host";
import { run } from "../soak/run-in-guest.ts";

/** What Python's own tests are of: numbers, text, structures, processes, and libraries in C; of those that take seconds, not minutes. */
const pythonTests = [
  ...[
    "int",
    "float",
    "complex",
    "math",
    "cmath",
    "struct",
    "random",
    "re",
    "json",
    "dict",
    "set",
    "sort",
    "generators",
  ],
  ...["hashlib", "hmac", "zlib", "bz2", "lzma", "sqlite3", "mmap", "pty", "fork1", "wait4", "epoll"],
].map((name) => `test_${name}`);
const pythonMinutes = 20;

/** Python's own tests, as Debian packages them. */
export async function pythonsOwnTests(vm: VirtualMachine): Promise<string> {
  const { status, stdout, stderr } = await vm.exec("python3", ["-m", "test", ...pythonTests], {
    timeoutMs: pythonMinutes * 60_000,
    env: { LANG: "C.UTF-8" },
    cwd: "/tmp",
  });
  const text = stdout.text();
  const lines = `${text}\n${stderr.text()}`.trim().split("\n");
  if (status !== 0) throw new Error(`status ${status}: ${lines.slice(-12).join(" / ")}`);
  return /All \d+ tests OK|\d+ tests OK/.exec(text)?.[0] ?? "ended well";
}

/** A chaotic sequence (each step of which must round as the host's does), long integers, text, and a chain of digests. */
const python = `
import hashlib, sys
x, lines = 0.3, []
for n in range(20000):
    x = 3.99 * x * (1 - x)
    if n % 100 == 0: lines.append(repr(x))
a, b = 0, 1
for n in range(3000): a, b = b, a + b
lines.append(str(a))
digest = b""
for line in sys.stdin: digest = hashlib.sha256(digest + line.upper().encode()).digest()
lines.append(digest.hex())
print("\\n".join(lines))
`;

export async function pythonProgram(vm: VirtualMachine): Promise<string> {
  const words = Array.from({ length: 5000 }, (_, n) => `zeile ${n} äöü ∑ ${n * n}`);
  const lines: string[] = [];
  for (let x = 0.3, n = 0; n < 20_000; n++) {
    x = 3.99 * x * (1 - x);
    if (n % 100 === 0) lines.push(String(x));
  }
  let [a, b] = [0n, 1n];
  for (let n = 0; n < 3000; n++) [a, b] = [b, a + b];
  lines.push(String(a));
  let digest = Buffer.alloc(0);
  for (const word of words) {
    digest = createHash("sha256").update(digest).update(`${word.toUpperCase()}\n`).digest();
  }
  lines.push(digest.toString("hex"));
  await vm.writeFile("/tmp/program.py", python);
  const printed = (await run(vm, "PYTHONUTF8=1 python3 /tmp/program.py", `${words.join("\n")}\n`)).trim().split("\n");
  const wrong = lines.findIndex((line, n) => line !== printed[n]);
  if (wrong >= 0) throw new Error(`line ${wrong + 1} is ${printed[wrong]}, and should be ${lines[wrong]}`);
  return `${lines.length} lines equal`;
}

/** Tables, indices, triggers, a rollback, window functions, JSON: made in one process, asked in another. */
const making = `
pragma journal_mode = wal;
create table item (id integer primary key, kind integer not null, value integer not null, note text);
create table seen (id integer, was integer);
create trigger changed after update on item begin insert into seen values (old.id, old.value); end;
begin;
with recursive n (id, value) as (select 1, 12345 union all
  select id + 1, (value * 1103515245 + 12345) & 2147483647 from n where id < 20000)
insert into item select id, value % 17, value, 'note ' || hex(value) from n;
commit;
create index by_kind on item (kind, value);
begin; delete from item where kind < 9; rollback;
update item set value = value + 1 where kind = 3;
delete from item where id % 10 = 7;
vacuum;
`;
const asking = [
  "pragma integrity_check",
  "select count(*), sum(value), min(note), max(note) from item",
  "select kind, count(*), sum(value) from item group by kind order by kind",
  "select count(*), sum(was) from seen",
  "select id, rank() over (partition by kind order by value desc) as place from item where kind = 5 order by id limit 50",
  "select json_group_array(json_object('id', id, 'note', note)) from (select * from item order by value limit 20)",
  "select a.id, b.id from item a join item b on b.value = a.value + 1 order by a.id, b.id limit 100",
];

export async function sqlite(vm: VirtualMachine): Promise<string> {
  using host = new DatabaseSync(":memory:");
  host.exec(making);
  const expected = asking.flatMap((question) =>
    host
      .prepare(question)
      .all()
      .map((row) => Object.values(row).join("|")),
  );
  await run(vm, "rm -f /var/soak.db*; sqlite3 -bail /var/soak.db", making);
  const printed = (await run(vm, "sqlite3 -bail /var/soak.db", `${asking.join(";\n")};\n`)).trim().split("\n");
  const wrong = expected.findIndex((line, n) => line !== printed[n]);
  if (wrong >= 0) throw new Error(`line ${wrong + 1} is ${printed[wrong]}, and should be ${expected[wrong]}`);
  return `${expected.length} rows equal`;
}
