/**
 * Whether a directory's names are near: in this host's memory mostly, told in microseconds when they are, and never another host's or
 * program's to tell.
 */

/** File systems of Linux that ask nobody but a fixed disk of this host, or nobody at all. */
const nearTypes: ReadonlySet<string> = new Set([
  ...["ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "overlay", "squashfs", "erofs"],
  ...["tmpfs", "ramfs", "devtmpfs", "devpts", "proc", "sysfs", "cgroup2", "mqueue"],
]);

/** `mountinfo`: as in /proc/self/mountinfo (proc(5)). `path`: absolute, without links. */
export function isNear(path: string, mountinfo: string): boolean {
  const mounts = mountinfo.split("\n").flatMap(mountOf);
  // What was mounted last hides what is below.
  const above = mounts.filter(({ point }) => holds(point, path));
  const own = above.reduceRight<Mount | undefined>(
    (deepest, each) => (deepest === undefined || each.point.length > deepest.point.length ? each : deepest),
    undefined,
  );
  const within = mounts.filter(({ point }) => point !== path && holds(path, point));
  return own !== undefined && [own, ...within].every(({ type }) => nearTypes.has(type));
}

interface Mount {
  readonly point: string;
  readonly type: string;
}

function mountOf(line: string): Mount[] {
  const fields = line.split(" ");
  const type = fields[fields.indexOf("-") + 1];
  const point = fields[4]?.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return point === undefined || type === undefined ? [] : [{ point, type }];
}

const holds = (directory: string, path: string): boolean =>
  path === directory || path.startsWith(directory.endsWith("/") ? directory : `${directory}/`);
