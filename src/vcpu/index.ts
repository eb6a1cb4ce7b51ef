export {
  area,
  at,
  type Field,
  type FieldName,
  fpr,
  generateRuntimeLayout,
  gpr,
  jumpCacheEntries,
  jumpCacheEntry,
  jumpCacheEntryLog2,
  targetSlots,
  temp,
  tlbBytes,
  knownPageEntryBytes,
  knownPageSlots,
  farPointerHints,
  pointerHintGroup,
  pointerHints,
  pointerTrustBytes,
  pointerTrusts,
  tlbEntries,
  tlbEntryBytes,
  vcpuFields,
  vcpuRecordBytes,
  vtemp,
  xmm,
} from "./layout.ts";
export { Event, eventShift, Leave, Shadow } from "./leave.ts";
export { Mode, modeTlb } from "./mode.ts";
export { type MsrDevice, MsrFile, type MsrOptions, type MsrState } from "./msr.ts";
export { Halted, postInit, postNmi, postStartup, Signal, startupVector, takeSignals } from "./signals.ts";
export { postInterrupt, sleep, takePosted, wake, wakeCount } from "./posted.ts";
export { restoreVcpu, saveVcpu, type VcpuState, VcpuStateError } from "./persist.ts";
export { Vcpu } from "./vcpu.ts";
export { enterLongMode, initialize, type LongModeEntry, powerOnRegisters, startUp } from "./reset.ts";
