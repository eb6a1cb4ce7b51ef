/** Puts a kernel's modules, busybox, our init and what the user asked for together as one initramfs. */
import { writeCpio } from "./archive/cpio.ts";
import type { FileTree } from "./file-tree.ts";
import {
  agentPath,
  consolePath,
  consoleScript,
  guestFiles,
  initScript,
  leaseScript,
  leaseScriptPath,
  mainPath,
  mainScript,
  moduleOrderPath,
} from "./guest/init.ts";
import { bootOrder, type ModuleSet, modulesAlias, modulesDep } from "./modules.ts";

export function startTree(tree: FileTree, image: string, agent: Uint8Array): void {
  for (const path of ["dev", "proc", "sys", "run", "mnt", "var", "etc"]) tree.directory(path);
  tree.directory("root", 0o700);
  tree.directory("tmp", 0o1777);
  tree.symlink("var/run", "/run");
  tree.symlink("etc/mtab", "/proc/mounts");
  // The kernel opens the console for init before anything is mounted (Linux, init/main.c, console_on_rootfs).
  tree.characterDevice("dev/console", 5, 1, 0o600);
  tree.characterDevice("dev/null", 1, 3, 0o666);
  tree.file("init", initScript, 0o755);
  tree.file(agentPath, agent, 0o755);
  tree.file(mainPath, mainScript, 0o755);
  tree.file(consolePath, consoleScript, 0o755);
  tree.file(leaseScriptPath, leaseScript, 0o755);
  for (const [path, text] of guestFiles(image)) tree.file(path, text);
}

export function addModules(tree: FileTree, version: string, set: ModuleSet, builtin: Uint8Array): void {
  const folder = `usr/lib/modules/${version}`;
  for (const module of set.modules) tree.file(`${folder}/${module.path}`, module.data);
  tree.file(`${folder}/modules.dep`, modulesDep(set));
  tree.file(`${folder}/modules.alias`, modulesAlias(set));
  tree.file(`${folder}/modules.builtin`, builtin);
  tree.file(moduleOrderPath, bootOrder(set));
}

export const packInitramfs = (tree: FileTree): Uint8Array => writeCpio(tree.entries());
