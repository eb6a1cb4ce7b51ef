/** OpenSSL in a guest: its answers beside those of the host's own (Node's crypto), and the self-test of its FIPS provider. */
import {
  createCipheriv,
  createHash,
  createPublicKey,
  generateKeyPairSync,
  getCipherInfo,
  getHashes,
  hkdfSync,
  pbkdf2Sync,
  scryptSync,
  sign,
  verify,
} from "node:crypto";
import type { VirtualMachine } from "#host";
import { run } from "../soak/run-in-guest.ts";

/** Around the blocks of digests and ciphers, and a long one. */
const lengths = [0, 1, 55, 56, 64, 111, 112, 129, 100_000];
/** A process of its own for each. */
const cipherLengths = [1, 100_000];
const inputOf = (length: number): Buffer => Buffer.from(Array.from({ length }, (_, n) => (n * 167 + (n >> 8)) & 0xff));
const secret = inputOf(64);

/** Each digest and cipher that both ends have, and functions that derive keys: what the guest answers is what the host does. */
export async function knownAnswers(vm: VirtualMachine): Promise<string> {
  const commands = async (kind: string): Promise<string[]> =>
    (await run(vm, `openssl list -${kind}-commands`)).split(/\s+/).filter((name) => name !== "");
  // A SHAKE is as long as one asks for, and those who do not ask get what the version at hand finds right.
  const digests = (await commands("digest")).filter((name) => getHashes().includes(name) && !name.startsWith("shake"));
  const ciphers = (await commands("cipher")).flatMap((name) => cipherOf(name) ?? []);
  const expected = new Map(derivedKeys.map(({ name, key }) => [name, Buffer.from(key()).toString("hex")]));
  const sums: string[] = derivedKeys.map(
    ({ name, words }) => `echo ${name} $(openssl kdf -keylen 32 ${words} | tr -d ':\\n' | tr A-F a-f)`,
  );
  const files = lengths.map((length) => `input${length}`);
  for (const length of lengths) await vm.writeFile(`/tmp/input${length}`, inputOf(length));
  for (const name of digests) {
    for (const length of lengths)
      expected.set(`${name}-input${length}`, createHash(name).update(inputOf(length)).digest("hex"));
    sums.push(`openssl dgst -r -${name} ${files.join(" ")} | sed 's/^\\(.*\\) \\*\\(.*\\)/${name}-\\2 \\1/'`);
  }
  for (const { name, key, iv } of ciphers) {
    for (const length of cipherLengths) {
      const cipher = createCipheriv(name, key, iv);
      const sum = createHash("sha256")
        .update(cipher.update(inputOf(length)))
        .update(cipher.final())
        .digest("hex");
      expected.set(`${name}-input${length}`, sum);
      const words = `-K ${key.toString("hex")} ${iv === null ? "" : `-iv ${iv.toString("hex")}`}`;
      sums.push(`echo ${name}-input${length} $(openssl enc -${name} ${words} -in input${length} | sha256sum)`);
    }
  }
  // A command line has room for some hundred of them, a file for all.
  await vm.writeFile("/tmp/sums", `${sums.join("\n")}\n`);
  const answers = await run(vm, "cd /tmp && sh sums");
  const found = new Map(answers.split("\n").map((line) => line.split(" ").slice(0, 2) as [string, string]));
  const wrong = [...expected].find(([name, sum]) => found.get(name) !== sum);
  if (wrong !== undefined)
    throw new Error(`${wrong[0]} is ${found.get(wrong[0]) ?? "missing"}, and should be ${wrong[1]}`);
  return `${expected.size} equal`;
}

const password = "-kdfopt pass:password -kdfopt salt:NaCl";
const derivedKeys: readonly {
  readonly name: string;
  readonly words: string;
  readonly key: () => Uint8Array;
}[] = [
  {
    name: "pbkdf2",
    words: `${password} -kdfopt digest:SHA256 -kdfopt iter:5000 PBKDF2`,
    key: () => pbkdf2Sync("password", "NaCl", 5000, 32, "sha256"),
  },
  {
    name: "scrypt",
    words: `${password} -kdfopt n:1024 -kdfopt r:8 -kdfopt p:2 -kdfopt maxmem_bytes:67108864 SCRYPT`,
    key: () => scryptSync("password", "NaCl", 32, { N: 1024, r: 8, p: 2 }),
  },
  {
    name: "hkdf",
    words: "-kdfopt digest:SHA512 -kdfopt key:secret -kdfopt salt:salt -kdfopt info:label HKDF",
    key: () => new Uint8Array(hkdfSync("sha512", "secret", "salt", "label", 32)),
  },
];

/** With a key and a first block for it; undefined for what the host has not, and for modes that `openssl enc` does not do. */
function cipherOf(name: string): { name: string; key: Buffer; iv: Buffer | null } | undefined {
  const info = getCipherInfo(name);
  if (info === undefined || !["cbc", "cfb", "ctr", "ecb", "ofb", "stream"].includes(info.mode)) return undefined;
  const iv = info.ivLength === undefined ? null : secret.subarray(0, info.ivLength);
  const cipher = { name: info.name, key: secret.subarray(64 - info.keyLength), iv };
  try {
    createCipheriv(name, cipher.key, iv);
    return { ...cipher, name };
  } catch {
    // One of those that are too weak to be there without being asked for.
    return undefined;
  }
}

const keyKinds: Readonly<Record<string, { readonly words: string; readonly digest: string | null }>> = {
  "RSA-2048": { words: "RSA -pkeyopt rsa_keygen_bits:2048", digest: "sha256" },
  "P-256": { words: "EC -pkeyopt ec_paramgen_curve:P-256", digest: "sha256" },
  "P-384": { words: "EC -pkeyopt ec_paramgen_curve:P-384", digest: "sha384" },
  Ed25519: { words: "ED25519", digest: null },
  Ed448: { words: "ED448", digest: null },
};

/** The guest makes keys and signs, the host verifies; the host makes a key and signs, the guest verifies. */
export async function signatures(vm: VirtualMachine): Promise<string> {
  const text = inputOf(5000);
  await vm.writeFile("/tmp/text", text);
  await vm.writeFile("/tmp/other", inputOf(5001));
  for (const [name, { words, digest }] of Object.entries(keyKinds)) {
    const withDigest = digest === null ? "" : `-digest ${digest}`;
    await run(
      vm,
      `cd /tmp && openssl genpkey -algorithm ${words} -out key 2>/dev/null && openssl pkey -in key -pubout -out public &&
openssl pkeyutl -sign -inkey key -rawin ${withDigest} -in text -out signature`,
    );
    const publicKey = createPublicKey(Buffer.from(await vm.readFile("/tmp/public")));
    const signature = await vm.readFile("/tmp/signature");
    if (!verify(digest, text, publicKey, signature))
      throw new Error(`${name}: the host does not take the guest's signature`);
    if (verify(digest, inputOf(5001), publicKey, signature)) throw new Error(`${name}: the signature is of any text`);
  }
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  await vm.writeFile("/tmp/public", publicKey.export({ type: "spki", format: "pem" }));
  await vm.writeFile("/tmp/signature", sign("sha256", text, privateKey));
  const check = "openssl pkeyutl -verify -pubin -inkey public -rawin -digest sha256 -sigfile signature";
  await run(vm, `cd /tmp && ${check} -in text && ! ${check} -in other`);
  return `${Object.keys(keyKinds).length + 1} keys`;
}

/** Known answers of each algorithm, signatures, key agreement, random numbers: what the provider asks itself before it serves. */
export async function fipsSelfTest(vm: VirtualMachine): Promise<string> {
  const [module] = (await run(vm, "find /usr/lib -name fips.so")).split("\n");
  if (module === "") return "not in this Debian";
  const told = await run(vm, `openssl fipsinstall -module ${module} -out /tmp/fips.cnf 2>&1`);
  const results = [...told.matchAll(/: (Pass|Fail)\s*$/gim)].map(([, result]) => result);
  const passed = results.filter((result) => result === "Pass").length;
  if (passed === 0 || passed < results.length) throw new Error(`${passed} of ${results.length} passed`);
  return `${passed} passed`;
}
