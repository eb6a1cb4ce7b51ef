/**
 * A file that only who has its key can read, or write without being found out: AES-256-GCM (NIST SP 800-38D) over units of 4096 bytes.
 *
 *      0  "MEMVSEAL", u32 1, u32 0, 16 bytes of salt, 16 bytes: the tag of all before
 *   4096  units, one after the other: 12 bytes of nonce, 16 of tag, 4096 of ciphertext
 *
 * The key of a file comes from the secret and the file's salt (HKDF, RFC 5869), each unit is sealed with its number, under a nonce drawn
 * for it. Law: what is read was written to that place of that file, or a SnapshotError says that it is not. A whole file that was
 * exchanged for an older one of the same name is not noticed.
 */
import { SnapshotError } from "#snapshot";
import { crypto } from "./late.ts";

const magic = "MEMVSEAL";
const version = 1;
const saltAt = 16;
const saltBytes = 16;
const headBytes = saltAt + saltBytes;
const tagBytes = 16;
export const sealHeaderBytes = headBytes + tagBytes;

const unitBytes = 4096;
const firstUnitAt = 4096;
const nonceBytes = 12;
const cipherAt = nonceBytes + tagBytes;
const strideBytes = cipherAt + unitBytes;
const algorithm = "aes-256-gcm";
/** Of the header; nonces of units are drawn, and longer. */
const headerNonce = Buffer.alloc(8);

/** The file as it lies. `read` gives how many bytes there were. */
export interface RawFile {
  readonly name: string;
  read(offset: number, target: Uint8Array): number;
  writeAt?(offset: number, bytes: Uint8Array): void;
}

export const isSealed = (start: Uint8Array): boolean =>
  Buffer.from(start.subarray(0, magic.length)).toString("latin1") === magic;

/** Bytes of plaintext, the last of them padding. */
export const openedBytes = (fileBytes: number): number =>
  Math.max(0, Math.floor((fileBytes - firstUnitAt) / strideBytes)) * unitBytes;

export class SealedFile {
  readonly #file: RawFile;
  /** Of this file alone; who has it can write to it, too. */
  readonly key: Buffer;
  readonly #header: Buffer;
  /** Units that are not whole yet, in plaintext. */
  readonly #partial = new Map<number, Uint8Array>();

  /** A new one. */
  static create(file: RawFile, secret: string): SealedFile {
    const head = Buffer.alloc(headBytes);
    head.write(magic);
    head.writeUInt32LE(version, 8);
    head.set(crypto().randomBytes(saltBytes), saltAt);
    const key = keyOf(secret, head);
    return new SealedFile(file, key, Buffer.concat([head, headerTag(key, head)]));
  }

  /** One that was written. Throws SnapshotError where this is not its secret. */
  static open(file: RawFile, secret: string): SealedFile {
    const header = Buffer.alloc(sealHeaderBytes);
    if (file.read(0, header) !== sealHeaderBytes || header.readUInt32LE(8) !== version)
      throw new SnapshotError(`${file.name}: it is encrypted in a way that this memvisor does not know`);
    const head = header.subarray(0, headBytes);
    const key = keyOf(secret, head);
    if (!headerTag(key, head).equals(header.subarray(headBytes)))
      throw new SnapshotError(`${file.name}: it was encrypted with another key, or it is damaged`);
    return new SealedFile(file, key, header);
  }

  /** To write whole units to a file that another one finishes. */
  static join(file: RawFile, key: Uint8Array): Pick<SealedFile, "writeAt"> {
    return new SealedFile(file, Buffer.from(key), Buffer.alloc(0));
  }

  private constructor(file: RawFile, key: Buffer, header: Buffer) {
    this.#file = file;
    this.key = key;
    this.#header = header;
  }

  /** Fills `target`; gives how many bytes there were. */
  read(offset: number, target: Uint8Array): number {
    const first = Math.floor(offset / unitBytes);
    const wanted = Math.ceil((offset + target.length) / unitBytes) - first;
    const sealed = Buffer.allocUnsafe(wanted * strideBytes);
    const count = Math.floor(this.#file.read(firstUnitAt + first * strideBytes, sealed) / strideBytes);
    for (let n = 0; n < count; n++) {
      const plain = this.#open(first + n, sealed.subarray(n * strideBytes, (n + 1) * strideBytes));
      const at = (first + n) * unitBytes - offset;
      target.set(plain.subarray(Math.max(0, -at), target.length - at), Math.max(0, at));
    }
    return Math.max(0, Math.min(target.length, (first + count) * unitBytes - offset));
  }

  writeAt(offset: number, bytes: Uint8Array): void {
    const sealed: Buffer[] = [];
    const end = offset + bytes.length;
    for (let unit = Math.floor(offset / unitBytes); unit * unitBytes < end; unit++) {
      const from = Math.max(offset, unit * unitBytes);
      const part = bytes.subarray(from - offset, Math.min(end, (unit + 1) * unitBytes) - offset);
      if (part.length === unitBytes) {
        this.#partial.delete(unit);
        sealed.push(this.#seal(unit, part));
      } else this.#partOf(unit).set(part, from - unit * unitBytes);
    }
    if (sealed.length > 0) this.#write(Math.ceil(offset / unitBytes), sealed);
  }

  /** All that was written is in the file, the header last. */
  finish(): void {
    for (const [unit, bytes] of this.#partial) this.#write(unit, [this.#seal(unit, bytes)]);
    this.#partial.clear();
    this.#file.writeAt?.(0, this.#header);
  }

  #write(unit: number, sealed: readonly Buffer[]): void {
    this.#file.writeAt?.(firstUnitAt + unit * strideBytes, Buffer.concat(sealed));
  }

  /** What there is of a unit that a write covers in part. */
  #partOf(unit: number): Uint8Array {
    const known = this.#partial.get(unit);
    if (known) return known;
    const sealed = Buffer.alloc(strideBytes);
    const got = this.#file.read(firstUnitAt + unit * strideBytes, sealed);
    // A hole of the file, which lies between units that were written, is zeros and none.
    const isWritten = got === strideBytes && sealed.some((byte) => byte !== 0);
    const bytes = isWritten ? this.#open(unit, sealed) : new Uint8Array(unitBytes);
    this.#partial.set(unit, bytes);
    return bytes;
  }

  #seal(unit: number, bytes: Uint8Array): Buffer {
    const nonce = crypto().randomBytes(nonceBytes);
    const cipher = crypto()
      .createCipheriv(algorithm, this.key, nonce, { authTagLength: tagBytes })
      .setAAD(nameOf(unit));
    const text = cipher.update(bytes);
    cipher.final();
    return Buffer.concat([nonce, cipher.getAuthTag(), text]);
  }

  #open(unit: number, sealed: Buffer): Uint8Array {
    const nonce = sealed.subarray(0, nonceBytes);
    const decipher = crypto().createDecipheriv(algorithm, this.key, nonce, { authTagLength: tagBytes });
    decipher.setAAD(nameOf(unit)).setAuthTag(sealed.subarray(nonceBytes, cipherAt));
    try {
      const plain = decipher.update(sealed.subarray(cipherAt));
      decipher.final();
      return plain;
    } catch {
      throw new SnapshotError(`${this.#file.name}: the snapshot is damaged at unit ${unit}, or was changed`);
    }
  }
}

const keyOf = (secret: string, head: Buffer): Buffer =>
  Buffer.from(crypto().hkdfSync("sha256", secret, head.subarray(saltAt), "memvisor snapshot", 32));

function headerTag(key: Buffer, head: Buffer): Buffer {
  const cipher = crypto().createCipheriv(algorithm, key, headerNonce, { authTagLength: tagBytes }).setAAD(head);
  cipher.final();
  return cipher.getAuthTag();
}

function nameOf(unit: number): Buffer {
  const name = Buffer.alloc(8);
  name.writeBigUInt64LE(BigInt(unit));
  return name;
}
