export { VirtualMachine } from "./virtual-machine.ts";
export { canBeTemplate, startFromTemplate } from "./templates.ts";
export { Terminal, type TerminalSize } from "./terminal.ts";
export { packageVersion } from "./package-files.ts";
