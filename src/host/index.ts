export { VirtualMachine } from "./virtual-machine.ts";
export { learnImage } from "./learning-boot.ts";
export { withLearnt } from "./learnt-files.ts";
export { canBeTemplate, startFromTemplate } from "./templates.ts";
export {
  bootFiles,
  type ImageOptions,
  programSettings,
  rootDisk,
  rootWords,
  type StartOptions,
} from "./start-options.ts";
export { Terminal, type TerminalSize } from "./terminal.ts";
export { packageVersion } from "./package-files.ts";
export { mark } from "./times.ts";
export { type HostFigures, judgeHost, Ledger, type MachineHolding, readHostFigures } from "./memory/index.ts";
export { packPath, unpackTo } from "./copy.ts";
export { type MountedFiles, mountFiles } from "./fuse/index.ts";
export {
  listMachines,
  logOf,
  type MachineInfo,
  MachineServer,
  openFolder,
  RemoteMachine,
  type Reserved,
  reserve,
} from "./machines/index.ts";
