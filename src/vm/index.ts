export { Machine } from "./machine.ts";
export type {
  ByteSource,
  EngineOptions,
  MachineConfig,
  MachineHost,
  MachineOutcome,
  MachineStats,
  ReportKind,
  RunnableMachine,
  TierStats,
  TraceEvent,
  TraceOptions,
} from "./machine-host.ts";
export { traceEvents } from "./machine-host.ts";
export { BootError } from "./boot/index.ts";
