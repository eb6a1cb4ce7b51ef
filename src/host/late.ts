/**
 * Modules of Node that take milliseconds to load and that a start does without: each is loaded when it is first called for. A thread that
 * imported them would have its machine run 8 ms later (docs/snapshots.md, "Starting fast").
 */
export const crypto = (): typeof import("node:crypto") => process.getBuiltinModule("node:crypto");
export const childProcess = (): typeof import("node:child_process") => process.getBuiltinModule("node:child_process");
export const net = (): typeof import("node:net") => process.getBuiltinModule("node:net");
export const zlib = (): typeof import("node:zlib") => process.getBuiltinModule("node:zlib");
