/** Verifies a clear-signed file (RFC 9580, "Cleartext Signature Framework") by the keys of a keyring file. */
import { readFile } from "node:fs/promises";
import { ImageError } from "#images";

/**
 * The signed text alone: what stands around it is not believed. An archive signs with old and new keys at once: one that
 * the keyring has must have signed it, and none that it has may have signed something else.
 */
export async function verifyClearSigned(signed: Uint8Array, keyring: string, from: string): Promise<string> {
  // The library takes longer to load than most commands take: only this one needs it.
  const openpgp = await import("openpgp");
  const verificationKeys = await readKeyring(keyring);
  let data: string;
  let verdicts: string[];
  try {
    const message = await openpgp.readCleartextMessage({ cleartextMessage: new TextDecoder().decode(signed) });
    const result = await openpgp.verify({ message, verificationKeys });
    data = result.data;
    verdicts = await Promise.all(
      result.signatures.map((each) =>
        each.verified.then(
          () => "good",
          (error: Error) => error.message,
        ),
      ),
    );
  } catch (error) {
    throw new ImageError("bad-signature", `${from} is not signed as an archive is: pass another --mirror`, error);
  }
  const known = verdicts.filter((each) => !/could not find signing key/i.test(each));
  const bad = known.find((each) => each !== "good");
  if (bad)
    throw new ImageError("bad-signature", `the signature of ${from} does not hold (${bad}): pass another --mirror`);
  if (known.length > 0) return data;
  throw new ImageError("unknown-key", `${from} is signed by no key of ${keyring}: pass a newer one by --keyring FILE`);
}

async function readKeyring(path: string): Promise<import("openpgp").PublicKey[]> {
  const openpgp = await import("openpgp");
  try {
    const bytes = await readFile(path);
    const armored = bytes.subarray(0, 5).toString("latin1") === "-----";
    const keys = armored
      ? await openpgp.readKeys({ armoredKeys: bytes.toString("utf8") })
      : await openpgp.readKeys({ binaryKeys: new Uint8Array(bytes) });
    if (keys.length > 0) return keys.map((key) => key.toPublic());
  } catch (error) {
    throw new ImageError("no-keyring", `${path} is no file of public keys: pass one by --keyring FILE`, error);
  }
  throw new ImageError("no-keyring", `there is no key in ${path}: pass a file of public keys by --keyring FILE`);
}
