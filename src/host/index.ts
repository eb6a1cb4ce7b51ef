export { VirtualMachine } from "./virtual-machine.ts";
export { Terminal, type TerminalSize } from "./terminal.ts";
export { packageVersion } from "./package-files.ts";
