/** Shares as the owner of a machine names them, and as the machine and the guest's init are told. */
import type { ShareConfig } from "#vm";
import type { VmShare } from "./vm-api.ts";

/** What a person may write without asking how words of a command line are taken apart. */
const plainPath = /^\/[^\s:"'\\]*$/;
/** Each is a device on PCI. */
const maxShares = 8;

/** What is wrong with a list of shares; undefined when nothing is. */
export function sharesProblem(shares: readonly VmShare[]): string | undefined {
  if (shares.length > maxShares) return `a machine has at most ${maxShares}`;
  const noHost = shares.find(({ hostPath }) => hostPath === "" || hostPath.includes("\0"));
  if (noHost !== undefined) return `a share at ${noHost.guestPath} needs the path of a directory`;
  const bad = shares.find(({ guestPath }) => !plainPath.test(guestPath));
  if (bad !== undefined)
    return `${JSON.stringify(bad.guestPath)} is no place in the guest: an absolute path without blanks, colons and quotes`;
  const paths = shares.map(({ guestPath }) => guestPath);
  return new Set(paths).size < paths.length ? "two have the same place in the guest" : undefined;
}

/** `DIR:/mnt` or `DIR:/mnt:ro`; undefined for what is neither. */
export function parseShare(text: string): VmShare | undefined {
  const [, hostPath, guestPath, readOnly] = /^(.+?):(\/[^:]*)(:ro)?$/s.exec(text) ?? [];
  if (hostPath === undefined || guestPath === undefined) return undefined;
  return { hostPath, guestPath, ...(readOnly && { readOnly: true }) };
}

const tagOf = (n: number): string => `share${n}`;

export function shareConfigs(shares: readonly VmShare[]): ShareConfig[] {
  return shares.map(({ hostPath, readOnly = false }, n) => ({ tag: tagOf(n), hostPath, readOnly }));
}

/** Words of the kernel's command line, by which the init of prepared images mounts them: `memvisor.share=TAG:PATH[:ro]`. */
export function shareWords(shares: readonly VmShare[]): string[] {
  return shares.map(
    ({ guestPath, readOnly }, n) => `memvisor.share=${tagOf(n)}:${guestPath}${readOnly === true ? ":ro" : ""}`,
  );
}
