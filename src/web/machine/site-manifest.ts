/** `images/manifest.json` of a site: which images it has, and their files. `tools/web/` writes it, the page reads it. */
export const manifestPath = "images/manifest.json";

export interface SiteManifest {
  readonly version: 1;
  /** The first one is offered first. */
  readonly images: readonly SiteImage[];
}

export interface SiteImage {
  readonly name: string;
  /** For a person. */
  readonly title: string;
  readonly kernelVersion: string;
  readonly kernel: SiteFile;
  /** Where `kernel` is what was unpacked from a bzImage. */
  readonly setupHeader?: SiteFile;
  readonly initrd: SiteFile;
}

/** Each is compressed by gzip, which browsers unpack while it comes. */ export interface SiteFile {
  /** Relative to the page. Other bytes have another path, so a file may be kept for good. */
  readonly path: string;
  /** Of what the server sends. */
  readonly packedBytes: number;
  /** Unpacked, as the checksum is. */
  readonly sizeBytes: number;
  readonly sha256: string;
}

export const filesOf = ({ kernel, setupHeader, initrd }: SiteImage): readonly SiteFile[] =>
  setupHeader ? [kernel, setupHeader, initrd] : [kernel, initrd];

function isFile(file: SiteFile | undefined): boolean {
  return (
    typeof file?.path === "string" &&
    Number.isSafeInteger(file.sizeBytes) &&
    Number.isSafeInteger(file.packedBytes) &&
    /^[0-9a-f]{64}$/.test(file.sha256)
  );
}

/** Throws an error that says what is wrong with what a server sent as the manifest. */
export function parseManifest(value: unknown): SiteManifest {
  const wrong = (why: string): never => {
    throw new Error(`${manifestPath}: ${why}`);
  };
  const { version, images } = (value ?? {}) as Partial<SiteManifest>;
  if (version !== 1) wrong(`version ${String(version)} is not one that this page knows`);
  if (!Array.isArray(images) || images.length === 0) wrong("there are no images");
  for (const image of images as SiteImage[]) {
    if (typeof image?.name !== "string" || !filesOf(image).every(isFile)) wrong("an image lacks its name or a file");
  }
  return value as SiteManifest;
}
