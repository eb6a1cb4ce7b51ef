export type { PmemConfig } from "./persistent-memory.ts";
export { Machine, type MachineParts } from "./machine.ts";
export { ForkError } from "./forking.ts";
export { runVcpuThread, type VcpuThreadHost, type VcpuThreadSetup } from "./vcpu-thread.ts";
export type { MachineState, Resume } from "./machine-state.ts";
export type { MachineDigest } from "./digest.ts";
export type {
  ByteSource,
  EngineOptions,
  MachineConfig,
  ShareConfig,
  MachineHost,
  MachineOutcome,
  MachineStats,
  PassName,
  ReportKind,
  RunnableMachine,
  TemporaryFile,
  TierStats,
  TraceEvent,
  TraceOptions,
  Turn,
} from "./machine-host.ts";
export type {
  AgeHistogram,
  HeatMap,
  MachineMemory,
  MemoryAnswer,
  MemoryQuestion,
  MemorySize,
  MemoryStats,
  PageCounts,
} from "./machine-memory.ts";
export type { HeldBytes, MemorySlot, PageRange, Refusal } from "./memory-view.ts";
export type { HostPressure, MemoryPressure, PressureSource } from "./memory-pressure.ts";
export type { Sample } from "./profiler.ts";
export { type BootBytes, BootError, type BootFile, unpackKernel, withoutZeros } from "./boot/index.ts";
export { decodeXz } from "./boot/xz.ts";
